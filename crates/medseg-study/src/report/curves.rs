//! Learning curves as SVG.

use crate::error::{Result, StudyError};
use medseg_train::log::EpochRecord;
use plotters::prelude::*;

/// Distinguishable in print and for colour-blind readers (Okabe and Ito).
pub(crate) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(120, 120, 120),
    RGBColor(0, 0, 0),
];

/// Draws validation Dice over epochs, one line per named curve, as an SVG document of 720 x 360 units.
///
/// # Errors
/// The plot could not be drawn.
pub fn validation_curves(title: &str, curves: &[(String, Vec<EpochRecord>)]) -> Result<String> {
    let lines: Vec<(String, Vec<(f64, f64)>)> = curves
        .iter()
        .map(|(name, epochs)| {
            let points = epochs.iter().filter_map(|e| e.validation_dice.map(|dice| ((e.epoch + 1) as f64, dice)));
            (name.clone(), points.filter(|(_, dice)| dice.is_finite()).collect())
        })
        .collect();
    draw(title, "epoch", "validation Dice", &lines, Some((0.0, 1.0)))
}

/// Draws the training loss over epochs, as [`validation_curves`].
///
/// # Errors
/// The plot could not be drawn.
pub fn loss_curves(title: &str, curves: &[(String, Vec<EpochRecord>)]) -> Result<String> {
    let lines: Vec<(String, Vec<(f64, f64)>)> = curves
        .iter()
        .map(|(name, epochs)| {
            let points = epochs.iter().map(|e| ((e.epoch + 1) as f64, e.loss)).filter(|(_, loss)| loss.is_finite());
            (name.clone(), points.collect())
        })
        .collect();
    draw(title, "epoch", "training loss", &lines, None)
}

fn draw(
    title: &str,
    x_name: &str,
    y_name: &str,
    lines: &[(String, Vec<(f64, f64)>)],
    y_range: Option<(f64, f64)>,
) -> Result<String> {
    let points = || lines.iter().flat_map(|(_, points)| points.iter());
    let last = points().map(|point| point.0).fold(2.0, f64::max);
    let top = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let (low, high) = y_range.unwrap_or((0.0, top * 1.05));
    let mut svg = String::new();
    let drawn: std::result::Result<(), Box<dyn std::error::Error>> = (|| {
        let area = SVGBackend::with_string(&mut svg, (720, 360)).into_drawing_area();
        area.fill(&WHITE)?;
        let (plot, legend) = area.split_horizontally(540);
        let mut chart = ChartBuilder::on(&plot)
            .margin(8)
            .caption(title, ("sans-serif", 15))
            .x_label_area_size(36)
            .y_label_area_size(48)
            .build_cartesian_2d(1.0..last, low..high)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(228, 228, 228))
            .axis_style(RGBColor(120, 120, 120))
            .x_labels((last as usize).min(10))
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .x_desc(x_name)
            .y_desc(y_name)
            .label_style(("sans-serif", 12))
            .draw()?;
        for (index, (name, points)) in lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 2, colour.filled())))?;
            let y = 30 + 20 * index as i32;
            legend.draw(&PathElement::new([(4, y), (24, y)], colour.stroke_width(3)))?;
            legend.draw(&Text::new(name.clone(), (30, y - 6), ("sans-serif", 12)))?;
        }
        area.present()?;
        Ok(())
    })();
    drawn.map_err(|error| StudyError::Plot { title: title.into(), problem: error.to_string() })?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_shows_its_name_and_one_mark_per_validation() {
        let curve: Vec<EpochRecord> = (0..5)
            .map(|epoch| EpochRecord {
                epoch,
                loss: 1.0,
                learning_rate: 0.1,
                validation_dice: (epoch != 2).then_some(0.1 * epoch as f64),
            })
            .collect();
        let svg = validation_curves("a & b", &[("SALT".into(), curve)]).unwrap();
        assert!(svg.contains("SALT") && svg.contains("a &amp; b"), "{svg}");
        assert_eq!(svg.matches("<circle").count(), 4);
    }

    #[test]
    fn an_empty_or_diverged_curve_is_still_a_picture() {
        let nan = EpochRecord { epoch: 0, loss: f64::NAN, learning_rate: 0.1, validation_dice: Some(f64::NAN) };
        assert!(loss_curves("t", &[("x".into(), vec![nan])]).unwrap().contains("</svg>"));
        assert!(validation_curves("t", &[]).unwrap().contains("</svg>"));
    }
}
