//! The counts of the classic networks in the main table, for the very rows that `reproduce` trains.

use super::{Verdict, trained_rows};
use crate::error::{Result, StudyError};
use crate::methods::Family;
use crate::numbers::thousands;
use crate::published::Published;
use seg_baselines::BaselineError;
use serde::Serialize;

/// A network beside the row of the main table that has its name.
#[derive(Debug, Serialize)]
pub struct Network {
    /// The row's id in a comparison.
    pub id: String,
    /// The method's name in print.
    pub name: &'static str,
    /// What the paper prints.
    pub published: String,
    /// Parameters in the module tree.
    pub count: usize,
    /// How the two compare.
    pub verdict: Verdict,
    /// Why.
    pub why: &'static str,
}

const ROUNDS: &str = "the count to the digits printed";
const TRUNCATED: &str = "the count with its digits cut off, as the 241M are";
const COARSE: &str = "the digits cut off, without a decoder: MONAI's default, whose map is 32 x 32";
const DECODER: &str = "with its decoder, which one would rather train under this name";
const RESNET: &str = "the digits cut off, on ResNet-101: the only configuration found that fits";
const MIX: &str = "on its own encoder MiT-B3, which one would rather train under this name";

/// What the paper calls a row, and what is known of its count.
fn printed(id: &str) -> Option<(&'static str, &'static str)> {
    Some(match id {
        "unet" => ("U-Net", ROUNDS),
        "unetr" => ("UNETR", TRUNCATED),
        "regunet" => ("RegUNet", COARSE),
        "regunet-decoder" => ("RegUNet", DECODER),
        "segnet" => ("SegNet", ROUNDS),
        "deeplabv3-plus" => ("DeepLabV3+", TRUNCATED),
        "segformer" => ("SegFormer", RESNET),
        "segformer-mit-b3" => ("SegFormer", MIX),
        _ => return None,
    })
}

/// Every classic network of the paper's profile: three channels in, one map out, 512 x 512.
pub(super) fn networks() -> Result<Vec<Network>> {
    let fails = |error: BaselineError| StudyError::Plan(error.to_string());
    let published = Published::paper()?;
    let table = published.table("main").ok_or_else(|| StudyError::Plan("paper.toml has no table main".into()))?;
    let mut networks = Vec::new();
    for own in trained_rows()?.into_iter().filter(|row| row.family == Family::Classic) {
        let unknown = || StudyError::Plan(format!("the row {} is none of the paper's", own.id));
        let (name, why) = printed(&own.id).ok_or_else(unknown)?;
        let row = table.rows.iter().find(|row| row.method == name);
        let row = row.ok_or_else(|| StudyError::Plan(format!("paper.toml: table main has no {name}")))?;
        let config = own.network.as_ref().ok_or_else(unknown)?.config(512)?;
        let count = config.num_parameters().map_err(fails)?;
        // "100% / 6.5M" or "91M".
        let published = row.trained.rsplit(" / ").next().unwrap_or_default().to_string();
        let verdict = Verdict::of(count as f64 / 1e6, published.trim_end_matches('M'));
        networks.push(Network { id: own.id, name, published, count, verdict, why });
    }
    Ok(networks)
}

/// Writes them as a table.
pub(super) fn write(f: &mut std::fmt::Formatter<'_>, networks: &[Network]) -> std::fmt::Result {
    writeln!(f, "Networks trained from scratch, three channels at 512 x 512")?;
    writeln!(f, "{:20} {:12} {:>9} {:>12}  {:17} why", "network", "row", "published", "parameters", "verdict")?;
    for network in networks {
        let Network { id, name, published, count, verdict, why } = network;
        writeln!(f, "{id:20} {name:12} {published:>9} {:>12}  {:17} {why}", thousands(*count), verdict.text())?;
    }
    Ok(())
}
