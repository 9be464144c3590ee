//! The dry run with the values: what [`attach`](crate::attach) would find wrong with a weight, without a decomposition.

use crate::config::{AdapterConfig, Layout};
use crate::error::PeftError;
use crate::layer::{Kind, outputs_inputs};
use crate::model::{Site, Snapshot};
use crate::plan::{Plan, PlannedLayer};
use burn::module::Module;
use burn::tensor::{DType, TensorData};
use std::collections::BTreeMap;

/// Says what [`attach`](crate::attach) would do, as [`plan`](crate::plan()) does, and looks at the values of the weights concerned.
///
/// The parameters that would be adapted or trained in full are read once and initialised where they were not; nothing is decomposed,
/// so this takes about as long as reading the weights.
///
/// # Errors
/// As [`plan`](crate::plan()), [`PeftError::NotFinite`] for a weight that holds NaN or an infinity, and [`PeftError::DoraRow`] for an
/// output whose weights are all zero, or so small or large that their norm cannot be computed.
pub fn check<M: Module>(module: &M, config: &AdapterConfig) -> Result<Plan, PeftError> {
    let snapshot = Snapshot::take(module)?;
    let plan = Plan::of(&snapshot, config)?;
    let sites = snapshot.sites.iter().map(|site| (site.path.as_str(), site)).collect();
    check_values(&plan, &sites)?;
    Ok(plan)
}

/// Looks at the values of every parameter that a plan adapts or trains.
pub(crate) fn check_values(plan: &Plan, sites: &BTreeMap<&str, &Site>) -> Result<(), PeftError> {
    for layer in &plan.layers {
        let site = sites[layer.path.as_str()];
        let values = finite(site)?;
        check_rows(layer, site.base.dtype(), &values)?;
    }
    for parameter in &plan.trained {
        finite(sites[parameter.path.as_str()])?;
    }
    Ok(())
}

/// The values of a parameter, all finite.
fn finite(site: &Site) -> Result<Vec<f64>, PeftError> {
    let values: Vec<f64> = site.data()?.iter::<f64>().collect();
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(index) => Err(PeftError::NotFinite {
            path: site.path.clone(),
            shape: site.shape.clone(),
            position: position(index, &site.shape),
            value: values[index],
        }),
    }
}

/// A position in row-major order as one index per axis.
pub(crate) fn position(mut index: usize, shape: &[usize]) -> Vec<usize> {
    let mut out = vec![0; shape.len()];
    for (place, size) in out.iter_mut().zip(shape).rev() {
        *place = index % size.max(&1);
        index /= size.max(&1);
    }
    out
}

/// The rows that DoRA would divide by their norm.
fn check_rows(layer: &PlannedLayer, dtype: DType, values: &[f64]) -> Result<(), PeftError> {
    let [outputs, inputs] = outputs_inputs(layer.layout, &layer.shape);
    // Place of an output's first weight, and the distance to its next one.
    let (start_of, step) = match layer.layout {
        Layout::OutIn => (inputs, 1),
        Layout::InOut => (1, outputs),
    };
    for part in layer.parts.iter().filter(|part| matches!(part.kind, Some(Kind::Dora { .. }))) {
        let square = |output: usize| {
            values.iter().skip(output * start_of).step_by(step).take(inputs).map(|value| value * value).sum()
        };
        let squares: Vec<f64> = (part.start..part.start + part.outputs).map(square).collect();
        check_norms(&layer.path, dtype, part.start, &squares)?;
    }
    Ok(())
}

/// Refuses squared norms that the number type does not hold; `start` is the output of the first.
pub(crate) fn check_norms(path: &str, dtype: DType, start: usize, squares: &[f64]) -> Result<(), PeftError> {
    let (lowest, highest) = match dtype {
        DType::F64 => (f64::MIN_POSITIVE, f64::MAX),
        DType::F16 => (6.103_515_625e-5, 65504.0),
        _ => (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX)),
    };
    let wrong: Vec<usize> = (0..squares.len()).filter(|row| !(lowest..=highest).contains(&squares[*row])).collect();
    match wrong.first() {
        None => Ok(()),
        Some(first) => Err(PeftError::DoraRow {
            path: path.to_owned(),
            rows: wrong.iter().take(5).map(|row| start + row).collect(),
            count: wrong.len(),
            norm: squares[*first].sqrt(),
            lowest: lowest.sqrt(),
            highest: highest.sqrt(),
        }),
    }
}

/// The squared norm of each row of a matrix `[rows, columns]`.
pub(crate) fn row_squares(data: &TensorData, columns: usize) -> Vec<f64> {
    let values: Vec<f64> = data.iter::<f64>().collect();
    values.chunks_exact(columns.max(1)).map(|row| row.iter().map(|value| value * value).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_row_major() {
        assert_eq!(position(0, &[2, 3]), [0, 0]);
        assert_eq!(position(4, &[2, 3]), [1, 1]);
        assert_eq!(position(23, &[2, 3, 4]), [1, 2, 3]);
        assert_eq!(position(0, &[]), [0; 0]);
    }
}
