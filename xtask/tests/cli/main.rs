//! The command line from the outside, one binary.

mod data;
mod evaluate;
mod predict;
mod pretrain;
