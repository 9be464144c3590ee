//! One build of the dependencies for every command.
//!
//! Cargo chooses the features of a dependency from the packages that a command selects, so `cargo test`, `cargo test -p
//! sam-model` and `cargo xtask` would each compile Burn anew, minutes at a time, because some small crate far below it
//! gained or lost a feature. The command line and the tests of the crates that use Burn depend on this empty crate,
//! which depends on everything: the features are then the same for all of them. Published crates do not see it.
