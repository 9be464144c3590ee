//! One binary for all integration tests of medseg-data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod checking;
mod coco;
mod decoding;
mod duplicates;
mod folders;
mod golden;
mod layouts;
mod loading;
mod manifests;
mod properties;
mod real;
mod splits;
mod support;
mod synthetic;
