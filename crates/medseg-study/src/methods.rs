//! The rows of the tables: which method trains what, at which ranks.

use crate::error::{Result, StudyError};
use salt_peft::{AdapterConfig, Initialization, Method, Rank, SaltForm};
use sam_model::SamConfig;
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
}

impl TableId {
    /// Every table, in the order of a report.
    pub const ALL: [Self; 3] = [Self::Main, Self::AblationLora, Self::AblationRank];

    /// Its heading in a report.
    pub fn title(self) -> &'static str {
        match self {
            Self::Main => "Dice and HD95 on test images",
            Self::AblationLora => "Ablation: rank of SALT's low-rank update",
            Self::AblationRank => "Ablation: number of singular values that SALT scales",
        }
    }
}

/// What a row trains, for statements about kinds of methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// Nothing: the base as it is.
    Untuned,
    /// Every weight, from the base.
    Full,
    /// Every weight, from random weights.
    Scratch,
    /// Scale and shift of singular values (S-SAM).
    SingularValues,
    /// Low-rank updates.
    Lora,
    /// SALT.
    Salt,
}

impl Family {
    /// Whether it trains a small part of the parameters.
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
    /// All of them.
    All,
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
    /// What is attached; nothing is trained when absent.
    pub adapter: Option<AdapterConfig>,
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

/// The rows of a table for a model of this configuration. `released` asks for the released code's initial values and the
/// paper's ReLU on the whole core matrix; otherwise the adapted model equals the base at step 0 and the ReLU stays on the
/// scaled singular values.
pub fn rows(table: TableChoice, config: &SamConfig, released: bool) -> Vec<MethodRow> {
    let scale = Scale::new(config);
    let form = if released { SaltForm::Paper } else { SaltForm::Diag };
    let initial = if released { Initialization::ReleasedSam1 } else { Initialization::Identity };
    let main = ScaledShares { attention: 760.0 / 768.0, mlp: 50.0 / 768.0, neck: 250.0 / 256.0 };
    let uniform = ScaledShares { attention: 200.0 / 768.0, mlp: 200.0 / 768.0, neck: 200.0 / 256.0 };
    let row = |id: &str, title: String, trains: &str, family: Family, adapter: Option<AdapterConfig>| MethodRow {
        id: id.into(),
        title,
        trains: trains.into(),
        table: TableId::Main,
        family,
        from_random: family == Family::Scratch,
        adapter,
    };
    let lora = |rank: usize| {
        let mut config = AdapterConfig::lora(rank, rank as f64).with_include(ADAPTED).with_train(ALWAYS);
        config.alpha = None;
        config.with_initialization(initial)
    };
    let mut out = Vec::new();
    if matches!(table, TableChoice::Main | TableChoice::All) {
        let (low, high) = (scale.update(4), scale.update(256));
        out.push(row("frozen", "Base, no tuning".into(), "nothing", Family::Untuned, None));
        let everything = AdapterConfig { method: Method::Full, ..AdapterConfig::default() };
        out.push(row("full", "Full fine-tuning".into(), "every weight", Family::Full, Some(everything.clone())));
        let trains = "every weight, without the base";
        out.push(row("scratch", "Full, random weights".into(), trains, Family::Scratch, Some(everything)));
        let svd = AdapterConfig::svd().with_include(ADAPTED).with_train(ALWAYS);
        out.push(row(
            "s-sam",
            "S-SAM".into(),
            "scale and shift of all singular values",
            Family::SingularValues,
            Some(svd),
        ));
        for (id, rank) in [("lora-low", low), ("lora-high", high)] {
            out.push(row(id, format!("LoRA {rank}"), "low-rank updates", Family::Lora, Some(lora(rank))));
        }
        for (id, rank) in [("salt-low", low), ("salt-high", high)] {
            let adapter = scale.salt(main, rank, form, initial);
            let trains = "scale and shift of the top singular values, low-rank update of the rest";
            out.push(row(id, format!("SALT {rank}"), trains, Family::Salt, Some(adapter)));
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
    out
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
        let paper = rows(TableChoice::All, &SamConfig::vit_b(), true);
        let find = |id: &str| paper.iter().find(|row| row.id == id).unwrap().adapter.clone().unwrap();
        assert_eq!((find("salt-high").svd_rank, find("salt-high").lora_rank), (Rank::Fixed(760), 256));
        assert_eq!(find("salt-high").svd_rank_pattern[r"\.mlp\."], Rank::Fixed(50));
        assert_eq!(find("salt-high").svd_rank_pattern[r"\.neck\."], Rank::Fixed(250));
        assert_eq!((find("lora-low").lora_rank, find("lora-high").lora_rank), (4, 256));
        assert_eq!(find("salt-rank-700").svd_rank, Rank::Fixed(700));
        assert_eq!(find("salt-lora-32").lora_rank, 32);
        let mini = rows(TableChoice::Main, &SamConfig::mini(), false);
        let high = mini.iter().find(|row| row.id == "salt-high").unwrap().adapter.clone().unwrap();
        assert_eq!((high.svd_rank, high.lora_rank), (Rank::Fixed(190), 64));
        let mut ids: Vec<&str> = paper.iter().map(|row| row.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), paper.len());
    }

    #[test]
    fn an_unknown_method_is_named_with_those_that_exist() {
        let all = rows(TableChoice::Main, &SamConfig::mini(), false);
        let kept = select(all.clone(), &["salt-low".into(), "frozen".into()]).unwrap();
        assert_eq!(kept.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["frozen", "salt-low"]);
        let message = select(all, &["salt".into()]).unwrap_err().to_string();
        assert!(message.contains("\"salt\"") && message.contains("salt-high"), "{message}");
    }
}
