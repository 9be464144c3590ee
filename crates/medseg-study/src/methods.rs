//! The rows of the tables: which method trains what, at which ranks.

mod future;
mod networks;
mod precision;
mod prompted;

pub use prompted::RowPrompt;

use crate::error::{Result, StudyError};
use future::future_rows;
use medseg_train::config::Precision;
use medseg_train::losses::LossTerm;
use medseg_train::network::NetworkChoice;
use networks::network_rows;
use precision::precision_rows;
use prompted::prompted_rows;
use salt_peft::{AdapterConfig, Initialization, Method, Rank, SaltForm};
use sam_model::{Protocol, SamConfig};
use serde::{Deserialize, Serialize};

/// The table that a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TableId {
    /// The main comparison.
    Main,
    /// SALT with the rank of the low-rank update from 4 to 256.
    AblationLora,
    /// SALT with 700 to 200 scaled singular values (of 768).
    AblationRank,
    /// The comparison on SAM 2.
    Sam2,
    /// What the paper leaves for the future: rank rules and losses.
    FutureWork,
    /// What products in fewer bits cost.
    Precision,
}

impl TableId {
    /// Every table, in the order of a report.
    pub const ALL: [Self; 6] =
        [Self::Main, Self::Sam2, Self::AblationLora, Self::AblationRank, Self::FutureWork, Self::Precision];

    /// Its heading in a report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Main => "Dice and HD95 on test images",
            Self::AblationLora => "Ablation: rank of SALT's low-rank update",
            Self::AblationRank => "Ablation: number of singular values that SALT scales",
            Self::Sam2 => "SAM 2: Dice and HD95 on test images",
            Self::FutureWork => "Future work of the paper: automatic rank, losses",
            Self::Precision => "Precision: the same methods with products in fewer bits",
        }
    }

    /// Whether it compares kinds of methods, where the ablations vary one of them.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Main | Self::Sam2)
    }
}

/// What a row trains, for statements about kinds of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// Nothing: the base as it is.
    Untuned,
    /// Nothing, but the reference mask prompts the base.
    Prompted,
    /// Every weight, from the base.
    Full,
    /// Every weight, from random weights.
    Scratch,
    /// The decoder and the prompt, on the base's frozen encoder.
    Decoder,
    /// Every weight of a classic network, from random weights.
    Classic,
    /// Scale and shift of singular values (S-SAM).
    SingularValues,
    /// Low-rank updates.
    Lora,
    /// SALT.
    Salt,
}

impl Family {
    /// Whether it adapts the encoder by a small part of the parameters.
    pub fn is_efficient(self) -> bool {
        matches!(self, Self::SingularValues | Self::Lora | Self::Salt)
    }
}

/// Which table is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableChoice {
    /// The main comparison.
    Main,
    /// SALT with the rank of the low-rank update from 4 to 256.
    AblationLora,
    /// SALT with 700 to 200 scaled singular values (of 768).
    AblationRank,
    /// The comparison on SAM 2.
    Sam2,
    /// What the paper leaves for the future: rank rules and losses.
    FutureWork,
    /// What products in fewer bits cost.
    Precision,
    /// All of the paper's that the base model has: the comparison on SAM 2 for a SAM 2, the others for a SAM.
    All,
}

impl TableChoice {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::AblationLora => "ablation-lora",
            Self::AblationRank => "ablation-rank",
            Self::Sam2 => "sam2",
            Self::FutureWork => "future-work",
            Self::Precision => "precision",
            Self::All => "all",
        }
    }

    /// Refuses a base model of the other kind.
    fn check(self, config: &SamConfig) -> Result<()> {
        let (expected, instead) = match (self, config.is_sam2()) {
            (Self::All, _) | (Self::Sam2, true) => return Ok(()),
            (Self::Main | Self::AblationLora | Self::AblationRank | Self::FutureWork | Self::Precision, false) => {
                return Ok(());
            }
            (Self::Sam2, false) => ("a SAM 2 as base model, for one sam2.1_hiera_base_plus.pt", "main"),
            (_, true) => ("a SAM as base model, for one sam_vit_b_01ec64.pth", "sam2"),
        };
        let kind = if config.is_sam2() { "SAM 2" } else { "SAM" };
        let problem = format!(
            "`{}` expected {expected}, found a {kind} with {} blocks that begins {} wide; its table is `{instead}`",
            self.name(),
            config.depth,
            config.embed_dim
        );
        Err(StudyError::setting("table", problem))
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodRow {
    /// Short name in file names, plans and `results.json`.
    pub id: String,
    /// Name in tables.
    pub title: String,
    /// What it trains, in words.
    pub trains: String,
    /// The table it belongs to.
    pub table: TableId,
    /// What kind of method it is.
    pub family: Family,
    /// Whether it starts from random weights instead of the base model.
    pub from_random: bool,
    /// The classic network that it trains, instead of the base model's architecture.
    pub network: Option<NetworkChoice>,
    /// What is attached; nothing is trained when absent.
    pub adapter: Option<AdapterConfig>,
    /// How a row that trains nothing is prompted, if not as the others are.
    pub prompt: Option<RowPrompt>,
    /// How it prepares images, at the base's own input size, if not as the others do.
    pub protocol: Option<Protocol>,
    /// How exactly it multiplies, if not as the profile says.
    pub precision: Option<Precision>,
    /// Loss terms beside the profile's.
    pub more_losses: Vec<LossTerm>,
    /// The row (id) whose number of trained parameters its fixed share of singular values has to give.
    pub as_many_as: Option<String>,
    /// The row (id) that it is compared with, in a table that is no comparison of all with all.
    pub against: Option<String>,
    /// Whether it only runs where it is asked for by its id.
    pub by_name: bool,
}

impl MethodRow {
    /// Whether another seed gives another result.
    pub fn is_drawn(&self) -> bool {
        self.adapter.is_some() || self.prompt.is_some_and(RowPrompt::is_drawn)
    }
}

/// Which of a model's singular values SALT scales, as shares of all, from the paper's 760, 50 and 250 of 768, 768 and 256.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ScaledShares {
    attention: f64,
    mlp: f64,
    neck: f64,
}

/// The ranks of a table for one model.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    width: usize,
    neck: usize,
}

/// Weights that every method adapts: the attention's two and the MLP's two linear layers of each encoder block, and the
/// neck's two convolutions (the published parameter counts need all of them).
const ADAPTED: [&str; 5] = [
    r"image_encoder\.blocks\.\d+\.attn\.qkv\.weight$",
    r"image_encoder\.blocks\.\d+\.attn\.proj\.weight$",
    r"image_encoder\.blocks\.\d+\.mlp\.lin1\.weight$",
    r"image_encoder\.blocks\.\d+\.mlp\.lin2\.weight$",
    r"image_encoder\.neck\.[02]\.weight$",
];

/// Trained in full beside every adapter, as in the paper: layer norms of encoder and decoder, positions, the prompt.
const ALWAYS: [&str; 3] = [r"norm", r"pos_embed$", r"prompt\."];

/// The same of SAM 2: the linear layers of each block of its trunk. The three projections of blocks that change the width are no
/// part of it.
const SAM2_TRUNK: [&str; 2] = [
    r"image_encoder\.trunk\.blocks\.\d+\.attn\.(qkv|proj)\.weight$",
    r"image_encoder\.trunk\.blocks\.\d+\.mlp\.layers\.[01]\.weight$",
];

/// The four 1 x 1 convolutions of SAM 2's neck.
const SAM2_NECK: &str = r"image_encoder\.neck\.convs\.\d+\.conv\.weight$";

/// Trained in full beside every adapter of a SAM 2.
const SAM2_ALWAYS: [&str; 3] = [r"norm", r"pos_embed(_window)?$", r"prompt\."];

/// The share of each weight's singular values that SALT scales in SAM 2.
const SAM2_SHARE: f64 = 0.1;

/// Width of the narrowest published SAM 2: it and all wider ones get the paper's ranks.
const SAM2_WIDTH: usize = 96;

impl Scale {
    /// The ranks for a model of this configuration.
    pub fn new(config: &SamConfig) -> Self {
        Self { width: config.embed_dim, neck: config.output_channels }
    }

    /// A rank of the paper (of 768) at this model's width, at least 1.
    fn of_768(self, rank: usize) -> usize {
        ((rank * self.width) as f64 / 768.0).round().max(1.0) as usize
    }

    /// A low-rank update's rank: small ones stay, large ones shrink with the model.
    fn update(self, rank: usize) -> usize {
        rank.min(4).max(self.of_768(rank))
    }

    fn salt(
        self,
        shares: ScaledShares,
        update: usize,
        form: SaltForm,
        initialization: Initialization,
    ) -> AdapterConfig {
        let of = |share: f64, all: usize| Rank::Fixed(((share * all as f64).round() as usize).clamp(1, all));
        let mut config = AdapterConfig::salt(1, update)
            .with_include(ADAPTED)
            .with_train(ALWAYS)
            .with_form(form)
            .with_initialization(initialization);
        config.svd_rank = of(shares.attention, self.width);
        config.svd_rank_pattern.insert(r"\.mlp\.".into(), of(shares.mlp, self.width));
        config.svd_rank_pattern.insert(r"\.neck\.".into(), of(shares.neck, self.neck));
        config
    }
}

/// The rows of a table for a model of this configuration, those that run only on request included. `released` asks for the released code's initial values and the
/// paper's ReLU on the whole core matrix; otherwise the adapted model equals the base at step 0 and the ReLU stays on the
/// scaled singular values. It also decides whether classic networks have their published sizes or small ones.
///
/// # Errors
/// A table of SAM 2 for a SAM, or the reverse.
pub fn rows(table: TableChoice, config: &SamConfig, released: bool) -> Result<Vec<MethodRow>> {
    table.check(config)?;
    Ok(if config.is_sam2() { sam2_rows(config, released) } else { sam_rows(table, config, released) })
}

const SALT_TRAINS: &str = "scale and shift of the top singular values, low-rank update of the rest";
const SCRATCH_TRAINS: &str = "every weight, without the base";
const SVD_TRAINS: &str = "scale and shift of all singular values";

fn row(id: &str, title: String, trains: &str, family: Family, adapter: Option<AdapterConfig>) -> MethodRow {
    MethodRow {
        id: id.into(),
        title,
        trains: trains.into(),
        table: TableId::Main,
        family,
        from_random: matches!(family, Family::Scratch | Family::Classic),
        network: None,
        adapter,
        prompt: None,
        protocol: None,
        precision: None,
        more_losses: Vec::new(),
        as_many_as: None,
        against: None,
        by_name: false,
    }
}

fn everything() -> AdapterConfig {
    AdapterConfig { method: Method::Full, ..AdapterConfig::default() }
}

/// Decoder and prompt, with the encoder as it is: what a model costs that is trained on embeddings alone.
fn decoder_only() -> AdapterConfig {
    let named = AdapterConfig { method: Method::Named, ..AdapterConfig::default() };
    named.with_include([r"mask_decoder\.", r"prompt\."])
}

/// The paper's five rows on SAM 2, the untuned base, full fine-tuning and random weights.
///
/// SVD and LoRA adapt trunk and neck, SALT the trunk alone: the published counts come out so. The released code puts a LoRA of rank
/// 4 on the neck beside SALT, which is a second method in one model and changes no printed digit.
fn sam2_rows(config: &SamConfig, released: bool) -> Vec<MethodRow> {
    let form = if released { SaltForm::Paper } else { SaltForm::Diag };
    let initial = if released { Initialization::ReleasedSam2 } else { Initialization::Identity };
    let with_neck = || SAM2_TRUNK.into_iter().chain([SAM2_NECK]);
    let high = |rank: usize| (rank * config.embed_dim / SAM2_WIDTH).clamp(4, rank);
    let ranks = [("low", 4), ("high", high(256))];
    let svd = AdapterConfig::svd().with_include(with_neck()).with_train(SAM2_ALWAYS);
    let full = Some(everything());
    let mut out = vec![
        row("frozen", "Base, no tuning".into(), "nothing", Family::Untuned, None),
        row("full", "Full fine-tuning".into(), "every weight", Family::Full, full),
        row("scratch", "Full, random weights".into(), SCRATCH_TRAINS, Family::Scratch, Some(everything())),
        row("sam2-svd", "SVD".into(), SVD_TRAINS, Family::SingularValues, Some(svd)),
    ];
    for (name, rank) in ranks {
        let mut lora = AdapterConfig::lora(rank, rank as f64).with_include(with_neck()).with_train(SAM2_ALWAYS);
        lora.alpha = None;
        let adapter = Some(lora.with_initialization(initial));
        let id = format!("sam2-lora-{name}");
        out.push(row(&id, format!("LoRA {rank}"), "low-rank updates", Family::Lora, adapter));
    }
    for (name, rank) in ranks {
        let mut salt = AdapterConfig::salt(1, rank)
            .with_include(SAM2_TRUNK)
            .with_train(SAM2_ALWAYS)
            .with_form(form)
            .with_initialization(initial);
        salt.svd_rank = Rank::fraction(SAM2_SHARE);
        out.push(row(&format!("sam2-salt-{name}"), format!("SALT {rank}"), SALT_TRAINS, Family::Salt, Some(salt)));
    }
    for row in &mut out {
        row.table = TableId::Sam2;
    }
    out
}

fn sam_rows(table: TableChoice, config: &SamConfig, released: bool) -> Vec<MethodRow> {
    let scale = Scale::new(config);
    let form = if released { SaltForm::Paper } else { SaltForm::Diag };
    let initial = if released { Initialization::ReleasedSam1 } else { Initialization::Identity };
    let main = ScaledShares { attention: 760.0 / 768.0, mlp: 50.0 / 768.0, neck: 250.0 / 256.0 };
    let uniform = ScaledShares { attention: 200.0 / 768.0, mlp: 200.0 / 768.0, neck: 200.0 / 256.0 };
    let lora = |rank: usize| {
        let mut config = AdapterConfig::lora(rank, rank as f64).with_include(ADAPTED).with_train(ALWAYS);
        config.alpha = None;
        config.with_initialization(initial)
    };
    let mut out = Vec::new();
    if matches!(table, TableChoice::Main | TableChoice::All) {
        let (low, high) = (scale.update(4), scale.update(256));
        out.push(row("frozen", "Base, no tuning".into(), "nothing", Family::Untuned, None));
        out.extend(prompted_rows(released));
        out.push(row("full", "Full fine-tuning".into(), "every weight", Family::Full, Some(everything())));
        out.push(row("scratch", "Full, random weights".into(), SCRATCH_TRAINS, Family::Scratch, Some(everything())));
        out.extend(network_rows(released));
        let (trains, decoder) = ("decoder and prompt; nothing of the encoder", Some(decoder_only()));
        out.push(row("decoder-only", "Decoder only".into(), trains, Family::Decoder, decoder));
        let svd = AdapterConfig::svd().with_include(ADAPTED).with_train(ALWAYS);
        out.push(row("s-sam", "S-SAM".into(), SVD_TRAINS, Family::SingularValues, Some(svd)));
        for (id, rank) in [("lora-low", low), ("lora-high", high)] {
            out.push(row(id, format!("LoRA {rank}"), "low-rank updates", Family::Lora, Some(lora(rank))));
        }
        for (id, rank) in [("salt-low", low), ("salt-high", high)] {
            let adapter = scale.salt(main, rank, form, initial);
            out.push(row(id, format!("SALT {rank}"), SALT_TRAINS, Family::Salt, Some(adapter)));
        }
    }
    if matches!(table, TableChoice::AblationLora | TableChoice::All) {
        for published in [4, 8, 16, 32, 64, 128, 256] {
            let rank = if config.embed_dim == 768 { published } else { scale.of_768(published) };
            let title = format!("SALT, update rank {rank}");
            let adapter = scale.salt(uniform, rank, form, initial);
            let trains = "as SALT; a quarter of the singular values scaled";
            let row = row(&format!("salt-lora-{published}"), title, trains, Family::Salt, Some(adapter));
            out.push(MethodRow { table: TableId::AblationLora, ..row });
        }
    }
    if matches!(table, TableChoice::AblationRank | TableChoice::All) {
        for published in [700, 600, 500, 400, 300, 200] {
            let share = published as f64 / 768.0;
            let shares = ScaledShares { attention: share, mlp: share, neck: 200.0 / 256.0 };
            let adapter = scale.salt(shares, scale.update(256), form, initial);
            let title = format!("SALT, {} of {} values scaled", scale.of_768(published), config.embed_dim);
            let trains = "as SALT; other shares of the singular values scaled";
            let row = row(&format!("salt-rank-{published}"), title, trains, Family::Salt, Some(adapter));
            out.push(MethodRow { table: TableId::AblationRank, ..row });
        }
    }
    if table == TableChoice::FutureWork {
        out.extend(future_rows(scale, main, form, initial));
    }
    if table == TableChoice::Precision {
        out.extend(precision_rows(scale, main, form, initial, lora(scale.update(256))));
    }
    out
}

/// The rows of a table that run: without ids all but those that only run by name; with ids those alone, which on a SAM may also be
/// rows of the paper's future work or in another precision.
///
/// # Errors
/// As [`rows`] and [`select`].
pub fn chosen_rows(table: TableChoice, config: &SamConfig, released: bool, ids: &[String]) -> Result<Vec<MethodRow>> {
    let mut all = rows(table, config, released)?;
    if ids.is_empty() {
        all.retain(|row| !row.by_name);
        return Ok(all);
    }
    if !config.is_sam2() {
        let more = [TableChoice::FutureWork, TableChoice::Precision].map(|table| rows(table, config, released));
        for row in more.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
            if !all.iter().any(|known| known.id == row.id) {
                all.push(row);
            }
        }
    }
    select(all, ids)
}

/// Keeps the rows of these ids, in table order.
///
/// # Errors
/// An id that no row has; the message lists those that exist.
pub fn select(rows: Vec<MethodRow>, ids: &[String]) -> Result<Vec<MethodRow>> {
    for id in ids {
        if !rows.iter().any(|row| row.id == *id) {
            let known: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
            let problem = format!("unknown method {id:?}; the methods of this table are {}", known.join(", "));
            return Err(StudyError::setting("methods", problem));
        }
    }
    Ok(if ids.is_empty() { rows } else { rows.into_iter().filter(|row| ids.contains(&row.id)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_model() {
        let paper = rows(TableChoice::All, &SamConfig::vit_b(), true).unwrap();
        let find = |id: &str| paper.iter().find(|row| row.id == id).unwrap().adapter.clone().unwrap();
        assert_eq!((find("salt-high").svd_rank, find("salt-high").lora_rank), (Rank::Fixed(760), 256));
        assert_eq!(find("salt-high").svd_rank_pattern[r"\.mlp\."], Rank::Fixed(50));
        assert_eq!(find("salt-high").svd_rank_pattern[r"\.neck\."], Rank::Fixed(250));
        assert_eq!((find("lora-low").lora_rank, find("lora-high").lora_rank), (4, 256));
        assert_eq!(find("salt-rank-700").svd_rank, Rank::Fixed(700));
        assert_eq!(find("salt-lora-32").lora_rank, 32);
        let mini = rows(TableChoice::Main, &SamConfig::mini(), false).unwrap();
        let high = mini.iter().find(|row| row.id == "salt-high").unwrap().adapter.clone().unwrap();
        assert_eq!((high.svd_rank, high.lora_rank), (Rank::Fixed(190), 64));
        let mut ids: Vec<&str> = paper.iter().map(|row| row.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), paper.len());
    }

    /// Adapters' parameters of a row, from the module tree of a model without weights.
    fn adapters(config: &SamConfig, id: &str, neck: bool) -> usize {
        let row = rows(TableChoice::Sam2, config, true).unwrap().into_iter().find(|row| row.id == id).unwrap();
        let mut adapter = row.adapter.unwrap();
        if !neck {
            adapter.include.retain(|pattern| !pattern.contains("neck"));
        }
        adapter.train.retain(|pattern| !pattern.contains("prompt"));
        let plan = salt_peft::plan(&config.init(&burn::tensor::Device::default()).unwrap(), &adapter).unwrap();
        plan.trainable().unwrap() - plan.trained.iter().map(|parameter| parameter.count()).sum::<usize>()
    }

    #[test]
    fn the_rows_of_sam2_have_the_closed_forms_of_every_published_size() {
        for (config, svd, lora, salt) in [
            (SamConfig::sam2_tiny(), 36_288, 74_592, [134_394, 8_375_298]),
            (SamConfig::sam2_small(), 48_576, 99_168, [179_898, 11_210_946]),
            (SamConfig::sam2_base_plus(), 2 * 42_224, 171_248, [312_844, 19_498_108]),
            (SamConfig::sam2_large(), 216_864, 436_752, [803_070, 50_044_374]),
        ] {
            assert_eq!(adapters(&config, "sam2-svd", false), svd);
            for (id, rank) in [("sam2-lora-low", 4), ("sam2-lora-high", 256)] {
                assert_eq!(adapters(&config, id, false), rank * lora, "{id}");
            }
            assert_eq!(["sam2-salt-low", "sam2-salt-high"].map(|id| adapters(&config, id, true)), salt);
        }
        let base_plus = SamConfig::sam2_base_plus();
        assert_eq!(adapters(&base_plus, "sam2-svd", true), 2 * (42_224 + 848));
        assert_eq!(adapters(&base_plus, "sam2-lora-low", true), 4 * (171_248 + 2_704));
    }

    #[test]
    fn a_table_of_the_other_kind_of_base_is_refused() {
        let (sam, sam2) = (SamConfig::vit_b(), SamConfig::sam2_base_plus());
        let error = rows(TableChoice::Sam2, &sam, true).unwrap_err();
        assert!(matches!(error, StudyError::Setting { field: "table", .. }));
        let message = error.to_string();
        assert!(message.contains("expected a SAM 2") && message.contains("found a SAM with 12 blocks"), "{message}");
        for table in [TableChoice::Main, TableChoice::AblationLora, TableChoice::AblationRank] {
            let message = rows(table, &sam2, true).unwrap_err().to_string();
            assert!(message.contains(table.name()) && message.contains("found a SAM 2 with 24 blocks"), "{message}");
        }
        let ids = |table, config: &SamConfig| -> Vec<String> {
            rows(table, config, false).unwrap().into_iter().map(|row| row.id).collect()
        };
        assert_eq!(ids(TableChoice::All, &sam2), ids(TableChoice::Sam2, &sam2));
        assert_eq!(
            ids(TableChoice::Sam2, &sam2),
            [
                "frozen",
                "full",
                "scratch",
                "sam2-svd",
                "sam2-lora-low",
                "sam2-lora-high",
                "sam2-salt-low",
                "sam2-salt-high"
            ]
        );
        assert!(ids(TableChoice::All, &sam).iter().all(|id| !id.starts_with("sam2")));
    }

    #[test]
    fn some_rows_run_by_name_alone() {
        let ids = |table, released, named: &[&str]| -> Vec<String> {
            let named: Vec<String> = named.iter().map(|id| id.to_string()).collect();
            let rows = chosen_rows(table, &SamConfig::vit_b(), released, &named).unwrap();
            rows.into_iter().map(|row| row.id).collect()
        };
        let prompted = |ids: &[String]| ids.iter().filter(|id| id.starts_with("sam-")).count();
        // The demonstration has none, the paper's table those without a text.
        assert_eq!(prompted(&ids(TableChoice::Main, false, &[])), 0);
        assert_eq!(prompted(&ids(TableChoice::Main, true, &[])), 3);
        assert_eq!(ids(TableChoice::Main, false, &["sam-text", "sam-box"]), ["sam-box", "sam-text"]);
        // Only who has MedSAM's checkpoint asks for its row.
        assert!(!ids(TableChoice::Main, true, &[]).contains(&"medsam-box".into()));
        assert_eq!(ids(TableChoice::Main, true, &["medsam-box"]), ["medsam-box"]);
        // Rows of the future are found without their table, and no row stands twice.
        assert_eq!(ids(TableChoice::Main, false, &["salt-cldice", "salt-high"]), ["salt-high", "salt-cldice"]);
        assert_eq!(ids(TableChoice::FutureWork, false, &[]).len(), 11);
        // Where AMX or a GPU is needed, a row asks to be named.
        let bf16 = ["full", "full-bf16", "lora-high", "lora-high-bf16", "salt-high", "salt-high-bf16"];
        assert_eq!(ids(TableChoice::Precision, false, &[]), bf16);
        assert_eq!(ids(TableChoice::Main, false, &["salt-high-f16", "salt-high"]), ["salt-high", "salt-high-f16"]);
        let sam2 = chosen_rows(TableChoice::Sam2, &SamConfig::sam2_tiny(), false, &["salt-cldice".into()]);
        assert!(sam2.unwrap_err().to_string().contains("unknown method"));
    }

    #[test]
    fn every_row_that_names_another_finds_it() {
        for (table, equal, against) in [(TableChoice::FutureWork, 4, 6), (TableChoice::Precision, 0, 9)] {
            let rows = rows(table, &SamConfig::vit_b(), false).unwrap();
            let known = |id: &Option<String>| id.as_ref().is_none_or(|id| rows.iter().any(|row| row.id == *id));
            assert!(rows.iter().all(|row| known(&row.against) && known(&row.as_many_as)));
            assert_eq!(rows.iter().filter(|row| row.as_many_as.is_some()).count(), equal);
            assert_eq!(rows.iter().filter(|row| row.against.is_some()).count(), against);
        }
    }

    #[test]
    fn decoder_only_trains_nothing_of_the_encoder() {
        let row = rows(TableChoice::Main, &SamConfig::mini(), false).unwrap();
        let row = row.into_iter().find(|row| row.id == "decoder-only").unwrap();
        let model = SamConfig::mini().init(&burn::tensor::Device::default()).unwrap();
        let mut adapter = row.adapter.unwrap();
        adapter.include.retain(|pattern| !pattern.contains("prompt"));
        let plan = salt_peft::plan(&model, &adapter).unwrap();
        assert!(plan.layers.is_empty() && !plan.trained.is_empty());
        assert!(plan.trained.iter().all(|parameter| parameter.path.starts_with("mask_decoder.")));
        assert!(plan.frozen.iter().all(|parameter| !parameter.path.starts_with("mask_decoder.")));
    }

    #[test]
    fn an_unknown_method_is_named_with_those_that_exist() {
        let all = rows(TableChoice::Main, &SamConfig::mini(), false).unwrap();
        let kept = select(all.clone(), &["salt-low".into(), "frozen".into()]).unwrap();
        assert_eq!(kept.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["frozen", "salt-low"]);
        let unasked = chosen_rows(TableChoice::Main, &SamConfig::mini(), false, &[]).unwrap();
        assert!(unasked.iter().any(|row| row.id == "unet") && unasked.iter().all(|row| row.id != "unetr"));
        assert_eq!(select(all.clone(), &["unetr".into()]).unwrap().len(), 1);
        let message = select(all, &["salt".into()]).unwrap_err().to_string();
        assert!(message.contains("\"salt\"") && message.contains("salt-high"), "{message}");
    }
}
