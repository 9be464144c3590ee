//! Integration tests, in one binary.

mod errors;
mod evaluator;
mod fixtures;
mod folders;
mod golden;
mod laws;
mod segments;
mod skeleton;
mod statistics;
mod tables;
