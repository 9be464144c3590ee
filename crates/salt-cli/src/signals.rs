//! Asking a long command to stop.

use crate::error::CliError;
use medseg_train::StopFlag;

/// A flag that Ctrl-C and SIGTERM raise; a second signal ends the process at once, with exit code 130.
pub fn stop_on_signal() -> Result<StopFlag, CliError> {
    let stop = StopFlag::new();
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        if flag.is_raised() {
            std::process::exit(130);
        }
        eprintln!("stopping after this step and saving; press Ctrl-C again to end at once");
        flag.raise();
    })?;
    Ok(stop)
}
