//! The live view: one line per running cell, one for the whole.

use crate::progress::{Heartbeat, style};
use indicatif::{MultiProgress, ProgressBar};
use medseg_study::comparison::{Cell, StudyObserver};
use medseg_study::results::CellResult;
use medseg_train::log::EpochRecord;
use medseg_train::train::Observer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Progress bars on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub(crate) struct LiveView {
    bars: MultiProgress,
    whole: ProgressBar,
    plain: bool,
    /// The bars of running cells, for the lines of a log.
    running: Arc<Mutex<Vec<ProgressBar>>>,
    _heartbeat: Option<Heartbeat>,
}

impl LiveView {
    /// A view for a plan of this many cells.
    pub(crate) fn new(cells: usize) -> Self {
        let bars = MultiProgress::new();
        let whole = bars.add(ProgressBar::new(cells as u64));
        whole.set_style(style("{bar:30.cyan/dim} {pos}/{len} cells  {elapsed} elapsed, {eta} left"));
        whole.enable_steady_tick(Duration::from_millis(500));
        let plain = bars.is_hidden();
        let running: Arc<Mutex<Vec<ProgressBar>>> = Arc::default();
        let (seen, cells) = (whole.clone(), Arc::clone(&running));
        let heartbeat = plain.then(|| Heartbeat::start(move || state(&seen, &lock(&cells))));
        Self { bars, whole, plain, running, _heartbeat: heartbeat }
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        if self.plain {
            eprintln!("{text}");
        } else {
            // A terminal that cannot be written to has no reader either.
            let _ = self.bars.println(text);
        }
    }

    /// Removes the bars.
    pub(crate) fn close(&self) {
        self.whole.finish_and_clear();
    }
}

impl StudyObserver for LiveView {
    fn cell_started<'a>(&'a self, cell: &Cell, trainings: usize) -> Box<dyn Observer + 'a> {
        let bar = self.bars.insert_before(&self.whole, ProgressBar::new(0));
        bar.set_style(style("{prefix:44!} {bar:20} {pos:>5}/{len:5} {msg} {eta:>4}"));
        bar.set_prefix(cell.to_string());
        lock(&self.running).push(bar.clone());
        Box::new(CellView { view: self, bar, state: Mutex::new(CellState { trainings, done: 0, dice: None, last: 0 }) })
    }

    fn cell_finished(&self, cell: &Cell, result: &CellResult, reused: bool) {
        self.whole.inc(1);
        let scores = scores(result);
        if reused {
            return self.say(&format!("{cell}: reused, {scores}"));
        }
        let rate = result.learning_rate.map_or_else(|| "no training".into(), |rate| format!("rate {rate}"));
        self.say(&format!("{cell}: {scores}, {rate}, {:.0} s", result.seconds));
        for point in &result.grid {
            if let Some(reason) = &point.given_up {
                self.say(&format!("  rate {} was given up {reason}", point.learning_rate));
            }
        }
    }
}

#[derive(Debug)]
struct CellState {
    trainings: usize,
    done: usize,
    dice: Option<f64>,
    last: u64,
}

/// One running cell.
#[derive(Debug)]
pub(crate) struct CellView<'a> {
    view: &'a LiveView,
    bar: ProgressBar,
    state: Mutex<CellState>,
}

impl Drop for CellView<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        lock(&self.view.running).retain(|bar| !bar.is_finished());
    }
}

/// A thread that panicked while it held the lock left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where everything is, in one line.
fn state(whole: &ProgressBar, running: &[ProgressBar]) -> String {
    let mut line = format!("{}/{} cells", whole.position(), whole.length().unwrap_or(0));
    for bar in running {
        let steps = format!("{}/{}", bar.position(), bar.length().unwrap_or(0));
        line.push_str(&format!("; {} step {steps}, {}", bar.prefix(), bar.message()));
    }
    line
}

impl Observer for CellView<'_> {
    fn step(&self, done: u64, total: u64, loss: f64) {
        let mut state = lock(&self.state);
        if done < state.last {
            state.done += 1;
            state.dice = None;
        }
        state.last = done;
        self.bar.set_length(total * state.trainings as u64);
        self.bar.set_position(total * state.done as u64 + done);
        let dice = state.dice.map_or_else(|| "    -".into(), |dice| format!("{dice:.3}"));
        self.bar.set_message(format!("loss {loss:.3} Dice {dice}"));
    }

    fn epoch(&self, record: &EpochRecord) {
        let mut state = lock(&self.state);
        state.dice = record.validation_dice.or(state.dice);
    }

    fn warning(&self, text: &str) {
        self.view.say(&format!("{}: {text}", self.bar.prefix()));
    }
}

fn scores(result: &CellResult) -> String {
    let show =
        |name: &str, digits: usize| result.mean(name).map_or_else(|| "-".into(), |value| format!("{value:.digits$}"));
    format!("Dice {}, HD95 {} px", show("dice", 3), show("hd95", 1))
}
