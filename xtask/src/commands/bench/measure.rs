//! One case, timed in this process.

use super::cases::{Case, Method, Model};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use burn_kernels::{keep_packed, use_precision};
use medseg_study::{TableChoice, rows};
use medseg_train::config::{Architecture, ModelConfig};
use medseg_train::losses::WeightedLoss;
use medseg_train::model::BaseModel;
use medseg_train::optimizer::OptimizerConfig;
use medseg_train::train::checkpointed_gradients;
use salt_cli::CliError;
use salt_peft::AdapterConfig;
use sam_model::SamVariant;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What one run printed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Of each timed step.
    pub(super) seconds: Vec<f64>,
    /// Peak resident memory of the process.
    pub(super) peak_mib: f64,
    /// Of what was timed.
    pub(super) version: String,
}

impl Case {
    /// Times the case in this process.
    pub(super) fn measure(&self, steps: u32) -> Result<Figures, CliError> {
        use_precision(self.precision).map_err(|error| CliError::Usage(format!("{}: {error}", self.id)))?;
        keep_packed(if self.keep_packed { usize::MAX } else { 0 });
        let device = Device::default();
        let model = ModelConfig {
            base: "random".into(),
            architecture: match self.model {
                Model::Paper | Model::Sam => Architecture::VitB,
                Model::Mini => Architecture::Mini,
                Model::Sam2 => Architecture::Sam2BasePlus,
            },
            variant: if self.model == Model::Paper { SamVariant::Paper } else { SamVariant::Sam },
            ..ModelConfig::default()
        };
        let base = BaseModel::load(&model, self.size, &device)?;
        let random =
            |shape: [usize; 4], device: &Device| Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device);
        let shape = [self.batch, 3, self.size, self.size];
        let mut seconds = Vec::new();
        match self.method {
            Method::Inference => {
                let segmenter = base.segmenter();
                let sam = &segmenter.require_sam("its image encoder")?.sam;
                let images = random(shape, &device);
                for _ in 0..=steps {
                    let start = Instant::now();
                    let embedding = sam.encode_image(images.clone()).map_err(medseg_train::TrainError::from)?;
                    let _ = embedding.sum().into_scalar::<f32>();
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
            Method::Row(id) => {
                let mut adapter = adapter(&base, id)?;
                // Any start of the trained factors does for timing; this one needs no look at the values.
                adapter.lora_rank = self.rank.unwrap_or(adapter.lora_rank.max(1));
                let device = device.autodiff();
                let base = base.at_rest(Some(&adapter), &std::env::temp_dir())?;
                let mut segmenter = base.adapted(Some(&adapter), &device)?.segmenter;
                drop(base);
                let images = random(shape, &device);
                let masks = random([self.batch, 1, self.size, self.size], &device).greater_elem(1.28).float();
                let (loss, mut optimizer) = (WeightedLoss::default(), OptimizerConfig::default().init());
                for _ in 0..=steps {
                    let start = Instant::now();
                    let loss = |logits| loss.forward(logits, masks.clone(), None);
                    let gradients = if self.checkpointing {
                        checkpointed_gradients(&segmenter, images.clone(), 1.0, loss)?.0
                    } else {
                        GradientsParams::from_grads(loss(segmenter.forward(images.clone())?)?.backward(), &segmenter)
                    };
                    segmenter = optimizer.step(1e-4, segmenter, gradients);
                    burn_kernels::release_set_aside();
                    seconds.push(start.elapsed().as_secs_f64());
                }
            }
        }
        // The first step allocates and is left out.
        seconds.remove(0);
        Ok(Figures { seconds, peak_mib: peak_mib(), version: format!("SALT-rs {}", env!("CARGO_PKG_VERSION")) })
    }
}

fn adapter(base: &BaseModel, id: &str) -> Result<AdapterConfig, CliError> {
    let found = rows(TableChoice::All, base.config()?, true)?.into_iter().find(|row| row.id == id);
    found.and_then(|row| row.adapter).ok_or_else(|| CliError::Usage(format!("no method {id:?} that trains")))
}

/// Peak resident memory of this process; none where the system does not tell.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok())
        .map_or(f64::NAN, |kib| kib / 1024.0)
}
