//! What the tables say, in sentences computed from the same numbers, so that a report cannot praise what did not win.

use crate::error::Result;
use crate::methods::Family;
use crate::results::{MethodCard, Results};
use crate::summary::{PairedDifference, Summary, of};

/// A method with its mean test Dice.
type Row<'a> = (&'a MethodCard, f64);

/// One sentence or two per question and data set: which parameter-efficient row leads and how far it is from full fine-tuning,
/// whether SALT wins, what the base is worth, which rows are not clearly above the untuned base, and whether a classic network
/// from random weights would have done. Questions whose rows were not run are left out.
///
/// # Errors
/// None in practice: the statistics get what they need.
pub fn findings(results: &Results) -> Result<Vec<String>> {
    let mut sentences = Vec::new();
    for dataset in &results.datasets {
        let mut rows: Vec<Row<'_>> = Vec::new();
        for method in results.methods.iter().filter(|method| method.table.is_comparison()) {
            if let Some(summary) = Summary::of(&of(results, &dataset.name, &method.id), "dice")? {
                rows.push((method, summary.mean));
            }
        }
        let about = Dataset { results, name: &dataset.name, rows };
        for sentence in [about.leader()?, about.salt()?, about.base()?, about.above_the_base()?, about.classic()?]
            .into_iter()
            .flatten()
        {
            sentences.push(format!("{}: {sentence}", dataset.name));
        }
    }
    Ok(sentences)
}

struct Dataset<'a> {
    results: &'a Results,
    name: &'a str,
    rows: Vec<Row<'a>>,
}

impl<'a> Dataset<'a> {
    fn row(&self, family: Family) -> Option<Row<'a>> {
        self.rows.iter().copied().find(|(method, _)| method.family == family)
    }

    fn efficient(&self) -> impl Iterator<Item = Row<'a>> {
        self.rows.iter().copied().filter(|(method, _)| method.family.is_efficient())
    }

    fn difference(&self, left: &str, right: &str) -> Result<Option<PairedDifference>> {
        PairedDifference::of(self.results, self.name, left, right)
    }

    fn leader(&self) -> Result<Option<String>> {
        let Some((best, dice)) = highest(self.efficient()) else { return Ok(None) };
        let mut sentence = format!("the best parameter-efficient row is {} with Dice {dice:.3}", best.title);
        if let Some((_, full)) = self.row(Family::Full) {
            sentence.push_str(&format!(", {:.2} of full fine-tuning's {full:.3}", dice / full));
        }
        Ok(Some(sentence + "."))
    }

    fn salt(&self) -> Result<Option<String>> {
        let is_salt = |method: &MethodCard| method.family == Family::Salt;
        let Some((salt, dice)) = highest(self.efficient().filter(|(method, _)| is_salt(method))) else {
            return Ok(None);
        };
        let Some((rival, theirs)) = highest(self.efficient().filter(|(method, _)| !is_salt(method))) else {
            return Ok(None);
        };
        let Some(difference) = self.difference(&salt.id, &rival.id)? else { return Ok(None) };
        let verdict = match (dice > theirs, difference.is_clear()) {
            (true, true) => "SALT wins",
            (true, false) => "SALT is ahead, but not clearly",
            (false, true) => "SALT does not win",
            (false, false) => "SALT does not win, though it is not clearly behind",
        };
        Ok(Some(format!("{verdict}: {} minus {} is {} Dice.", salt.title, rival.title, difference.text())))
    }

    fn base(&self) -> Result<Option<String>> {
        if !self.results.base.pretrained {
            return Ok(None);
        }
        let (Some((full, _)), Some((scratch, _))) = (self.row(Family::Full), self.row(Family::Scratch)) else {
            return Ok(None);
        };
        let Some(difference) = self.difference(&full.id, &scratch.id)? else { return Ok(None) };
        let verdict = match (difference.mean > 0.0, difference.is_clear()) {
            (true, true) => "the base pays for itself",
            (_, false) => "the base makes no clear difference",
            (false, true) => "the base is worth less than random weights",
        };
        Ok(Some(format!(
            "{verdict}: full fine-tuning from it minus training from random weights is {} Dice.",
            difference.text()
        )))
    }

    fn above_the_base(&self) -> Result<Option<String>> {
        let Some((frozen, _)) = self.row(Family::Untuned) else { return Ok(None) };
        let mut unclear = Vec::new();
        let mut compared = 0;
        for (method, _) in self.efficient() {
            let Some(difference) = self.difference(&method.id, &frozen.id)? else { continue };
            compared += 1;
            if difference.mean <= 0.0 || !difference.is_clear() {
                unclear.push(format!("{} ({})", method.title, difference.text()));
            }
        }
        Ok(match (compared, unclear.is_empty()) {
            (0, _) => None,
            (_, true) => Some("every parameter-efficient row is clearly above the untuned base.".into()),
            (_, false) => Some(format!("not clearly above the untuned base: {}.", unclear.join(", "))),
        })
    }

    fn classic(&self) -> Result<Option<String>> {
        let classic = self.rows.iter().copied().filter(|(method, _)| method.family == Family::Classic);
        let (Some((network, _)), Some((best, _))) = (highest(classic), highest(self.efficient())) else {
            return Ok(None);
        };
        let Some(difference) = self.difference(&best.id, &network.id)? else { return Ok(None) };
        let verdict = match (difference.mean > 0.0, difference.is_clear()) {
            (true, true) => "no classic network would have done",
            (_, false) => "a classic network from random weights is not clearly different",
            (false, true) => "a classic network from random weights does better",
        };
        Ok(Some(format!("{verdict}: {} minus {} is {} Dice.", best.title, network.title, difference.text())))
    }
}

fn highest<'a>(rows: impl Iterator<Item = Row<'a>>) -> Option<Row<'a>> {
    rows.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::TableId;
    use crate::results::CellResult;
    use medseg_train::data::DatasetCard;
    use medseg_train::evaluate::CaseScore;
    use medseg_train::model::BaseModelCard;
    use std::collections::BTreeMap;

    /// Eight images; a method's Dice is `level`, a little more on every second image.
    fn results(levels: &[(&str, f64)]) -> Results {
        let method = |id: &str| MethodCard {
            id: id.into(),
            title: id.to_uppercase(),
            trains: String::new(),
            table: TableId::Main,
            family: match id {
                "frozen" => Family::Untuned,
                "full" => Family::Full,
                "scratch" => Family::Scratch,
                "unet" | "segformer" => Family::Classic,
                _ if id.starts_with("salt") => Family::Salt,
                _ => Family::Lora,
            },
            trainable: 1,
            total: 2,
            against: None,
        };
        let cell = |id: &str, level: f64| CellResult {
            dataset: "Set".into(),
            method: id.into(),
            seed: 0,
            identity: String::new(),
            grid: Vec::new(),
            learning_rate: None,
            steps: 0,
            seconds: 0.0,
            cases: (0..8)
                .map(|index| CaseScore {
                    id: index.to_string(),
                    patient: index.to_string(),
                    values: BTreeMap::from([(
                        "dice".to_string(),
                        // Rows called "noisy" swing from image to image around their level.
                        level + if id.contains("noisy") { 0.1 * (f64::from(index % 2) - 0.5) } else { 0.0 },
                    )]),
                })
                .collect(),
            metrics: String::new(),
            overlays: Vec::new(),
            config: String::new(),
            best_of_each: None,
        };
        Results {
            version: 1,
            notice: String::new(),
            profile: "demo".into(),
            base: BaseModelCard { name: "b".into(), sha256: String::new(), pretrained: true, parameters: 2 },
            datasets: vec![DatasetCard {
                name: "Set".into(),
                layout: String::new(),
                sha256: String::new(),
                train: 1,
                validation: 1,
                test: 8,
                split: String::new(),
            }],
            methods: levels.iter().map(|(id, _)| method(id)).collect(),
            cells: levels.iter().map(|(id, level)| cell(id, *level)).collect(),
            missing: Vec::new(),
            settings: BTreeMap::new(),
            environment: BTreeMap::new(),
        }
    }

    fn text(levels: &[(&str, f64)]) -> String {
        findings(&results(levels)).unwrap().join("\n")
    }

    #[test]
    fn a_defeat_is_called_one() {
        let text = text(&[("frozen", 0.3), ("full", 0.8), ("scratch", 0.5), ("lora-low", 0.72), ("salt-low", 0.6)]);
        assert!(text.contains("Set: the best parameter-efficient row is LORA-LOW with Dice 0.720, 0.90 of"), "{text}");
        assert!(text.contains("SALT does not win: SALT-LOW minus LORA-LOW is -0.120"), "{text}");
        assert!(text.contains("the base pays for itself") && text.contains("+0.300"), "{text}");
        assert!(text.contains("every parameter-efficient row is clearly above"), "{text}");
    }

    #[test]
    fn it_is_said_whether_a_classic_network_would_have_done() {
        let behind = text(&[("lora-low", 0.7), ("unet", 0.6), ("segformer", 0.5)]);
        assert!(behind.contains("no classic network would have done: LORA-LOW minus UNET is +0.100"), "{behind}");
        let ahead = text(&[("lora-low", 0.7), ("unet", 0.6), ("segformer", 0.8)]);
        assert!(ahead.contains("does better: LORA-LOW minus SEGFORMER is -0.100"), "{ahead}");
        let close = text(&[("lora-noisy", 0.61), ("unet", 0.6)]);
        assert!(close.contains("not clearly different: LORA-NOISY minus UNET is +0.010"), "{close}");
        // They are no parameter-efficient rows, and nothing is said of those that were not run.
        assert!(ahead.contains("the best parameter-efficient row is LORA-LOW"), "{ahead}");
        assert!(!text(&[("unet", 0.9)]).contains("classic") && !text(&[("lora-low", 0.9)]).contains("classic"));
    }

    #[test]
    fn what_is_not_clear_is_not_claimed() {
        let noisy = text(&[("frozen", 0.6), ("lora-low", 0.5), ("salt-noisy", 0.61)]);
        assert!(noisy.contains("not clearly above the untuned base: LORA-LOW (-0.100"), "{noisy}");
        assert!(noisy.contains("SALT-NOISY (+0.010") && noisy.contains("SALT wins"), "{noisy}");
        let close = text(&[("lora-low", 0.6), ("salt-noisy", 0.61), ("full", 0.4), ("scratch", 0.5)]);
        assert!(close.contains("SALT is ahead, but not clearly"), "{close}");
        assert!(close.contains("the base is worth less than random weights"), "{close}");
        // Nothing is said of rows that were not run.
        assert!(!close.contains("untuned"), "{close}");
        assert!(text(&[("frozen", 0.6)]).is_empty());
    }
}
