//! Statistics for small, clustered samples of metric values.

mod bootstrap;
mod moments;
mod normal;
mod power;
mod wilcoxon;

pub use bootstrap::{BootstrapOptions, Clusters, bootstrap_average, bootstrap_means};
pub use moments::{mean, median, standard_deviation};
pub use power::minimum_detectable_difference;
pub use wilcoxon::{SignedRank, holm, wilcoxon_signed_rank};
