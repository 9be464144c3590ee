//! A process that may take so much memory and no more.

use std::path::PathBuf;
use std::process::{Command, Output};

/// Set in the process with the limit.
const INSIDE: &str = "BROKEN_FILES_LIMITED";

/// Whether this process is one with a limit.
pub(crate) fn is_limited() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs one test of this binary again, by itself, with at most this much memory for data. An allocation beyond it fails, which ends the
/// process.
pub(crate) fn limited(test: &str, mebibytes: u64) -> Output {
    let program: PathBuf = std::env::current_exe().unwrap();
    let arguments = ["--exact", test, "--nocapture", "--test-threads=1"];
    let mut command = match cfg!(unix) {
        true => {
            // The shell's limit on data: heaps and private mappings, the threads' stacks among them.
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -d {} && exec \"$0\" \"$@\"", mebibytes << 10)]).arg(program);
            shell
        }
        false => Command::new(program),
    };
    // Two threads: the stacks of more would be most of the memory on a large machine.
    command.args(arguments).env(INSIDE, "1").env("RAYON_NUM_THREADS", "2").output().unwrap()
}

/// The limit is one: what asks for more ends.
#[cfg(target_os = "linux")]
#[test]
fn a_process_that_takes_more_than_the_limit_ends() {
    if is_limited() {
        let much = vec![1u8; 512 << 20];
        println!("{}", much[much.len() / 2]);
        return;
    }
    assert!(limited("memory::a_process_that_takes_more_than_the_limit_ends", 1024).status.success());
    assert!(!limited("memory::a_process_that_takes_more_than_the_limit_ends", 256).status.success());
}
