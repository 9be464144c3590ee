//! `cargo xtask bench`: training steps and inference timed, beside PyTorch where it is at hand.

mod cases;
mod measure;
mod scaling;

use super::CommandResult;
use burn_kernels::check_precision;
use cases::{CASES, Case};
use measure::Figures;
use salt_cli::{CliError, out};
use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// Instead of the table: how time and memory of a SALT step grow with batch, image size and rank, as a table and one picture per
    /// axis in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["peers", "cases"])]
    scaling: Option<PathBuf>,
    /// Run one case in this process and print its figures as JSON
    #[arg(long, hide = true)]
    single: Option<String>,
}

/// What our programs ask of glibc's allocator, as variables of the environment.
const KEPT_MEMORY: [(&str, &str); 2] =
    [("MALLOC_MMAP_THRESHOLD_", "1073741824"), ("MALLOC_TRIM_THRESHOLD_", "2147483647")];

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
        let figures = scaling::case(id).map_or_else(|| find(id), Ok)?.measure(args.steps)?;
        out!("{}", super::json(&figures)?.replace('\n', " "))?;
        return Ok(());
    }
    if let Some(folder) = &args.scaling {
        return scaling::run(folder, &args);
    }
    let cases: Vec<&Case> = match args.cases.is_empty() {
        true => CASES.iter().collect(),
        false => args.cases.iter().map(|id| find(id)).collect::<Result<_, _>>()?,
    };
    out!(
        "| case | ours, s: minimum, median | PyTorch, s: minimum, median | ratio of minima | peak MiB, ours / PyTorch |"
    )?;
    out!("|---|---|---|---|---|")?;
    for case in cases {
        out!("{}", case.compare(&args)?)?;
    }
    Ok(())
}

impl Case {
    /// Runs ours in a process of its own and adds its figures.
    fn run_once(&self, steps: &str, side: &mut Side) -> CommandResult {
        let program = std::env::current_exe().map_err(|source| CliError::Io {
            action: "cannot find",
            path: "the running program".into(),
            source,
        })?;
        side.add(figures(Command::new(program).args(["bench", "--single", self.id, "--steps", steps]))?);
        Ok(())
    }

    /// A line of the table.
    fn compare(&self, args: &Args) -> Result<String, CliError> {
        if let Err(error) = check_precision(self.precision) {
            return Ok(format!("| {} | not on this machine: {error} | | | |", self.what));
        }
        let mut ours = Side::default();
        // Each variant with glibc's allocator as it comes, and with ours' settings.
        let mut peers: Vec<Side> = (0..2 * self.peers.len()).map(|_| Side::default()).collect();
        let steps = args.steps.to_string();
        for _ in 0..args.rounds {
            self.run_once(&steps, &mut ours)?;
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
