//! The adapters as they are before the first step.

use crate::config::{Initialization, Layout, SaltForm};
use crate::decompose::{Decomposed, SIGN_RULE};
use crate::layer::{
    Adapter, AnyRank, Basis, BasisRecord, Dora, Full, Kind, Lora, Projector, Salt, SvdTuning, Tail, Top,
};
use crate::layer::{row_norms, trained};
use crate::random::{hash64, normal, uniform};
use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, Tensor, TensorData};
use keyed_random::Stream;

/// Where new factors live, what they are called and how they are drawn.
#[derive(Debug)]
pub(crate) struct Factory<'a> {
    pub(crate) device: &'a Device,
    pub(crate) dtype: DType,
    pub(crate) seed: u64,
    pub(crate) initialization: Initialization,
    /// Whether the weight belongs to a convolution.
    pub(crate) convolution: bool,
    /// Path of the parameter, the adapter's name and the part.
    pub(crate) name: String,
}

/// Bound of PyTorch's Kaiming-uniform initialisation: `sqrt(6 / ((1 + a^2) fan_in))`.
fn kaiming(negative_slope_squared: f64, fan_in: usize) -> f64 {
    (6.0 / ((1.0 + negative_slope_squared) * fan_in as f64)).sqrt()
}

/// Standard deviation of the released code's random factors.
const RELEASED_DEVIATION: f64 = 0.01;

impl Factory<'_> {
    /// The identity of a factor: the same path, adapter and factor get the same one in every process.
    pub(crate) fn id(&self, factor: &str) -> ParamId {
        ParamId::from(hash64(&[b"salt-peft parameter", self.name.as_bytes(), factor.as_bytes()]))
    }

    fn ids(&self, block: &str) -> [ParamId; 3] {
        ["left", "sigma", "right"].map(|factor| self.id(&format!("{block}.basis.{factor}")))
    }

    /// Draws do not depend on the name of the adapter, so that the same configuration gives the same values under every name.
    fn stream(&self, factor: &str) -> Stream {
        let place = self.name.split_once('\u{0}').map_or(self.name.as_str(), |(place, _)| place);
        Stream::new(self.seed, 0, place, factor)
    }

    pub(crate) fn matrix(&self, factor: &str, values: Vec<f32>, shape: [usize; 2]) -> Param<Tensor<2>> {
        let data = TensorData::new(values, shape);
        trained(self.id(factor), Tensor::from_data(data, (self.device, self.dtype)))
    }

    pub(crate) fn vector(&self, factor: &str, values: Vec<f32>) -> Param<Tensor<1>> {
        let shape = [values.len()];
        trained(self.id(factor), Tensor::from_data(TensorData::new(values, shape), (self.device, self.dtype)))
    }

    fn lora(&self, prefix: &str, rank: usize, scale: f64, outputs: usize, inputs: usize) -> Lora {
        let stream = self.stream("a");
        let a = match self.initialization {
            Initialization::Identity => uniform(stream, rank * inputs, kaiming(5.0, inputs)),
            _ => normal(stream, rank * inputs, 1.0 / rank as f64),
        };
        Lora {
            a: self.matrix(&format!("{prefix}a"), a, [rank, inputs]),
            b: self.matrix(&format!("{prefix}b"), vec![0.0; outputs * rank], [outputs, rank]),
            scale,
        }
    }

    pub(crate) fn basis(&self, block: &str, svd: &Decomposed, range: std::ops::Range<usize>, layout: Layout) -> Basis {
        Basis::from_host(&svd.svd, range, layout, (self.device, self.dtype), self.ids(block))
    }

    fn top(&self, svd: &Decomposed, rank: usize, layout: Layout) -> Option<Top> {
        (rank > 0).then(|| Top {
            alpha: self.vector("top.alpha", vec![1.0; rank]),
            beta: self.vector("top.beta", vec![0.0; rank]),
            basis: self.basis("top", svd, 0..rank, layout),
        })
    }

    fn tail(&self, svd: &Decomposed, rank: usize, lora_rank: usize, layout: Layout) -> Option<Tail> {
        let k = svd.svd.sigma.len();
        let t = k - rank;
        (t > 0 && lora_rank > 0).then(|| {
            let (x, y) = self.update_pair("x", "y", t * lora_rank, lora_rank, lora_rank * t);
            Tail {
                x: self.matrix("tail.x", x, [t, lora_rank]),
                y: self.matrix("tail.y", y, [lora_rank, t]),
                basis: self.basis("tail", svd, rank..k, layout),
            }
        })
    }

    /// The two factors of SALT's update, of which the second is zero for the identity.
    fn update_pair(
        &self,
        random: &str,
        other: &str,
        random_len: usize,
        fan_in: usize,
        other_len: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let noisy = match self.initialization {
            Initialization::Identity => false,
            Initialization::ReleasedSam1 => true,
            Initialization::ReleasedSam2 => self.convolution,
        };
        if noisy {
            let draw = |factor, len| normal(self.stream(factor), len, RELEASED_DEVIATION);
            (draw(random, random_len), draw(other, other_len))
        } else {
            // The released code for SAM 2 asks for `a^2 = 20`, but for a ReLU, where PyTorch ignores it.
            let slope = if self.initialization == Initialization::ReleasedSam2 { 0.0 } else { 20.0 };
            (uniform(self.stream(random), random_len, kaiming(slope, fan_in)), vec![0.0; other_len])
        }
    }

    /// The adapter of one part: `base` is the part in storage order, for DoRA's magnitude.
    pub(crate) fn adapter(
        &self,
        kind: &Kind,
        [outputs, inputs]: [usize; 2],
        layout: Layout,
        svd: Option<&Decomposed>,
        base: impl FnOnce() -> Tensor<2>,
    ) -> Option<Adapter> {
        Some(match *kind {
            Kind::Lora { rank, scale } => Adapter::Lora(self.lora("", rank, scale, outputs, inputs)),
            Kind::Dora { rank, scale } => {
                let norms = row_norms(base().without_autodiff(), layout);
                let magnitude = Tensor::from_data(norms.into_data(), (self.device, self.dtype));
                Adapter::Dora(Dora {
                    direction: self.lora("direction.", rank, scale, outputs, inputs),
                    magnitude: trained(self.id("magnitude"), magnitude),
                })
            }
            Kind::Svd { relu } => {
                let svd = svd?;
                Adapter::Svd(SvdTuning { top: self.top(svd, svd.svd.sigma.len(), layout)?, relu })
            }
            Kind::Salt { svd_rank, lora_rank, form: SaltForm::Projector } => {
                let top = match svd_rank {
                    0 => None,
                    rank => self.top(svd?, rank, layout),
                };
                let (a, b) = self.update_pair("a", "b", lora_rank * inputs, inputs, outputs * lora_rank);
                Adapter::Projector(Projector {
                    top,
                    a: self.matrix("a", a, [lora_rank, inputs]),
                    b: self.matrix("b", b, [outputs, lora_rank]),
                })
            }
            Kind::Salt { svd_rank, lora_rank, form } => Adapter::Salt(Salt {
                top: self.top(svd?, svd_rank, layout),
                tail: self.tail(svd?, svd_rank, lora_rank, layout),
                form,
            }),
            Kind::Full | Kind::Delta => return None,
        })
    }

    /// A trained stand-in for a whole parameter.
    pub(crate) fn full(&self, base: &dyn std::any::Any) -> Option<Adapter> {
        let value = AnyRank::from_any(base)?.leaf(self.id("value"), true);
        Some(Adapter::Full(Full { value }))
    }
}

/// How the basis came about and how well the spectrum separates the two blocks after `rank`.
pub(crate) fn basis_record(svd: &Decomposed, rank: usize) -> BasisRecord {
    let sigma = |index: usize| svd.svd.sigma.get(index).copied();
    let at = rank.checked_sub(1).and_then(sigma);
    let after = sigma(rank);
    let relative_gap = at.zip(after).filter(|(at, _)| *at > 0.0).map(|(at, after)| (at - after) / at);
    BasisRecord {
        algorithm: svd.algorithm.clone(),
        sign_rule: SIGN_RULE.to_owned(),
        sigma_at_cut: at,
        sigma_after_cut: after,
        relative_gap,
        sketch: svd.sketch,
    }
}
