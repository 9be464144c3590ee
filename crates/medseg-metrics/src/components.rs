//! Connected components, found on runs of pixels.

use crate::Mask;
use std::ops::Range;

/// Which pixels touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Left, right, above and below.
    Four,
    /// The four and the diagonals.
    Eight,
}

/// One connected component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Pixels in it.
    pub area: u64,
    /// Rows of its bounding box.
    pub rows: Range<usize>,
    /// Columns of its bounding box.
    pub columns: Range<usize>,
}

/// The connected components of a mask, numbered in the order in which a row-by-row scan meets them.
#[derive(Debug, Clone)]
pub struct Components {
    width: usize,
    labels: Vec<u32>,
    components: Vec<Component>,
}

impl Components {
    /// The components; the one at index `i` has label `i + 1`.
    pub fn components(&self) -> &[Component] {
        &self.components
    }

    /// Row-major labels, 0 in the background.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Label at (row, column), 0 in the background.
    pub fn label(&self, row: usize, column: usize) -> u32 {
        if column < self.width { self.labels.get(row * self.width + column).copied().unwrap_or(0) } else { 0 }
    }
}

/// Labels the connected components of `mask`.
///
/// ```
/// use medseg_metrics::{Connectivity, Mask, connected_components};
/// let diagonal = Mask::from_bytes(2, 2, &[1, 0, 0, 1])?;
/// assert_eq!(connected_components(&diagonal, Connectivity::Eight).components().len(), 1);
/// assert_eq!(connected_components(&diagonal, Connectivity::Four).components().len(), 2);
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
pub fn connected_components(mask: &Mask, connectivity: Connectivity) -> Components {
    let (runs, mut sets) = joined_runs(mask, connectivity);
    let width = mask.width();
    let mut labels = vec![0u32; mask.height() * width];
    let mut components: Vec<Component> = Vec::new();
    let mut label_of_root = vec![0u32; runs.len()];
    for (at, run) in runs.iter().enumerate() {
        let root = sets.root(at as u32) as usize;
        if label_of_root[root] == 0 {
            components.push(Component { area: 0, rows: run.row..run.row + 1, columns: run.start..run.end });
            label_of_root[root] = components.len() as u32;
        }
        let label = label_of_root[root];
        let component = &mut components[label as usize - 1];
        component.area += (run.end - run.start) as u64;
        component.rows.end = run.row + 1;
        component.columns = component.columns.start.min(run.start)..component.columns.end.max(run.end);
        labels[run.row * width..][run.start..run.end].fill(label);
    }
    Components { width, labels, components }
}

/// Number of connected components of `mask`.
pub fn count_components(mask: &Mask, connectivity: Connectivity) -> u64 {
    let (runs, sets) = joined_runs(mask, connectivity);
    runs.len() as u64 - sets.joins
}

/// Foreground pixels `start..end` of one row.
struct Run {
    row: usize,
    start: usize,
    end: usize,
}

/// The runs of a mask, row by row, with touching runs of neighbouring rows joined.
fn joined_runs(mask: &Mask, connectivity: Connectivity) -> (Vec<Run>, DisjointSets) {
    let reach = usize::from(connectivity == Connectivity::Eight);
    let mut runs: Vec<Run> = Vec::new();
    let mut sets = DisjointSets::default();
    let mut above = 0..0;
    for row in 0..mask.height() {
        let first = runs.len();
        push_runs(mask.row(row), row, &mut runs);
        sets.parents.extend(first as u32..runs.len() as u32);
        let mut candidate = above.start;
        for at in first..runs.len() {
            // Runs above that end before this one starts touch no later run either.
            while candidate < above.end && runs[candidate].end + reach <= runs[at].start {
                candidate += 1;
            }
            let mut touching = candidate;
            while touching < above.end && runs[touching].start < runs[at].end + reach {
                sets.join(touching as u32, at as u32);
                touching += 1;
            }
        }
        above = first..runs.len();
    }
    (runs, sets)
}

fn push_runs(words: &[u64], row: usize, runs: &mut Vec<Run>) {
    let mut open: Option<usize> = None;
    for (w, &word) in words.iter().enumerate() {
        // Bits where the row changes between background and foreground.
        let mut changes = word ^ (word << 1 | u64::from(open.is_some()));
        while changes != 0 {
            let column = 64 * w + changes.trailing_zeros() as usize;
            changes &= changes - 1;
            match open.take() {
                Some(start) => runs.push(Run { row, start, end: column }),
                None => open = Some(column),
            }
        }
    }
    if let Some(start) = open {
        runs.push(Run { row, start, end: 64 * words.len() });
    }
}

#[derive(Default)]
struct DisjointSets {
    parents: Vec<u32>,
    joins: u64,
}

impl DisjointSets {
    fn root(&mut self, mut item: u32) -> u32 {
        while self.parents[item as usize] != item {
            let parent = self.parents[item as usize];
            self.parents[item as usize] = self.parents[parent as usize];
            item = parent;
        }
        item
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.parents[a.max(b) as usize] = a.min(b);
            self.joins += 1;
        }
    }
}
