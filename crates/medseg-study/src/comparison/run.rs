//! Everything loaded, and the cells run over the cores.

use super::cell::{CellInput, network_model};
use super::equal_parameters::match_parameters;
use super::give_up::RULE;
use super::observer::StudyObserver;
use super::plan::{Cell, plan};
use super::profile::Profile;
use crate::error::{Result, StudyError};
use crate::methods::{MethodRow, RowPrompt, TableChoice, chosen_rows};
use crate::results::{CellResult, GridPoint, MethodCard, Results, VERSION};
use medseg_train::check_room;
use medseg_train::config::Precision;
use medseg_train::data::{self, PreparedData};
use medseg_train::device;
use medseg_train::model::{Assets, BaseModel, BaseModelCard};
use medseg_train::train::{check_batches, choose_precision, disk_bytes, outcome_bytes};
use medseg_train::{StopFlag, TrainError};
use sam_model::{Protocol, SamConfig};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A profile with its data and models in memory.
#[derive(Debug)]
pub struct Comparison {
    /// The settings.
    pub profile: Profile,
    /// The methods.
    pub rows: Vec<MethodRow>,
    /// The cells.
    pub cells: Vec<Cell>,
    datasets: Vec<PreparedData>,
    base: BaseModel,
    /// The base of the rows that the reference prompts, where it is another.
    prompted: Option<BaseModel>,
    /// The base at its own input size, for the rows that prepare images in their own way, and the test images so prepared.
    own_way: Vec<OwnWay>,
    /// Random weights for the rows that start from them.
    random: BTreeMap<Start, BaseModel>,
    out: PathBuf,
}

/// A row's own way of preparing images.
#[derive(Debug)]
struct OwnWay {
    row: String,
    base: BaseModel,
    datasets: Vec<PreparedData>,
}

impl OwnWay {
    fn new(row: &MethodRow, protocol: Protocol, profile: &Profile, datasets: &[PreparedData]) -> Result<Self> {
        let device = device::open(&profile.template.devices[0])?;
        let model = profile.prompted_model();
        let size = BaseModel::native_size(&model)?;
        let prepared = datasets.iter().zip(&profile.datasets);
        let prepared = prepared.map(|(data, source)| data.test_prepared_as(&source.config, protocol, size));
        Ok(Self {
            row: row.id.clone(),
            base: BaseModel::load(&model, size, &device)?,
            datasets: prepared.collect::<medseg_train::Result<_>>()?,
        })
    }
}

/// Which random weights: the row whose network they are, or none for the base's architecture; the seed.
type Start = (Option<String>, u64);

fn start(row: &MethodRow, seed: u64) -> Start {
    (row.network.is_some().then(|| row.id.clone()), seed)
}

/// How the cells are run.
#[derive(Debug, Clone)]
pub struct Runner {
    /// Cells at a time. On a CPU each gets its share of the cores: a small model keeps one core busy but not two.
    pub jobs: usize,
    /// Raised to save everything and stop.
    pub stop: StopFlag,
}

impl Runner {
    /// One cell per core for a small model on the CPU, one at a time elsewhere.
    pub fn new(profile: &Profile, stop: StopFlag) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // The last of SAM 2's stages is eight times as wide as the first.
        let width = |config: SamConfig| config.embed_dim << if config.is_sam2() { 3 } else { 0 };
        let small = profile.expected_architecture().is_some_and(|config| width(config) <= 512);
        let cpu = profile.template.devices.iter().all(|name| name == "cpu");
        Self { jobs: if small && cpu { cores } else { 1 }, stop }
    }
}

impl Comparison {
    /// Loads the data (making synthetic sets under `out`) and the models, checks that every method fits the model, and plans.
    /// Decompositions are kept in `basis_cache`. This is all that a check needs: what fails later fails for want of disk, memory or power.
    ///
    /// # Errors
    /// Data that cannot be used (all problems listed), a model that does not load or is not of the kind that the table is about,
    /// a method that is unknown or does not fit, a folder that cannot be written.
    pub fn prepare(
        mut profile: Profile,
        table: TableChoice,
        methods: &[String],
        out: &Path,
        basis_cache: Option<&Path>,
    ) -> Result<Self> {
        if profile.datasets.is_empty() {
            return Err(StudyError::setting("data", "no data set to run on"));
        }
        if profile.rates.is_empty() || profile.seeds.is_empty() {
            return Err(StudyError::setting("rates", "at least one learning rate and one seed are needed"));
        }
        profile.rates.sort_by(f64::total_cmp);
        check_room(out, 0)?;
        let device = device::open(&profile.template.devices[0])?;
        let size = profile.datasets[0].config.image_size;
        let assets = Assets { cache: basis_cache, ..Assets::default() };
        let base = BaseModel::load_with(&profile.template.model, size, &device, &assets)?;
        let base = base.with_basis_cache(basis_cache);
        let mut rows = chosen_rows(table, base.config()?, profile.released, methods)?;
        match_parameters(&mut rows, table, &profile, &base, &device)?;
        let is_prompted =
            |row: &MethodRow| matches!(row.prompt, Some(RowPrompt::Reference(_))) && row.protocol.is_none();
        let model = profile.prompted_model();
        let prompted = match rows.iter().any(is_prompted) && model != profile.template.model {
            true => Some(BaseModel::load(&model, size, &device)?),
            false => None,
        };
        if let Some(row) = rows.iter().find(|row| row.prompt == Some(RowPrompt::Text))
            && profile.template.model.text.is_empty()
        {
            let problem = format!("`{}` needs a text: give --text and --clip", row.id);
            return Err(StudyError::setting("methods", problem));
        }
        let mut datasets = Vec::new();
        for source in &mut profile.datasets {
            if let Some(synthetic) = &source.synthetic {
                source.config.path = synthetic.make(&out.join("data"))?;
            }
            datasets.push(data::prepare(&source.config, &source.name)?);
        }
        let mut random = BTreeMap::new();
        for row in rows.iter().filter(|row| row.from_random) {
            for &seed in &profile.seeds {
                let weights = match &row.network {
                    Some(network) => BaseModel::load(&network_model(network, seed), size, &device)?,
                    None => base.reinitialised(seed, &device)?,
                };
                random.insert(start(row, seed), weights);
            }
        }
        let own_way = rows.iter().filter_map(|row| Some((row, row.protocol?)));
        let own_way = own_way.map(|(row, protocol)| OwnWay::new(row, protocol, &profile, &datasets));
        let own_way = own_way.collect::<Result<Vec<_>>>()?;
        let cells = plan(&profile, &rows);
        let out = out.to_path_buf();
        let comparison = Self { profile, rows, cells, datasets, base, prompted, own_way, random, out };
        comparison.template_is_valid()?;
        check_room(&comparison.out, comparison.disk_bytes(&comparison.methods()?)?)?;
        Ok(comparison)
    }

    /// Bytes that the cells without a result will need: selected weights at every rate, and checkpoints for the largest of
    /// the trainings that run at the same time.
    fn disk_bytes(&self, methods: &[MethodCard]) -> Result<u64> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let (mut kept, mut working) = (0, 0);
        for cell in &self.cells {
            let trainable = methods.iter().find(|method| method.id == cell.method).map_or(0, |card| card.trainable);
            if trainable > 0 && self.input(cell)?.finished(cell)?.is_none() {
                kept += self.profile.rates.len() as u64 * outcome_bytes(trainable);
                working = working.max(disk_bytes(trainable));
            }
        }
        Ok(kept + working * cores.min(self.cells.len() as u64))
    }

    fn template_is_valid(&self) -> Result<()> {
        for cell in &self.cells {
            let input = self.input(cell)?;
            let config = input.config(cell, self.profile.rates[0]);
            config.validate()?;
            check_batches(&config, input.data, input.base)?;
        }
        Ok(())
    }

    /// The cell's row, data and base.
    ///
    /// # Errors
    /// A cell of another plan.
    pub fn input(&self, cell: &Cell) -> Result<CellInput<'_>> {
        let unknown = || StudyError::Plan(format!("{cell} is no cell of this plan"));
        let row = self.rows.iter().find(|row| row.id == cell.method).ok_or_else(unknown)?;
        let own_way = self.own_way.iter().find(|own| own.row == row.id);
        let datasets = own_way.map_or(&self.datasets, |own| &own.datasets);
        let data = datasets.iter().find(|data| data.card.name == cell.dataset).ok_or_else(unknown)?;
        let base = match (&row.prompt, &self.prompted) {
            _ if own_way.is_some() => &own_way.ok_or_else(unknown)?.base,
            (Some(RowPrompt::Reference(_)), Some(prompted)) => prompted,
            _ if row.from_random => self.start(row, cell.seed).ok_or_else(unknown)?,
            _ => &self.base,
        };
        Ok(CellInput { profile: &self.profile, row, data, base, out: &self.out })
    }

    fn start(&self, row: &MethodRow, seed: u64) -> Option<&BaseModel> {
        self.random.get(&start(row, seed))
    }

    /// The base model.
    pub fn base(&self) -> &BaseModelCard {
        &self.base.card
    }

    /// Notes on the base model's file.
    pub fn notes(&self) -> &[String] {
        &self.base.notes
    }

    /// The methods with their parameter counts.
    ///
    /// # Errors
    /// A method that does not fit the model.
    pub fn methods(&self) -> Result<Vec<MethodCard>> {
        let device = device::open(&self.profile.template.devices[0])?;
        self.rows
            .iter()
            .map(|row| {
                let own = self.profile.seeds.first().and_then(|&seed| self.start(row, seed)).unwrap_or(&self.base);
                let (trainable, total) = own.counts(row.adapter.as_ref(), &device)?;
                let title = match row.network {
                    Some(_) => format!("{}, {:.1}M", row.title, total as f64 / 1e6),
                    None => row.title.clone(),
                };
                Ok(MethodCard {
                    id: row.id.clone(),
                    title,
                    trains: row.trains.clone(),
                    table: row.table,
                    family: row.family,
                    trainable,
                    total,
                    against: row.against.clone(),
                })
            })
            .collect()
    }

    /// Runs the cells that are not finished, `runner.jobs` at a time. Cells at the same time multiply equally exactly, since what is chosen
    /// holds for the whole process: those of one precision come after those of another.
    ///
    /// # Errors
    /// The first cell's failure, after the others under way have saved their state; [`TrainError::Stopped`] when
    /// asked to; a precision that this machine lacks.
    pub fn run(&self, cells: &[Cell], runner: &Runner, observer: &dyn StudyObserver) -> Result<()> {
        let mut groups: Vec<(Precision, Vec<Cell>)> = Vec::new();
        for cell in cells {
            let precision = self.input(cell)?.precision();
            match groups.iter_mut().find(|(of, _)| *of == precision) {
                Some((_, group)) => group.push(cell.clone()),
                None => groups.push((precision, vec![cell.clone()])),
            }
        }
        for (precision, group) in groups {
            choose_precision(precision, &self.profile.template.devices)?;
            self.run_alike(&group, runner, observer)?;
        }
        Ok(())
    }

    fn run_alike(&self, cells: &[Cell], runner: &Runner, observer: &dyn StudyObserver) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failure: Mutex<Option<StudyError>> = Mutex::new(None);
        let jobs = runner.jobs.clamp(1, cells.len().max(1));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            let pool = rayon::ThreadPoolBuilder::new().num_threads((cores / jobs).max(1)).build();
            let pool = pool.map_err(|error| StudyError::Plan(format!("cannot start threads: {error}")))?;
            loop {
                let at = next.fetch_add(1, Ordering::SeqCst);
                let Some(cell) = cells.get(at) else { return Ok(()) };
                if runner.stop.is_raised() {
                    return Err(TrainError::Stopped { step: 0 }.into());
                }
                self.one(cell, runner, observer, &pool)?;
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    if let Err(error) = work() {
                        runner.stop.raise();
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        // A failure says more than "stopped", which it causes in the others.
                        if first.as_ref().is_none_or(StudyError::is_stop) {
                            *first = Some(error);
                        }
                    }
                });
            }
        });
        failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn one(&self, cell: &Cell, runner: &Runner, observer: &dyn StudyObserver, pool: &rayon::ThreadPool) -> Result<()> {
        let input = self.input(cell)?;
        if let Some(result) = input.finished(cell)? {
            observer.cell_finished(cell, &result, true);
            return Ok(());
        }
        let trainings = if input.row.adapter.is_some() { self.profile.rates.len() } else { 1 };
        let progress = observer.cell_started(cell, trainings);
        let result = pool.install(|| input.run(cell, &runner.stop, progress.as_ref()))?;
        drop(progress);
        observer.cell_finished(cell, &result, false);
        Ok(())
    }

    /// What is finished, with everything a report needs.
    ///
    /// # Errors
    /// A result that cannot be read.
    pub fn collect(&self) -> Result<Results> {
        let (mut cells, mut missing) = (Vec::new(), Vec::new());
        for cell in &self.cells {
            match self.input(cell)?.finished(cell)? {
                Some(result) => cells.push(result),
                None => missing.push(cell.to_string()),
            }
        }
        let mut settings = self.settings();
        if self.profile.rates.len() > 1 {
            settings.insert("learning rates given up".into(), given_up(&cells));
        }
        Ok(Results {
            version: VERSION,
            notice: self.profile.notice.clone(),
            profile: self.profile.name.into(),
            base: self.base.card.clone(),
            datasets: self.datasets.iter().map(|data| data.card.clone()).collect(),
            methods: self.methods()?,
            cells,
            missing,
            settings,
            environment: environment(&self.profile),
        })
    }

    /// The rows that prepare images otherwise, in words.
    fn exceptions(&self) -> String {
        let of = |own: &OwnWay| {
            let preprocess = own.datasets[0].preprocess();
            let protocol = format!("{:?}", preprocess.protocol()).to_lowercase();
            format!(" but `{}` (protocol `{protocol}`, {1} x {1} px)", own.row, preprocess.size())
        };
        self.own_way.iter().map(of).collect()
    }

    fn settings(&self) -> BTreeMap<String, String> {
        let template = &self.profile.template;
        let training = &template.training;
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(", ");
        let mut settings = BTreeMap::new();
        let mut set = |name: &str, value: String| settings.insert(name.to_string(), value);
        set("input", format!("{0} x {0} px", self.datasets[0].image_size()));
        set("epochs", training.epochs.to_string());
        set("batch", format!("{} images, {} batch(es) per step", training.batch_size, training.accumulate));
        set("learning rates tried by every row", list(&self.profile.rates));
        set("seeds", self.profile.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "));
        set("loss", serde_json::to_string(&template.loss).unwrap_or_default());
        set("optimiser", serde_json::to_string(&template.optimizer).unwrap_or_default());
        set("schedule", serde_json::to_string(&template.schedule).unwrap_or_default());
        set("gradient clipping", training.clip_norm.map_or("none".into(), |norm| format!("global norm {norm}")));
        if training.precision != Precision::F32 {
            set("precision", training.precision.name().into());
        }
        set("validated", format!("every {} epoch(s)", training.validate_every));
        let protocol = format!("{:?}", self.profile.datasets[0].config.protocol).to_lowercase();
        set(
            "preprocessing and augmentation",
            format!("protocol `{protocol}`, the same for every row{}", self.exceptions()),
        );
        if let Some(cell) = self.cells.first()
            && let Ok(input) = self.input(cell)
            && let Ok(Some(result)) = input.finished(cell)
        {
            set("metrics", result.metrics);
        }
        settings
    }
}

/// The rule, how many trainings it ended and what that saved.
fn given_up(cells: &[CellResult]) -> String {
    let trainings: Vec<&GridPoint> = cells.iter().flat_map(|cell| &cell.grid).collect();
    let count = trainings.iter().filter(|training| training.given_up.is_some()).count();
    let saved: f64 = trainings.iter().map(|training| training.saved_seconds).sum();
    format!("{RULE}; {count} of {} trainings, which saved {saved:.0} s", trainings.len())
}

fn environment(profile: &Profile) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    let mut set = |name: &str, value: String| environment.insert(name.to_string(), value);
    set("program", format!("SALT-rs {}", env!("CARGO_PKG_VERSION")));
    set("backend", format!("Burn 0.22, {}", profile.template.devices.join(", ")));
    set("system", format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH));
    set("cores", std::thread::available_parallelism().map_or(1, usize::from).to_string());
    let reading = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = reading.lines().find_map(|line| line.strip_prefix("model name"));
    if let Some(model) = model {
        set("processor", model.trim_start_matches([' ', '\t', ':']).to_string());
    }
    let reproducible = profile.template.devices == ["cpu"];
    let level =
        if reproducible { "same bits on the same kind of CPU" } else { "same seed, bits may differ between runs" };
    set("reproducibility", level.into());
    environment
}
