//! Messages of panics, held back until it is known whether a lost connection explains them.

use std::backtrace::Backtrace;
use std::panic::{PanicHookInfo, set_hook, take_hook};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// What was held back, and how many computations are watched at the moment.
struct Messages {
    held: Vec<String>,
    watches: usize,
}

static MESSAGES: Mutex<Messages> = Mutex::new(Messages { held: Vec::new(), watches: 0 });

fn messages() -> MutexGuard<'static, Messages> {
    MESSAGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, panics in a process that watches a computation are silent for the moment. Those that end the process are not.
pub(super) fn hold_back_while_watched() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            let mut messages = messages();
            if messages.watches == 0 || ends_the_process(panic) {
                let held = std::mem::take(&mut messages.held);
                drop(messages);
                show(held);
                return print(panic);
            }
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("<unnamed>");
            let trace = Backtrace::capture();
            messages.held.push(format!("thread '{name}' {panic}\n{trace}"));
        }));
    });
}

/// Whether this is how Rust announces that it aborts: a panic while another one unwinds, or where none may.
fn ends_the_process(panic: &PanicHookInfo<'_>) -> bool {
    panic.payload().downcast_ref::<&str>().is_some_and(|message| message.starts_with("panic in a "))
}

fn show(held: Vec<String>) {
    for message in held {
        eprintln!("{message}");
    }
}

/// A watched computation. When it ends, what was held back is printed, unless it was to be forgotten.
pub(super) struct Held;

impl Held {
    pub(super) fn new() -> Self {
        messages().watches += 1;
        Self
    }

    pub(super) fn forget(self) {
        messages().held.clear();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = {
            let mut messages = messages();
            messages.watches -= 1;
            std::mem::take(&mut messages.held)
        };
        show(held);
    }
}
