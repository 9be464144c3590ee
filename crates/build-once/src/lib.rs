//! One build of the dependencies for every command.
//!
//! Cargo chooses the features of a dependency from the packages that a command selects, so `cargo test`, `cargo test -p
//! sam-model` and `cargo xtask` would each compile Burn anew, minutes at a time, because some small crate far below it
//! gained or lost a feature. This empty crate depends on those small crates with all the features that any command asks of
//! them; `xtask` and the tests of the crates that use Burn depend on it, so the features are the same for all of them. It
//! names no test tool: a program that nobody tests is built without them. Published crates do not see it.
