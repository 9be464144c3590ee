//! A fixed rank with as many trained parameters as a rule's.

use super::profile::Profile;
use crate::error::{Result, StudyError};
use crate::methods::{MethodRow, TableChoice, rows};
use burn::tensor::Device;
use medseg_train::model::BaseModel;
use salt_peft::{AdapterConfig, Rank};

/// Steps in which shares are tried: finer than one singular value of every weight of the largest model.
const STEPS: usize = 4096;

/// Gives every row that is to have as many parameters as another the share of singular values that comes nearest.
///
/// # Errors
/// The other row does not fit the model, or is not there.
pub(super) fn match_parameters(
    chosen: &mut [MethodRow],
    table: TableChoice,
    profile: &Profile,
    base: &BaseModel,
    device: &Device,
) -> Result<()> {
    for row in chosen.iter_mut() {
        let (Some(other), Some(adapter)) = (row.as_many_as.clone(), &mut row.adapter) else { continue };
        // It need not be among the chosen.
        let mut known = rows(table, base.config()?, profile.released)?;
        known.extend(rows(TableChoice::FutureWork, base.config()?, profile.released)?);
        let model = known.into_iter().find(|row| row.id == other).and_then(|row| row.adapter);
        let model = model.ok_or_else(|| StudyError::Plan(format!("{}: no row {other}", row.id)))?;
        let (wanted, _) = base.counts(Some(&model), device)?;
        adapter.svd_rank = Rank::fraction(share(adapter, wanted, base, device)?);
    }
    Ok(())
}

/// The share whose number of trained parameters is nearest to the wanted one. More scaled values leave less to the update, so the number
/// falls, or rises, throughout.
fn share(adapter: &AdapterConfig, wanted: usize, base: &BaseModel, device: &Device) -> Result<f64> {
    let of = |step: usize| step as f64 / STEPS as f64;
    let count = |step: usize| -> Result<usize> {
        let tried = AdapterConfig { svd_rank: Rank::fraction(of(step)), ..adapter.clone() };
        Ok(base.counts(Some(&tried), device)?.0)
    };
    let (mut low, mut high) = (1, STEPS);
    let rises = count(low)? < count(high)?;
    while high - low > 1 {
        let middle = low.midpoint(high);
        if (count(middle)? < wanted) == rises {
            low = middle;
        } else {
            high = middle;
        }
    }
    let far = |step: usize| Ok::<usize, StudyError>(count(step)?.abs_diff(wanted));
    Ok(of(if far(low)? <= far(high)? { low } else { high }))
}
