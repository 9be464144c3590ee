//! The paper's parameter counts beside the counts of the module tree.
//!
//! The models are built from their shapes: no weight is allocated and no checkpoint is needed. The rows are those that a comparison
//! trains under the paper's profile.

mod networks;
mod sam2;

pub use self::networks::Network;
use self::networks::networks;
pub use self::sam2::{Sam2, Total};
use crate::error::{Result, StudyError};
use crate::methods::{MethodRow, TableChoice, TableId, rows};
use crate::numbers::thousands;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use medseg_train::TrainError;
use salt_peft::{AdapterConfig, Plan, Rank, plan};
use sam_model::{AutomaticPrompt, Sam, SamConfig, TextAffine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// SAM or SAM 2 as the paper's code runs it at 512 x 512, with the layer that brings text features to the prompt's width.
#[derive(Module, Debug)]
struct PaperModel {
    sam: Sam,
    prompt: PaperPrompt,
}

/// The paper's prompt is made from text features; what is counted is the layer that does so.
#[derive(Module, Debug)]
struct PaperPrompt {
    text_affine: Option<TextAffine>,
}

/// A buffer in the original, which Burn's model keeps as a parameter: random frequencies that nothing trains.
const FREQUENCIES: &str = "positional_encoding_gaussian_matrix";

/// Shapes of CLIP ViT-B/32, from the sizes of its two transformers.
fn clip_parameters() -> usize {
    fn transformer(width: usize, layers: usize) -> usize {
        let linear = |inputs: usize, outputs: usize| inputs * outputs + outputs;
        let norm = 2 * width;
        let attention = linear(width, 3 * width) + linear(width, width);
        let mlp = linear(width, 4 * width) + linear(4 * width, width);
        layers * (attention + mlp + 2 * norm)
    }
    let (image, patch, vision, text, joint) = (224, 32, 768, 512, 512);
    let (vocabulary, context) = (49_408, 77);
    let patches = (image / patch) * (image / patch);
    let vision_tower = 3 * patch * patch * vision // patch embedding without a bias
        + vision // class token
        + (patches + 1) * vision // positions
        + 2 * (2 * vision) // norms before and after
        + transformer(vision, 12)
        + vision * joint; // projection
    let text_tower = vocabulary * text + context * text + transformer(text, 12) + 2 * text + text * joint;
    let temperature = 1;
    vision_tower + text_tower + temperature
}

/// All rows with the model that they belong to.
#[derive(Debug, Serialize)]
pub struct Parameters {
    /// Parameters of the parts of the model.
    pub parts: BTreeMap<&'static str, usize>,
    /// All of them.
    pub base: usize,
    /// Trained besides adapters in every row.
    pub extras: usize,
    /// What remains.
    pub frozen: usize,
    /// How `frozen` compares with the published 241M.
    pub frozen_verdict: Verdict,
    /// Why.
    pub frozen_why: &'static str,
    /// The rows on SAM, with what the paper prints for them.
    pub rows: Vec<Row>,
    /// The table on SAM 2.
    pub sam2: Sam2,
    /// The networks trained from scratch.
    pub networks: Vec<Network>,
}

/// One published figure, under one reading of what it counts.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The method's id in `reproduce`.
    pub id: String,
    /// Its name in tables.
    pub name: String,
    /// The reading: ranks, and what is counted.
    pub setting: String,
    /// What the paper prints; empty where it prints nothing.
    pub published: String,
    /// Parameters of the adapters.
    pub adapters: usize,
    /// Trained parameters, adapters included.
    pub trainable: usize,
    /// Parameters that are not trained.
    pub frozen: usize,
    /// All of them.
    pub total: usize,
    /// Share trained, in percent.
    pub percent: f64,
    /// How the count compares with the printed figure.
    pub verdict: Verdict,
    /// Why.
    pub why: &'static str,
}

/// How a count compares with a printed figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The count, rounded to the printed digits, is the printed figure.
    Exact,
    /// It is, but so few digits are printed that other settings fit as well; or only cutting digits off gives it.
    WithinRounding,
    /// No setting that was found gives it.
    NotReproducible,
    /// The paper gives no figure for this point.
    Unpublished,
}

impl Verdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::WithinRounding => "within rounding",
            Self::NotReproducible => "not reproducible",
            Self::Unpublished => "(not published)",
        }
    }

    /// How a figure compares with the printed one, which has the same unit. Three printed digits are enough to be exact.
    pub fn of(figure: f64, printed: &str) -> Self {
        let digits = printed.split_once('.').map_or(0, |(_, digits)| digits.len());
        let rounded = format!("{figure:.digits$}");
        let scale = 10f64.powi(digits as i32);
        let truncated = format!("{:.digits$}", (figure * scale).floor() / scale);
        match (rounded == printed, truncated == printed) {
            (true, _) if printed.chars().filter(char::is_ascii_digit).count() >= 3 => Self::Exact,
            (true, _) | (_, true) => Self::WithinRounding,
            _ => Self::NotReproducible,
        }
    }
}

/// The counting model and what counts around it.
struct Counter {
    model: PaperModel,
    clip: usize,
}

/// Parameters of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    adapters: usize,
    trainable: usize,
    total: usize,
}

impl Counts {
    fn percent(self) -> f64 {
        100.0 * self.trainable as f64 / self.total as f64
    }
}

impl Counter {
    fn new(config: &SamConfig) -> Result<Self> {
        let device = Device::default();
        let text = AutomaticPrompt::from_text(Tensor::zeros([1, 512], &device), config.output_channels, &device);
        Ok(Self {
            model: PaperModel {
                sam: config.init(&device).map_err(TrainError::from)?,
                prompt: PaperPrompt { text_affine: text.text_affine },
            },
            clip: clip_parameters(),
        })
    }

    /// Parameters of the layer that brings text features to the prompt's width.
    fn text(&self) -> usize {
        self.model.prompt.text_affine.as_ref().map_or(0, |layer| layer.num_params())
    }

    /// Values of the buffers that Burn's model keeps as parameters.
    fn buffers(plan: &Plan) -> usize {
        plan.frozen
            .iter()
            .filter(|parameter| parameter.path.ends_with(FREQUENCIES))
            .map(|parameter| parameter.count())
            .sum()
    }

    /// The parts of the model under these names for image encoder, prompt encoder and mask decoder; the setting tells what is a
    /// buffer.
    fn parts(
        &self,
        config: &AdapterConfig,
        [image, prompt, mask]: [&'static str; 3],
    ) -> Result<BTreeMap<&'static str, usize>> {
        let sam = &self.model.sam;
        let buffers = Self::buffers(&plan(&self.model, config).map_err(TrainError::from)?);
        Ok(BTreeMap::from([
            (image, sam.image_encoder.num_params()),
            (prompt, sam.prompt_encoder.num_params() - buffers),
            (mask, sam.mask_decoder.num_params()),
            ("text layer", self.text()),
            ("CLIP ViT-B/32", self.clip),
        ]))
    }

    /// Adapters, trainable and total parameters of a setting.
    fn count(&self, config: &AdapterConfig) -> Result<Counts> {
        let plan = plan(&self.model, config).map_err(TrainError::from)?;
        let buffers = Self::buffers(&plan);
        let trainable =
            plan.trainable().ok_or_else(|| StudyError::Plan("every rank of the paper is a number".into()))?;
        let extras: usize = plan.trained.iter().map(|parameter| parameter.count()).sum();
        let adapters = trainable - extras;
        Ok(Counts { adapters, trainable, total: plan.base_parameters() - buffers + self.clip + adapters })
    }
}

impl Row {
    /// A row with what the paper prints for it: a percentage, or a count in millions.
    fn new(method: &MethodRow, setting: &str, published: &str, counts: Counts, why: &'static str) -> Self {
        let Counts { adapters, trainable, total } = counts;
        let percent = counts.percent();
        let verdict = match (published.strip_suffix('M'), published.trim_end_matches([' ', '%'])) {
            (Some(millions), _) => Verdict::of(trainable as f64 / 1e6, millions),
            (None, "") => Verdict::Unpublished,
            (None, printed) => Verdict::of(percent, printed),
        };
        Self {
            id: method.id.clone(),
            name: method.title.clone(),
            setting: setting.into(),
            published: published.into(),
            adapters,
            trainable,
            frozen: total - trainable,
            total,
            percent,
            verdict,
            why,
        }
    }
}

/// The rows that `reproduce` trains under the paper's profile: what is counted here is what is trained there.
fn trained_rows() -> Result<Vec<MethodRow>> {
    rows(TableChoice::All, &SamConfig::vit_b().paper(512), true)
}

/// SALT 4 as the older public configuration of the authors ranks it: attention 700, MLP 200, neck 200.
fn older_salt(row: &MethodRow) -> Option<AdapterConfig> {
    let mut config = row.adapter.clone()?;
    config.svd_rank = Rank::Fixed(700);
    for (pattern, rank) in &mut config.svd_rank_pattern {
        debug_assert!(pattern.contains("mlp") || pattern.contains("neck"));
        *rank = Rank::Fixed(200);
    }
    Some(config)
}

/// What the paper prints for a row, and what is known of its ranks.
fn published(row: &MethodRow) -> (&'static str, &'static str, &'static str) {
    match row.id.as_str() {
        "s-sam" => ("0.40 %", "all singular values of 48 linear layers and the neck", S_SAM),
        "lora-low" => ("0.64 %", "rank 4, linear layers and neck", LORA_4),
        "lora-high" => ("14.08 %", "rank 256, linear layers and neck", LORA_256),
        "salt-low" => ("0.46 %", "r 760 / 50 / 250 (attention / MLP / neck), d 4", SALT_4_RELEASED),
        "salt-high" => ("3.9 %", "r 760 / 50 / 250, d 256", SALT_256),
        "salt-lora-256" => ("5.84 %", "r 200 everywhere, d 256", ABLATION),
        "salt-rank-200" => ("5.84 %", "r 200 everywhere, d 256", ABLATION),
        _ if row.table == TableId::AblationLora => ("", "r 200 everywhere, d as in the row", RANKS),
        _ => ("", "r as in the row, neck 200, d 256", TRUNCATION),
    }
}

impl Parameters {
    /// Counts everything.
    ///
    /// # Errors
    /// None in practice: the paper's rows fit the paper's models.
    pub fn paper() -> Result<Self> {
        let counter = Counter::new(&SamConfig::vit_b().paper(512))?;
        let (mut rows, mut first) = (Vec::new(), None);
        for row in trained_rows()? {
            // The untuned base and full fine-tuning have no count in the paper.
            let Some(config) = row.adapter.as_ref().filter(|_| row.family.is_efficient()) else { continue };
            let (printed, setting, why) = published(&row);
            let counts = counter.count(config)?;
            rows.push(Row::new(&row, setting, printed, counts, why));
            if row.id == "salt-low"
                && let Some(older) = older_salt(&row)
            {
                rows.push(Row::new(&row, "r 700 / 200 / 200, d 4", printed, counter.count(&older)?, SALT_4));
            }
            first.get_or_insert((config.clone(), counts));
        }
        let (config, counts) = first.ok_or_else(|| StudyError::Plan("no row has an adapter".into()))?;
        let parts = counter.parts(&config, ["SAM image encoder", "SAM prompt encoder", "SAM mask decoder"])?;
        let (base, extras) = (counts.total - counts.adapters, counts.trainable - counts.adapters);
        let frozen = base - extras;
        let frozen_verdict = if frozen / 1_000_000 == 241 { Verdict::WithinRounding } else { Verdict::NotReproducible };
        let (sam2, networks) = (Sam2::new()?, networks()?);
        Ok(Self { parts, base, extras, frozen, frozen_verdict, frozen_why: FROZEN, rows, sam2, networks })
    }
}

const FROZEN: &str = "published as 241M: the frozen count with its digits cut off, not the total";
const S_SAM: &str = "0.40 is the figure of S-SAM's own abstract; the trained extras alone are 0.3955 % of the base";
const LORA_4: &str = "rounds to the printed figure";
const LORA_256: &str = "rounds to the printed figure, and only with the neck adapted (13.80 without)";
const SALT_4: &str = "rounds to the printed figure, as other ranks near these do; the paper does not give its ranks";
const SALT_4_RELEASED: &str = "the released ranks give the figure only by cutting digits off";
const SALT_256: &str = "the released ranks; one printed digit fits any sum of attention and MLP rank from 809 to 830";
const ABLATION: &str = "rounds to the printed figure, and only with the neck adapted (5.82 without)";
const RANKS: &str = "the paper prints only the last point (5.84) and that all stay below 6 %";
const TRUNCATION: &str = "the paper prints only the last point (5.84)";

impl std::fmt::Display for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "SAM ViT-B at 512 x 512 as the paper's code runs it (no relative positions, positions 32 x 32)")?;
        for (name, count) in &self.parts {
            writeln!(f, "  {name:22} {:>12}", thousands(*count))?;
        }
        writeln!(f, "  {:22} {:>12}", "base", thousands(self.base))?;
        writeln!(f, "  {:22} {:>12}", "trained extras", thousands(self.extras))?;
        let verdict = self.frozen_verdict.text();
        writeln!(f, "  {:22} {:>12}  {verdict}: {}\n", "frozen", thousands(self.frozen), self.frozen_why)?;
        write_rows(f, &self.rows)?;
        write!(f, "\n{}\n", self.sam2)?;
        networks::write(f, &self.networks)
    }
}

/// Writes rows as a table.
fn write_rows(f: &mut std::fmt::Formatter<'_>, rows: &[Row]) -> std::fmt::Result {
    writeln!(
        f,
        "{:28} {:52} {:>9} {:>11} {:>11} {:>12} {:>9}  {:17} why",
        "row", "setting", "published", "adapters", "trainable", "total", "percent", "verdict"
    )?;
    for row in rows {
        writeln!(
            f,
            "{:28} {:52} {:>9} {:>11} {:>11} {:>12} {:>9.4}  {:17} {}",
            row.name,
            row.setting,
            row.published,
            thousands(row.adapters),
            thousands(row.trainable),
            thousands(row.total),
            row.percent,
            row.verdict.text(),
            row.why
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(config: &AdapterConfig) -> [usize; 3] {
        let counter = Counter::new(&SamConfig::vit_b().paper(512)).expect("the model has a valid configuration");
        let Counts { adapters, trainable, total } = counter.count(config).expect("every pattern matches");
        [adapters, trainable, total]
    }

    /// The counts of the row that `reproduce` trains under this id.
    fn trained(id: &str) -> [usize; 3] {
        let row = trained_rows().expect("rows").into_iter().find(|row| row.id == id).expect("a row");
        counts(&row.adapter.expect("an adapter"))
    }

    fn percent([_, trainable, total]: [usize; 3]) -> f64 {
        100.0 * trainable as f64 / total as f64
    }

    #[test]
    fn clip_comes_from_its_layer_shapes() {
        assert_eq!(clip_parameters(), 151_277_313);
    }

    #[test]
    fn the_base_is_the_papers() {
        let report = Parameters::paper().expect("counts");
        assert_eq!(report.parts["SAM image encoder"], 87_218_944);
        assert_eq!(report.parts["SAM prompt encoder"], 6_220);
        assert_eq!(report.parts["SAM mask decoder"], 4_058_340);
        assert_eq!(report.parts["text layer"], 131_840);
        assert_eq!(report.base, 242_692_657);
        assert_eq!(report.parts.values().sum::<usize>(), report.base);
        assert_eq!(report.extras, 959_744);
        assert_eq!(report.frozen, 241_732_913);
        assert_eq!(report.frozen_verdict, Verdict::WithinRounding);
        assert!(report.rows.iter().all(|row| row.frozen == 241_732_913));
    }

    #[test]
    fn every_published_row_has_its_integer() {
        assert_eq!(trained("s-sam"), [74_752, 1_034_496, 242_767_409]);
        assert_eq!(trained("lora-low"), [604_160, 1_563_904, 243_296_817]);
        assert_eq!(trained("lora-high"), [38_666_240, 39_625_984, 281_358_897]);
        let low = trained_rows().expect("rows").into_iter().find(|row| row.id == "salt-low").expect("a row");
        assert_eq!(counts(&older_salt(&low).expect("an adapter")), [167_008, 1_126_752, 242_859_665]);
        assert_eq!(trained("salt-low"), [179_368, 1_139_112, 242_872_025]);
        assert_eq!(trained("salt-high"), [8_967_112, 9_926_856, 251_659_769]);
        assert_eq!(trained("salt-lora-256"), [14_036_512, 14_996_256, 256_729_169]);
        assert_eq!(trained("salt-rank-200"), [14_036_512, 14_996_256, 256_729_169]);
        assert_eq!(format!("{:.4}", percent(trained("lora-low"))), "0.6428");
        assert_eq!(format!("{:.4}", percent(trained("lora-high"))), "14.0838");
        assert_eq!(format!("{:.4}", percent(trained("salt-high"))), "3.9446");

        use Verdict::{Exact, NotReproducible, WithinRounding};
        let report = Parameters::paper().expect("counts");
        let sam2: Vec<_> = report
            .sam2
            .rows
            .iter()
            .map(|row| (row.id.as_str(), row.published.as_str(), row.trainable, row.total, row.verdict))
            .collect();
        assert_eq!(
            sam2,
            [
                ("sam2-svd", "0.2M", 293_152, 224_666_673, WithinRounding),
                ("sam2-svd", "0.2M", 161_312, 224_534_833, WithinRounding),
                ("sam2-lora-low", "0.9M", 902_816, 225_276_337, WithinRounding),
                ("sam2-lora-low", "0.9M", 770_976, 225_144_497, NotReproducible),
                ("sam2-lora-high", "44.6M", 44_738_720, 269_112_241, NotReproducible),
                ("sam2-lora-high", "44.6M", 44_606_880, 268_980_401, Exact),
                ("sam2-salt-low", "0.5M", 519_852, 224_893_373, WithinRounding),
                ("sam2-salt-low", "0.5M", 530_668, 224_904_189, WithinRounding),
                ("sam2-salt-high", "19.7M", 19_705_116, 244_078_637, Exact),
                ("sam2-salt-high", "19.7M", 19_715_932, 244_089_453, Exact),
                ("sam2-salt-high", "19.7M", 19_573_276, 243_946_797, NotReproducible),
            ]
        );
        let networks: Vec<_> = report
            .networks
            .iter()
            .map(|network| (network.id.as_str(), network.published.as_str(), network.count, network.verdict))
            .collect();
        assert_eq!(
            networks,
            [
                ("unet", "6.5M", 6_500_734, WithinRounding),
                ("unetr", "91M", 91_815_137, WithinRounding),
                ("regunet", "7.8M", 7_863_456, WithinRounding),
                ("regunet-decoder", "7.8M", 11_784_384, NotReproducible),
                ("segnet", "29M", 29_443_585, WithinRounding),
                ("deeplabv3-plus", "45M", 45_669_713, WithinRounding),
                ("segformer", "43M", 43_829_313, WithinRounding),
                ("segformer-mit-b3", "43M", 44_598_209, NotReproducible),
            ]
        );
    }

    #[test]
    fn the_base_of_sam2_is_the_papers_and_its_printed_total_is_not() {
        let sam2 = Parameters::paper().expect("counts").sam2;
        assert_eq!(sam2.parts["SAM 2 image encoder"], 69_106_816);
        assert_eq!(sam2.parts["SAM 2 prompt encoder"], 6_220);
        assert_eq!(sam2.parts["SAM 2 mask decoder"], 4_058_340);
        assert_eq!(sam2.base, 224_580_529);
        assert_eq!(sam2.parts.values().sum::<usize>(), sam2.base);
        assert_eq!(sam2.extras, 207_008);
        assert!(sam2.totals.iter().any(|total| total.count == 73_303_216));
        assert_eq!(sam2.totals.len(), 2 * (1 + sam2.rows.len()));
        assert_eq!(sam2.total_verdict, Verdict::NotReproducible);
    }

    #[test]
    fn both_ablation_series_have_their_percentages() {
        let report = Parameters::paper().expect("counts");
        let series = |prefix: &str, digits: usize| -> Vec<String> {
            report
                .rows
                .iter()
                .filter(|row| row.id.starts_with(prefix))
                .map(|row| format!("{:.digits$}", row.percent))
                .collect()
        };
        assert_eq!(series("salt-lora-", 4), ["0.4935", "0.5831", "0.7618", "1.1175", "1.8211", "3.1988", "5.8413"]);
        assert_eq!(series("salt-rank-", 3), ["1.127", "2.108", "3.068", "4.011", "4.935", "5.841"]);
        let first = report.rows.iter().find(|row| row.id == "salt-lora-4").expect("a series");
        assert_eq!((first.adapters, first.trainable), (239_008, 1_198_752));
    }

    #[test]
    fn verdicts_follow_from_the_digits() {
        assert_eq!(Verdict::of(0.6428, "0.64"), Verdict::Exact);
        assert_eq!(Verdict::of(3.9446, "3.9"), Verdict::WithinRounding);
        assert_eq!(Verdict::of(0.4690, "0.46"), Verdict::WithinRounding);
        assert_eq!(Verdict::of(0.4261, "0.40"), Verdict::NotReproducible);
        assert_eq!(Verdict::of(19.7051, "19.7"), Verdict::Exact);
        assert_eq!(Verdict::of(0.2932, "0.2"), Verdict::WithinRounding);
        assert_eq!(Verdict::of(91.8151, "91"), Verdict::WithinRounding);
        assert_eq!(Verdict::of(224.5805, "125"), Verdict::NotReproducible);
        let report = Parameters::paper().expect("counts");
        let verdicts: Vec<Verdict> = report.rows.iter().take(6).map(|row| row.verdict).collect();
        use Verdict::{Exact, NotReproducible, WithinRounding};
        assert_eq!(verdicts, [NotReproducible, Exact, Exact, WithinRounding, Exact, WithinRounding]);
        assert!(report.to_string().contains("241,732,913") && serde_json::to_string(&report).is_ok());
    }

    #[test]
    fn without_the_neck_the_published_figures_do_not_come_out() {
        let blocks = |id: &str| {
            let row = trained_rows().expect("rows").into_iter().find(|row| row.id == id).expect("a row");
            let mut config = row.adapter.expect("an adapter");
            config.include.retain(|pattern| !pattern.contains("neck"));
            config.svd_rank_pattern.retain(|pattern, _| !pattern.contains("neck"));
            format!("{:.2}", percent(counts(&config)))
        };
        assert_eq!(blocks("lora-high"), "13.80");
        assert_eq!(blocks("salt-lora-256"), "5.82");
    }
}
