//! The adapters of one weight, as equations on the weight read as a matrix.
//!
//! A stored parameter `[d0, d1, ...]` is read as the matrix `[d0, d1 * ...]`. For [`Layout::OutIn`](crate::Layout::OutIn) that is the
//! `W [out, in]` of the papers; for [`Layout::InOut`](crate::Layout::InOut) (Burn's `Linear`) it is `W^T`, and every product is taken
//! transposed so that no weight is ever copied into another order.

mod adapter;
mod basis;
mod full;
mod low_rank;
mod matrix;
mod parameter;
mod salt;
mod slot;
mod spec;

pub use adapter::Adapter;
pub use basis::Basis;
pub use full::{AnyRank, Delta, Full};
pub use low_rank::{Dora, Lora};
pub use salt::{Projector, Salt, SvdTuning, Tail, Top};
pub use slot::{AdapterSlot, SLOT_NAME};
pub use spec::{BasisRecord, Kind, LayerSpec, PartSpec};

pub(crate) use adapter::Lookup;
pub(crate) use basis::HostSvd;
pub(crate) use low_rank::row_norms;
pub(crate) use matrix::{matrix_shape, outputs_inputs, transpose};
pub(crate) use parameter::trained;
pub(crate) use salt::diagonal_matrix;
pub(crate) use slot::{Entry, TAG, are_dismantled, dismantled, effective};
