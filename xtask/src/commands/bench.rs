//! `cargo xtask bench`: training steps and inference timed, beside PyTorch where it is at hand.

use super::CommandResult;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
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
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Time whole training steps and encoder inference, with the peak memory of the process, and print one table.
///
/// Each figure comes from a process of its own; rounds of ours and of PyTorch's alternate. Weights are random: only time and
/// memory count. Without `--peers` the table has our figures alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A Python with the packages `torch`, `torchvision`, `segment-anything-py` and, for the cases of SAM 2, `sam2`
    #[arg(long, value_name = "PYTHON")]
    peers: Option<PathBuf>,
    /// Only these cases
    #[arg(long, value_name = "CASE", value_delimiter = ',')]
    cases: Vec<String>,
    /// Rounds; ours and each peer run once in every round
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Timed steps of each run, after one that is not counted
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// Run one case in this process and print its figures as JSON
    #[arg(long, hide = true)]
    single: Option<String>,
}

/// One line of the table.
struct Case {
    id: &'static str,
    what: &'static str,
    method: Method,
    model: Model,
    size: usize,
    batch: usize,
    /// Whether the encoder's blocks are computed twice instead of kept.
    checkpointing: bool,
    /// Arguments of the peers' script, one list for each variant; the fastest one counts.
    peers: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq)]
enum Method {
    /// A row of the paper's main table.
    Row(&'static str),
    /// The encoder alone, without gradients.
    Inference,
}

#[derive(Clone, Copy, PartialEq)]
enum Model {
    /// ViT-B as the paper's code runs it.
    Paper,
    /// ViT-B with windows and relative positions.
    Sam,
    /// The demonstration's model.
    Mini,
    /// SAM 2, Hiera-B+, with everything that its image path has.
    Sam2,
}

const fn training(id: &'static str, what: &'static str, row: &'static str, peers: &'static [&'static str]) -> Case {
    Case { id, what, method: Method::Row(row), model: Model::Paper, size: 512, batch: 1, checkpointing: false, peers }
}

/// A SALT step of Hiera-B+ with the paper's high rank.
const fn sam2(id: &'static str, what: &'static str, peers: &'static [&'static str]) -> Case {
    Case { model: Model::Sam2, ..training(id, what, "sam2-salt-high", peers) }
}

const CASES: &[Case] = &[
    training("salt-256", "SALT-256 step; PyTorch rebuilds W'", "salt-high", &["--method salt --rank 256"]),
    training(
        "salt-256-spectral",
        "SALT-256 step; PyTorch in the spectral form",
        "salt-high",
        &["--method salt --rank 256 --form spectral"],
    ),
    training("salt-4", "SALT-4 step; PyTorch rebuilds W'", "salt-low", &["--method salt --rank 4"]),
    training("s-sam", "S-SAM step; PyTorch rebuilds W'", "s-sam", &["--method s-sam"]),
    training("lora-4", "LoRA-4 step", "lora-low", &["--method lora --rank 4"]),
    training("lora-256", "LoRA-256 step", "lora-high", &["--method lora --rank 256"]),
    training("full", "full fine-tuning step", "full", &["--method full", "--method full --attention eager"]),
    Case {
        batch: 2,
        ..training("salt-256-batch-2", "SALT-256 step, batch 2", "salt-high", &["--method salt --rank 256 --batch 2"])
    },
    Case {
        checkpointing: true,
        ..training(
            "salt-256-checkpointing",
            "SALT-256 step with activation checkpointing; PyTorch rebuilds W' and keeps all",
            "salt-high",
            &["--method salt --rank 256"],
        )
    },
    Case {
        checkpointing: true,
        batch: 2,
        ..training(
            "salt-256-batch-2-checkpointing",
            "SALT-256 step, batch 2, with activation checkpointing; PyTorch keeps all",
            "salt-high",
            &["--method salt --rank 256 --batch 2"],
        )
    },
    Case {
        method: Method::Inference,
        ..training("inference-512", "encoder inference, 512 px", "", &["--method inference"])
    },
    Case {
        method: Method::Inference,
        model: Model::Sam,
        size: 1024,
        ..training(
            "inference-1024",
            "encoder inference, 1024 px, windows and relative positions",
            "",
            &[
                "--method inference --variant sam --size 1024",
                "--method inference --variant sam --size 1024 --attention eager",
            ],
        )
    },
    Case {
        model: Model::Mini,
        size: 128,
        batch: 2,
        ..training(
            "mini-salt",
            "sam-mini, 128 px, batch 2, SALT step; PyTorch rebuilds W'",
            "salt-high",
            &["--model mini --variant sam --patch 8 --size 128 --batch 2 --method salt --rank 64"],
        )
    },
    sam2(
        "sam2-salt-256",
        "Hiera-B+, SALT-256 step; PyTorch rebuilds W'",
        &["--model hiera-b+ --method salt --rank 256"],
    ),
    sam2(
        "sam2-salt-256-spectral",
        "Hiera-B+, SALT-256 step; PyTorch in the spectral form",
        &["--model hiera-b+ --method salt --rank 256 --form spectral"],
    ),
    Case {
        size: 1024,
        ..sam2(
            "sam2-salt-256-1024",
            "Hiera-B+, SALT-256 step, 1024 px; PyTorch rebuilds W'",
            &["--model hiera-b+ --method salt --rank 256 --size 1024"],
        )
    },
    Case {
        method: Method::Inference,
        ..sam2("sam2-inference-512", "Hiera-B+, encoder inference, 512 px", &["--model hiera-b+ --method inference"])
    },
    Case {
        method: Method::Inference,
        size: 1024,
        ..sam2(
            "sam2-inference-1024",
            "Hiera-B+, encoder inference, 1024 px",
            &["--model hiera-b+ --method inference --size 1024"],
        )
    },
];

/// What our programs ask of glibc's allocator, as variables of the environment.
const KEPT_MEMORY: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "1073741824"), ("MALLOC_TRIM_THRESHOLD_", "2147483647")];

/// What one run printed.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    /// Of each timed step.
    seconds: Vec<f64>,
    /// Peak resident memory of the process.
    peak_mib: f64,
    /// Of what was timed.
    version: String,
}

/// The runs of one side.
#[derive(Debug, Default)]
struct Side {
    seconds: Vec<f64>,
    peak_mib: f64,
}

impl Side {
    fn add(&mut self, figures: Figures) {
        self.seconds.extend(figures.seconds);
        self.peak_mib = self.peak_mib.max(figures.peak_mib);
    }

    fn minimum(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let find = |id: &str| {
        CASES.iter().find(|case| case.id == id).ok_or_else(|| {
            let known: Vec<&str> = CASES.iter().map(|case| case.id).collect();
            CliError::Usage(format!("unknown case {id:?}; there are {}", known.join(", ")))
        })
    };
    if let Some(id) = &args.single {
        let figures = find(id)?.measure(args.steps)?;
        println!("{}", super::json(&figures)?.replace('\n', " "));
        return Ok(());
    }
    let cases: Vec<&Case> = match args.cases.is_empty() {
        true => CASES.iter().collect(),
        false => args.cases.iter().map(|id| find(id)).collect::<Result<_, _>>()?,
    };
    println!(
        "| case | ours, s: minimum, median | PyTorch, s: minimum, median | ratio of minima | peak MiB, ours / PyTorch |"
    );
    println!("|---|---|---|---|---|");
    for case in cases {
        println!("{}", case.compare(&args)?);
    }
    Ok(())
}

impl Case {
    /// A line of the table.
    fn compare(&self, args: &Args) -> Result<String, CliError> {
        let mut ours = Side::default();
        // Each variant with glibc's allocator as it comes, and with ours' settings.
        let mut peers: Vec<Side> = (0..2 * self.peers.len()).map(|_| Side::default()).collect();
        let program = std::env::current_exe().map_err(|source| CliError::Io {
            action: "cannot find",
            path: "the running program".into(),
            source,
        })?;
        let steps = args.steps.to_string();
        for _ in 0..args.rounds {
            ours.add(figures(Command::new(&program).args(["bench", "--single", self.id, "--steps", &steps]))?);
            let Some(python) = &args.peers else { continue };
            for (index, side) in peers.iter_mut().enumerate() {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/sam_step.py");
                let mut command = Command::new(python);
                command.arg(script).args(self.peers[index / 2].split(' ')).args(["--steps", &steps]);
                if index % 2 == 1 {
                    command.envs(KEPT_MEMORY);
                }
                side.add(figures(&mut command)?);
            }
        }
        let fastest = peers
            .iter()
            .filter(|side| !side.seconds.is_empty())
            .min_by(|one, two| one.minimum().total_cmp(&two.minimum()));
        let own = format!("{:.3}, {:.3}", ours.minimum(), ours.median());
        Ok(match fastest {
            None => format!("| {} | {own} | | | {:.0} |", self.what, ours.peak_mib),
            Some(peer) => format!(
                "| {} | {own} | {:.3}, {:.3} | {:.2} | {:.0} / {:.0} |",
                self.what,
                peer.minimum(),
                peer.median(),
                ours.minimum() / peer.minimum(),
                ours.peak_mib,
                peer.peak_mib
            ),
        })
    }

    /// Times the case in this process.
    fn measure(&self, steps: u32) -> Result<Figures, CliError> {
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
                adapter.lora_rank = adapter.lora_rank.max(1);
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

/// The figures that a command prints as its last line.
fn figures(command: &mut Command) -> Result<Figures, CliError> {
    let program = PathBuf::from(command.get_program());
    let output =
        command.output().map_err(|source| CliError::Io { action: "cannot run", path: program.clone(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| {
        let problem = format!("{error}; it printed {last:?} and {}", String::from_utf8_lossy(&output.stderr));
        CliError::File { path: program, problem }
    })
}

/// Peak resident memory of this process; none where the system does not tell.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok())
        .map_or(f64::NAN, |kib| kib / 1024.0)
}
