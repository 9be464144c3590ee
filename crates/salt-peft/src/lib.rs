//! Parameter-efficient fine-tuning for any Burn module: SALT, SVD tuning, LoRA, DoRA.

mod attach;
mod config;
mod convert;
mod cost;
mod decompose;
mod error;
mod file;
mod forward;
mod initial;
mod inspect;
mod layer;
mod manage;
mod model;
mod pattern;
mod plan;
mod random;
mod report;

pub use attach::{AttachOptions, AttachReport, DEFAULT_ADAPTER, attach};
pub use config::{AdapterConfig, Initialization, Layout, Method, Rank, SaltForm, Slices};
pub use convert::{ConversionRow, to_lora};
pub use cost::{LinearForm, LinearShape, TailPath, linear_cost, linear_form, tail_cost, tail_path};
pub use error::PeftError;
pub use file::{
    BasisStorage, CONFIG_FILE, KeyMap, LoadOptions, LoadReport, SaveOptions, WEIGHTS_FILE, load_adapter, save_adapter,
};
pub use forward::{conv2d, conv2d_by, linear, linear_by};
pub use inspect::{Inspection, LayerInspection, SpectralInspection, inspect};
pub use layer::{
    Adapter, AdapterSlot, AnyRank, Basis, BasisRecord, Delta, Dora, Full, Kind, LayerSpec, Lora, PartSpec, Projector,
    SLOT_NAME, Salt, SvdTuning, Tail, Top,
};
pub use manage::{
    MergeReport, Merged, active_adapter, adapter_names, disable, materialize, merge, merge_report, remove, switch,
};
pub use plan::{Plan, PlannedLayer, PlannedParameter, PlannedPart, plan};
pub use report::{LayerRow, TrainableReport, trainable_report};
pub use salt_linalg::RankRule;
