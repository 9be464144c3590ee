//! The live view: one line per running cell, one for the whole.

use super::plan::Cell;
use crate::log::EpochRecord;
use crate::train::Observer;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::sync::Mutex;
use std::time::Duration;

/// Progress bars on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct LiveView {
    bars: MultiProgress,
    whole: ProgressBar,
    plain: bool,
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl LiveView {
    /// A view for a plan of this many cells.
    pub fn new(cells: usize) -> Self {
        let bars = MultiProgress::new();
        let whole = bars.add(ProgressBar::new(cells as u64));
        whole.set_style(style("{bar:30.cyan/dim} {pos}/{len} cells  {elapsed} elapsed, {eta} left"));
        whole.enable_steady_tick(Duration::from_millis(500));
        let plain = bars.is_hidden();
        Self { bars, whole, plain }
    }

    /// A line that stays.
    pub fn say(&self, text: &str) {
        if self.plain {
            eprintln!("{text}");
        } else {
            // A terminal that cannot be written to has no reader either.
            let _ = self.bars.println(text);
        }
    }

    /// The line of one running cell.
    pub fn cell(&self, cell: &Cell, trainings: usize) -> CellView<'_> {
        let bar = self.bars.insert_before(&self.whole, ProgressBar::new(0));
        bar.set_style(style("{prefix:44!} {bar:20} {pos:>5}/{len:5} {msg} {eta:>4}"));
        bar.set_prefix(cell.to_string());
        CellView { view: self, bar, state: Mutex::new(CellState { trainings, done: 0, dice: None, last: 0 }) }
    }

    /// Counts a finished cell.
    pub fn finished(&self, text: &str) {
        self.whole.inc(1);
        self.say(text);
    }

    /// Removes the bars.
    pub fn close(&self) {
        self.whole.finish_and_clear();
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
pub struct CellView<'a> {
    view: &'a LiveView,
    bar: ProgressBar,
    state: Mutex<CellState>,
}

impl Drop for CellView<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for CellView<'_> {
    fn step(&self, done: u64, total: u64, loss: f64) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        state.dice = record.validation_dice.or(state.dice);
    }

    fn warning(&self, text: &str) {
        // Bars and warnings fight for the terminal; RUST_LOG=info shows them.
        tracing::info!("{text}");
        let _ = self.view;
    }
}
