//! Parameter-efficient fine-tuning for any Burn module: SALT, SVD tuning (S-SAM), LoRA, rsLoRA, DoRA, and the plain choices (biases,
//! norms, named parameters, everything).
//!
//! [`attach`] takes any module and a [`AdapterConfig`] that names weights by their path. The module needs no change and does not know:
//! adapters hang on its parameters as Burn reparameterizations, so every layer that asks for its weight gets `W'` instead of `W`.
//! The base is frozen: it gets no gradient, no optimiser state, and keeps its bits until it is dropped. Parameters trained in full (norms,
//! positions, a decoder) get a trained stand-in in the same way, so that they too are switched, saved and undone with their adapter.
//!
//! ```
//! use burn::nn::LinearConfig;
//! use burn::tensor::{Device, Distribution, Tensor};
//! use salt_peft::{AdapterConfig, AttachOptions, attach, merge, plan, trainable_report};
//!
//! let device = Device::default().autodiff();
//! let layer = LinearConfig::new(16, 24).init(&device);
//! let x = Tensor::<2>::random([4, 16], Distribution::Normal(0.0, 1.0), &device);
//! let before = layer.forward(x.clone());
//!
//! // The four largest singular values get a scale and a shift, the other twelve an update of rank 2.
//! let config = AdapterConfig::salt(4, 2);
//! print!("{}", plan(&layer, &config)?); // a dry run: what would be adapted
//! let (adapted, _) = attach(layer, &config, &AttachOptions::default())?;
//! assert_eq!(trainable_report(&adapted)?.trainable, 2 * 4 + 2 * 2 * 12);
//! assert_eq!(adapted.forward(x.clone()).into_data(), before.into_data()); // at step 0, the base itself
//!
//! // Train as ever: only the adapter gets gradients. Then fold it into a plain weight, or take the base back.
//! let grads = adapted.forward(x).square().sum().backward();
//! assert!(adapted.weight.base().grad(&grads).is_none());
//! let merged = merge(adapted)?;
//! let _plain = merged.module().weight.val();
//! let _adapted_again = merged.unmerge();
//! # Ok::<(), salt_peft::PeftError>(())
//! ```
//!
//! What to reach for:
//!
//! * before training: [`plan()`] (a dry run from shapes), [`check`] (the same with a look at the values), [`attach`], [`trainable_report`];
//! * for evaluation: [`materialize`], once. `module.valid()` alone keeps the adapters and rebuilds every weight at every call;
//! * files: [`save_adapter`] and [`load_adapter`], in Hugging Face PEFT's two-file form; LoRA and DoRA are exchanged with PEFT both ways;
//! * afterwards: [`merge`] and [`Merged::unmerge`], [`switch`], [`disable`] and [`remove`] for several named adapters, [`to_lora`], [`inspect`];
//! * when a loss is no longer finite: [`first_non_finite`] and [`first_non_finite_gradient`] name the place;
//! * for speed, where a model calls its layers through `burn_kernels::layer`: the adapter answers with the layer's own output in its cheapest
//!   exact form ([`linear_form`]); on devices that multiply in f16, [`store_frozen_in_half`].
//!
//! A model must read its weights through `Param::val`, as Burn's layers do; code that dereferences a parameter sees the base.
//! Weights are single precision on disk and in decompositions; factors have the number type of their base.
//!
//! The equations with their functions and tests are in `docs/peft.md`.

mod at_rest;
mod attach;
mod check;
mod config;
mod convert;
mod cost;
mod decompose;
mod error;
mod file;
mod forward;
mod half;
mod initial;
mod inspect;
mod kept;
mod layer;
mod manage;
mod model;
mod nonfinite;
mod pattern;
mod plan;
mod random;
mod report;
mod tail_path;

pub use attach::{AttachOptions, AttachReport, DEFAULT_ADAPTER, attach};
pub use check::check;
pub use config::{AdapterConfig, Decomposition, Initialization, Layout, Method, Rank, SaltForm, Sketch, Slices};
pub use convert::{Conversion, ConversionRow, to_lora};
pub use cost::{LinearForm, LinearShape, linear_cost, linear_form};
pub use error::{Difference, PeftError};
pub use file::{
    BasisStorage, CONFIG_FILE, KeyMap, LoadOptions, LoadReport, SaveOptions, WEIGHTS_FILE, load_adapter, save_adapter,
};
pub use forward::{conv2d_by, linear_by};
pub use half::store_frozen_in_half;
pub use inspect::{Inspection, LayerInspection, SpectralInspection, inspect};
pub use kept::kept_numbers;
pub use layer::{
    Adapter, AdapterSlot, AnyRank, Basis, BasisRecord, Delta, Dora, Full, Kind, LayerSpec, Lora, PartSpec, Projector,
    SLOT_NAME, Salt, SvdTuning, Tail, Top,
};
pub use manage::{
    MergeReport, Merged, active_adapter, adapter_names, disable, materialize, merge, merge_report, remove, switch,
};
pub use nonfinite::{NonFinite, first_non_finite, first_non_finite_gradient};
pub use plan::{Plan, PlannedLayer, PlannedParameter, PlannedPart, plan};
pub use report::{LayerRow, TrainableReport, trainable_report};
pub use salt_linalg::{BasisCache, Iteration, RankRule};
pub use tail_path::{TailPath, tail_cost, tail_path};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
