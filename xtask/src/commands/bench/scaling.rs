//! How time and memory of a step grow.

use super::cases::{Case, training};
use super::{Args, CommandResult, Side};
use plotters::prelude::*;
use salt_cli::{CliError, out};
use std::path::Path;

/// Cases that differ in one number.
struct Axis {
    name: &'static str,
    unit: &'static str,
    points: &'static [(usize, Case)],
}

const fn point(id: &'static str) -> Case {
    training(id, "", "salt-high", &[])
}

const fn batch(id: &'static str, batch: usize) -> (usize, Case) {
    (batch, Case { batch, ..point(id) })
}

const fn size(id: &'static str, size: usize) -> (usize, Case) {
    (size, Case { size, ..point(id) })
}

const fn rank(id: &'static str, rank: usize) -> (usize, Case) {
    (rank, Case { rank: Some(rank), ..point(id) })
}

/// Around ViT-B at 512 px in the paper's variant, batch 1, rank 256.
const AXES: &[Axis] = &[
    Axis {
        name: "batch",
        unit: "images",
        points: &[batch("batch-1", 1), batch("batch-2", 2), batch("batch-3", 3), batch("batch-4", 4)],
    },
    Axis {
        name: "image size",
        unit: "px",
        points: &[
            size("size-256", 256),
            size("size-384", 384),
            size("size-512", 512),
            size("size-768", 768),
            size("size-1024", 1024),
        ],
    },
    Axis {
        name: "rank",
        unit: "",
        points: &[
            rank("rank-4", 4),
            rank("rank-16", 16),
            rank("rank-64", 64),
            rank("rank-128", 128),
            rank("rank-256", 256),
        ],
    },
];

/// The case of a point, by its name.
pub(super) fn case(id: &str) -> Option<&'static Case> {
    AXES.iter().flat_map(|axis| axis.points).map(|(_, case)| case).find(|case| case.id == id)
}

/// Measures every point, prints a table for each axis and draws it.
pub(super) fn run(folder: &Path, args: &Args) -> CommandResult {
    std::fs::create_dir_all(folder).map_err(|source| CliError::Io {
        action: "cannot create",
        path: folder.to_owned(),
        source,
    })?;
    let steps = args.steps.to_string();
    for axis in AXES {
        out!("| {} | s a step, minimum | peak MiB | exponent of time | of memory |\n|---|---|---|---|---|", axis.name)?;
        let mut found: Vec<[f64; 3]> = Vec::new();
        for (at, case) in axis.points {
            let mut side = Side::default();
            for _ in 0..args.rounds {
                case.run_once(&steps, &mut side)?;
            }
            let now = [*at as f64, side.minimum(), side.peak_mib];
            let exponents = found.last().map_or([String::new(), String::new()], |before| {
                [1, 2].map(|i| format!("{:.2}", (now[i] / before[i]).ln() / (now[0] / before[0]).ln()))
            });
            out!("| {at} | {:.3} | {:.0} | {} | {} |", now[1], now[2], exponents[0], exponents[1])?;
            found.push(now);
        }
        out!("")?;
        let path = folder.join(format!("{}.svg", axis.name.replace(' ', "-")));
        let picture = draw(axis, &found)
            .map_err(|error| CliError::File { path: path.clone(), problem: format!("cannot be drawn: {error}") })?;
        std::fs::write(&path, picture).map_err(|source| CliError::Io { action: "cannot write", path, source })?;
    }
    Ok(())
}

/// Time on the left, memory on the right, both from zero.
fn draw(axis: &Axis, points: &[[f64; 3]]) -> Result<String, Box<dyn std::error::Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (720, 280)).into_drawing_area();
        area.fill(&WHITE)?;
        let halves = area.split_evenly((1, 2));
        for (half, (column, name)) in halves.iter().zip([(1, "seconds a step"), (2, "peak MiB")]) {
            let top = |column: usize| points.iter().map(|point| point[column]).fold(0.0, f64::max) * 1.08;
            let mut chart = ChartBuilder::on(half)
                .margin(10)
                .x_label_area_size(36)
                .y_label_area_size(52)
                .build_cartesian_2d(0.0..top(0), 0.0..top(column))?;
            chart
                .configure_mesh()
                .light_line_style(WHITE)
                .bold_line_style(RGBColor(228, 228, 228))
                .axis_style(RGBColor(120, 120, 120))
                .x_labels(6)
                .x_label_formatter(&|x| format!("{x:.0}"))
                .x_desc([axis.name, axis.unit].join(" ").trim_end())
                .y_desc(name)
                .label_style(("sans-serif", 12))
                .draw()?;
            let line: Vec<(f64, f64)> = points.iter().map(|point| (point[0], point[column])).collect();
            let colour = RGBColor(0, 114, 178);
            chart.draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(line.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
        area.present()?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_a_mark_for_every_point_and_figure() {
        let svg = draw(&AXES[1], &[[256.0, 1.0, 900.0], [512.0, 3.5, 1300.0]]).unwrap();
        assert!(svg.contains("image size px") && svg.contains("peak MiB"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4);
    }

    #[test]
    fn every_point_has_a_name_of_its_own_and_says_what_it_changes() {
        let names: std::collections::BTreeSet<_> = AXES.iter().flat_map(|axis| axis.points).map(|p| p.1.id).collect();
        assert_eq!(names.len(), AXES.iter().map(|axis| axis.points.len()).sum::<usize>());
        assert_eq!(case("size-1024").map(|case| case.size), Some(1024));
        assert_eq!(case("batch-4").map(|case| case.batch), Some(4));
        assert_eq!(case("rank-16").and_then(|case| case.rank), Some(16));
    }
}
