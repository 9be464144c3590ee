//! What an adapter did to each weight, in the weight's own spectrum.

use crate::attach::part_matrix;
use crate::config::Rank;
use crate::convert::update_matrix;
use crate::error::PeftError;
use crate::layer::{Adapter, Kind, outputs_inputs};
use crate::model::Snapshot;
use burn::module::Module;
use nalgebra::DMatrix;
use salt_linalg::{BatchOptions, Method, Svd, decompose_all};
use serde::Serialize;
use std::fmt;

/// The spectral report of an adapted module.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Inspection {
    /// Name of the active adapter.
    pub adapter: String,
    /// One row per adapted weight; parameters trained in full come without the spectral columns.
    pub layers: Vec<LayerInspection>,
}

/// One adapted weight `W` with its update `dW`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerInspection {
    /// Path in the module.
    pub path: String,
    /// The method.
    pub kind: &'static str,
    /// `||dW||_F / ||W||_F`.
    pub relative_size: f64,
    /// `None` for parameters that are no matrix.
    pub spectrum: Option<SpectralInspection>,
}

/// The update in the singular directions of the weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpectralInspection {
    /// `r`: the adapter's own cut, or that of the rule given for methods without one.
    pub rank: usize,
    /// `||U_r^T dW V_r||_F^2 / ||dW||_F^2`: how much of the update stays in the top subspaces; 0 for no update.
    pub top_share: f64,
    /// `exp(-sum p ln p)` with `p` the update's singular values over their sum (Roy and Vetterli 2007); 0 for no update.
    pub effective_rank: f64,
    /// Largest principal angle between the top-r left subspaces of `W` and `W + dW`, in degrees.
    pub largest_left_angle: f64,
    /// The same on the right.
    pub largest_right_angle: f64,
    /// Root mean square of the left angles, in degrees.
    pub mean_left_angle: f64,
    /// Root mean square of the right angles, in degrees.
    pub mean_right_angle: f64,
}

/// Inspects the active adapter. `rank` gives `r` for methods that have no cut of their own.
///
/// # Errors
/// [`PeftError::UnknownAdapter`] without an active adapter, [`PeftError::Decomposition`], [`PeftError::RankRule`].
pub fn inspect<M: Module>(module: &M, rank: Rank) -> Result<Inspection, PeftError> {
    let snapshot = Snapshot::take(module)?;
    let mut adapter = None;
    let mut layers = Vec::new();
    for site in &snapshot.sites {
        let Some(entry) = site.active() else { continue };
        adapter.get_or_insert_with(|| entry.spec.adapter.clone());
        let kind = entry.spec.parts.first().map(|part| part.kind);
        let name = kind.as_ref().map_or("", Kind::name);
        if let [Adapter::Full(full)] = entry.parts.as_slice() {
            let value = crate::manage::floats(
                &site.path,
                full.value.reshaped::<1>([site.shape.iter().product::<usize>()].into()).into_data(),
            )?;
            let base = crate::manage::floats(&site.path, site.data()?)?;
            let change: f64 = value.iter().zip(&base).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
            let size: f64 = base.iter().map(|b| f64::from(*b).powi(2)).sum();
            layers.push(LayerInspection {
                path: site.path.clone(),
                kind: name,
                relative_size: ratio(change.sqrt(), size.sqrt()),
                spectrum: None,
            });
            continue;
        }
        let [outputs, _] = outputs_inputs(entry.spec.layout, &site.shape);
        let weight = part_matrix(&site.data()?, &site.shape, entry.spec.layout, 0, outputs)
            .map_err(|reason| PeftError::Values { path: site.path.clone(), reason })?;
        let update = update_matrix(site, entry)?;
        let own = match (kind, entry.spec.parts.len()) {
            (Some(Kind::Salt { svd_rank, .. }), 1) if svd_rank > 0 => Some(svd_rank),
            _ => None,
        };
        let spectrum = spectrum(&site.path, &weight, &update, own, &rank)?;
        let relative_size = ratio(norm(&update), norm(&weight));
        layers.push(LayerInspection { path: site.path.clone(), kind: name, relative_size, spectrum: Some(spectrum) });
    }
    let adapter = adapter.ok_or_else(|| PeftError::UnknownAdapter {
        name: "(the active one)".into(),
        attached: snapshot.adapter_names(),
    })?;
    Ok(Inspection { adapter, layers })
}

fn norm(matrix: &DMatrix<f32>) -> f64 {
    matrix.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { part }
}

fn spectrum(
    path: &str,
    weight: &DMatrix<f32>,
    update: &DMatrix<f32>,
    own: Option<usize>,
    rule: &Rank,
) -> Result<SpectralInspection, PeftError> {
    let adapted = weight + update;
    let matrices = [weight, &adapted, update];
    let svds: Vec<Svd<f32>> = decompose_all(&matrices, &BatchOptions::new(Method::Thin), |_| {})
        .map_err(|error| PeftError::Decomposition { path: path.to_owned(), source: error.source })?;
    let [before, after, change] =
        <[Svd<f32>; 3]>::try_from(svds).map_err(|_| PeftError::foreign(path, "a decomposition is missing"))?;
    let k = before.rank();
    let rank = match (own, rule) {
        (Some(rank), _) => rank,
        (None, rule) => match (rule.without_values(k), rule) {
            (Some(rank), _) => rank.clamp(1, k),
            (None, Rank::Rule(rule)) => rule
                .select(before.singular_values.as_slice(), weight.nrows(), weight.ncols())
                .map_err(|source| PeftError::RankRule { path: path.to_owned(), source })?,
            (None, Rank::Fixed(rank)) => (*rank).clamp(1, k),
        },
    };
    let (u, v_t) = (before.u.columns(0, rank), before.v_t.rows(0, rank));
    let inside = u.transpose() * update * v_t.transpose();
    let total = norm(update);
    let (largest_left, mean_left) = angles(&(u.transpose() * after.u.columns(0, rank)), path)?;
    let (largest_right, mean_right) = angles(&(v_t * after.v_t.rows(0, rank).transpose()), path)?;
    Ok(SpectralInspection {
        rank,
        top_share: if total > 0.0 { (norm(&inside) / total).powi(2).min(1.0) } else { 0.0 },
        effective_rank: effective_rank(change.singular_values.as_slice()),
        largest_left_angle: largest_left,
        largest_right_angle: largest_right,
        mean_left_angle: mean_left,
        mean_right_angle: mean_right,
    })
}

fn effective_rank(sigma: &[f32]) -> f64 {
    let sum: f64 = sigma.iter().map(|value| f64::from(*value)).sum();
    if sum <= 0.0 {
        return 0.0;
    }
    let entropy: f64 =
        sigma.iter().map(|value| f64::from(*value) / sum).filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum();
    entropy.exp()
}

/// Largest and root-mean-square principal angle, in degrees, from the product of two orthonormal bases.
///
/// The cosines are its singular values (Bjoerck and Golub 1973); in single precision angles below about 0.03 degrees read as zero.
fn angles(product: &DMatrix<f32>, path: &str) -> Result<(f64, f64), PeftError> {
    let svd =
        salt_linalg::thin_svd(product).map_err(|source| PeftError::Decomposition { path: path.to_owned(), source })?;
    let angles: Vec<f64> =
        svd.singular_values.iter().map(|cosine| f64::from(*cosine).clamp(0.0, 1.0).acos().to_degrees()).collect();
    let largest = angles.iter().copied().fold(0.0, f64::max);
    let mean = (angles.iter().map(|angle| angle * angle).sum::<f64>() / angles.len() as f64).sqrt();
    Ok((largest, mean))
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|layer| layer.path.len()).max().unwrap_or(4).max(4);
        writeln!(f, "adapter {}", self.adapter)?;
        writeln!(
            f,
            "{:width$}  {:6}  {:>10}  {:>5}  {:>9}  {:>8}  {:>10}  {:>10}",
            "path", "method", "|dW|/|W|", "r", "top share", "eff.rank", "left angle", "right angle"
        )?;
        for layer in &self.layers {
            write!(f, "{:width$}  {:6}  {:>10.3e}", layer.path, layer.kind, layer.relative_size)?;
            match &layer.spectrum {
                None => writeln!(f)?,
                Some(s) => writeln!(
                    f,
                    "  {:>5}  {:>8.1}%  {:>8.1}  {:>10.3}  {:>10.3}",
                    s.rank,
                    100.0 * s.top_share,
                    s.effective_rank,
                    s.largest_left_angle,
                    s.largest_right_angle
                )?,
            }
        }
        Ok(())
    }
}
