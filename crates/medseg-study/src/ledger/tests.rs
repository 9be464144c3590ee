//! Made-up results for every state.

use super::*;
use crate::methods::{Family, TableId};
use crate::results::{CellResult, MethodCard};
use medseg_train::data::DatasetCard;
use medseg_train::evaluate::CaseScore;
use medseg_train::model::BaseModelCard;
use std::collections::BTreeMap;

const FIVE: [&str; 5] = ["ARCADE", "DIAS", "ROSE", "XRay-Angio", "DRIVE"];

/// A method's mean Dice and by how much its images swing around it.
type Level<'a> = (&'a str, f64, f64);

/// Ten images of a data set for each method; HD95 is 100 times what is left of Dice to 1.
fn results(profile: &str, base: (&str, bool), datasets: &[&str], levels: &[Level<'_>]) -> Results {
    let method = |&(id, ..): &Level<'_>| MethodCard {
        id: id.into(),
        title: id.into(),
        trains: String::new(),
        table: TableId::Main,
        family: Family::Salt,
        trainable: 1,
        total: 2,
        against: None,
    };
    let card = |name: &&str| DatasetCard {
        name: (*name).into(),
        layout: String::new(),
        sha256: String::new(),
        train: 1,
        validation: 1,
        test: 10,
        split: String::new(),
    };
    let parameters = match base.0 {
        "sam-mini" => 2,
        name => judge::base_sizes()[usize::from(name.starts_with("sam2"))],
    };
    let mut cells = Vec::new();
    for dataset in datasets {
        for &(id, mean, swing) in levels {
            let case = |index: usize| {
                // Signs that differ from method to method, or paired differences would have no spread.
                let sign = if (index + id.len()).is_multiple_of(2) { 1.0 } else { -1.0 };
                let dice = mean + swing * sign;
                let values = BTreeMap::from([("dice".to_string(), dice), ("hd95".to_string(), 100.0 * (1.0 - dice))]);
                CaseScore { id: index.to_string(), patient: index.to_string(), values }
            };
            cells.push(CellResult {
                dataset: (*dataset).into(),
                method: id.into(),
                seed: 0,
                identity: String::new(),
                grid: Vec::new(),
                learning_rate: None,
                steps: 0,
                seconds: 0.0,
                cases: (0..10).map(case).collect(),
                metrics: String::new(),
                overlays: Vec::new(),
                config: String::new(),
                best_of_each: None,
            });
        }
    }
    Results {
        version: 2,
        notice: String::new(),
        profile: profile.into(),
        base: BaseModelCard { name: base.0.into(), sha256: String::new(), pretrained: base.1, parameters },
        datasets: datasets.iter().map(card).collect(),
        methods: levels.iter().map(method).collect(),
        cells,
        missing: Vec::new(),
        settings: BTreeMap::new(),
        environment: BTreeMap::new(),
    }
}

const SAM: (&str, bool) = ("sam_vit_b_01ec64.pth", true);

fn lines(results: Option<&Results>) -> Vec<Line> {
    ledger(&Published::paper().unwrap(), &Parameters::paper().unwrap(), results).unwrap()
}

/// State and text of the line with this claim.
fn find(lines: &[Line], claim: &str) -> (State, String) {
    let line = lines.iter().find(|line| line.claim == claim);
    let line = line.unwrap_or_else(|| unreachable!("no claim {claim:?}"));
    (line.state, line.here.clone())
}

#[test]
fn the_papers_bases_have_the_sizes_of_its_recipe() {
    // Image encoder, prompt encoder with its 256 frequencies, decoder.
    assert_eq!(judge::base_sizes()[0], 87_218_944 + 6_220 + 256 + 4_058_340);
    assert_eq!(judge::base_sizes().len(), 2);
}

const OVER_LORA: &str = "SALT outperforms LoRA by 2 to 5 % Dice on five data sets";

#[test]
fn without_results_nothing_was_run_and_counts_are_known() {
    let lines = lines(None);
    assert!(lines.len() > 150, "{}", lines.len());
    for line in &lines {
        let counted = line.command == counts::COMMAND;
        let expected = [State::Exact, State::WithinRounding, State::NotReproducible];
        assert_eq!(expected.contains(&line.state), counted, "{line:?}");
        assert!(counted || (line.state == State::NotRun && line.here.is_empty()), "{line:?}");
    }
    let counts: Vec<(&str, State)> = lines
        .iter()
        .filter(|line| line.place == "main" && line.claim == "LoRA 256: trained parameters")
        .map(|line| (line.printed.as_str(), line.state))
        .collect();
    assert_eq!(counts, [("14.08%", State::Exact), ("33.9M", State::NotReproducible)]);
    assert_eq!(find(&lines, "SALT reaches its results with 3.9 % trained parameters").0, State::WithinRounding);
    assert_eq!(
        find(&lines, "SAM 2 (Hiera-B+) with CLIP and the text layer has 125M parameters").0,
        State::NotReproducible
    );
    let (state, text) = find(&lines, "Every update rank from 4 to 256 trains less than 6 % of the parameters");
    assert_eq!((state, text.as_str()), (State::Exact, "at most 5.8413%"));
    let salt = lines.iter().find(|line| line.claim == "SALT 256, DRIVE: Dice").unwrap();
    let command = "salt reproduce --profile paper --sam sam_vit_b_01ec64.pth --data DIR --methods salt-high";
    assert_eq!((salt.printed.as_str(), salt.command.as_str()), ("0.75", command));
    assert!(
        lines.iter().any(|line| line.claim == OVER_LORA && line.command.ends_with("--methods salt-high,lora-high"))
    );
}

#[test]
fn a_figure_of_the_papers_setting_is_judged_by_its_interval() {
    let run = results("paper", SAM, &["ARCADE"], &[("salt-high", 0.81, 0.02), ("lora-high", 0.7, 0.02)]);
    let lines = lines(Some(&run));
    let (state, text) = find(&lines, "SALT 256, ARCADE: Dice");
    assert_eq!(state, State::WithinInterval, "{text}");
    assert!(text.starts_with("0.810 ["), "{text}");
    // 19 px against 42.50 printed.
    assert_eq!(find(&lines, "SALT 256, ARCADE: HD95, px").0, State::NotReproduced);
    assert_eq!(find(&lines, "LoRA 256, ARCADE: Dice").0, State::NotReproduced);
    // The other sets, and averages over all of them, were not run.
    for claim in ["SALT 256, DIAS: Dice", "SALT 256, average: Dice", OVER_LORA] {
        assert_eq!(find(&lines, claim), (State::NotRun, String::new()), "{claim}");
    }
}

#[test]
fn averages_and_differences_need_every_data_set() {
    let judge = |levels: &[Level<'_>]| {
        let lines = lines(Some(&results("paper", SAM, &FIVE, levels)));
        (find(&lines, "SALT 256, average: Dice"), find(&lines, OVER_LORA))
    };
    let ((average, text), (difference, by)) = judge(&[("salt-high", 0.74, 0.03), ("lora-high", 0.70, 0.001)]);
    assert_eq!((average, difference), (State::WithinInterval, State::WithinInterval), "{text} {by}");
    assert!(by.starts_with("+0.040 [+0.0"), "{by}");
    // Ahead by much more than is claimed, and behind.
    assert_eq!(judge(&[("salt-high", 0.90, 0.03), ("lora-high", 0.70, 0.001)]).1.0, State::NotReproduced);
    assert_eq!(judge(&[("salt-high", 0.66, 0.03), ("lora-high", 0.70, 0.001)]).1.0, State::NotReproduced);
    // The range is met, but so is 0.
    let (_, (state, text)) = judge(&[("salt-high", 0.72, 0.3), ("lora-high", 0.70, 0.001)]);
    assert_eq!(state, State::NotReproduced);
    assert!(text.ends_with("not clearly different from 0"), "{text}");
}

#[test]
fn other_budgets_bases_and_data_are_another_profile() {
    let levels = [
        ("salt-high", 0.81, 0.02),
        ("lora-high", 0.77, 0.001),
        ("salt-rank-200", 0.8, 0.01),
        ("salt-rank-700", 0.7, 0.001),
    ];
    let demo = results("demo", ("sam-mini", true), &["Synthetic OCTA"], &levels);
    let shortened = results("paper, shortened", SAM, &["ARCADE"], &levels);
    let random = results("paper", ("random weights", false), &["ARCADE"], &levels);
    let small = results("paper", ("sam-mini", true), &["ARCADE"], &levels);
    let own = results("paper", SAM, &["Our hospital"], &levels);
    for (run, expected) in [
        (&demo, "Synthetic OCTA 0.810 ["),
        (&shortened, "0.810 ["),
        (&random, "0.810 ["),
        (&small, "0.810 ["),
        (&own, "Our hospital 0.810 ["),
    ] {
        let lines = lines(Some(run));
        let (state, text) = find(&lines, "SALT 256, ARCADE: Dice");
        assert_eq!(state, State::OtherProfile, "{text}");
        assert!(text.starts_with(expected) && text.contains(&run.profile), "{text}");
        let (state, text) = find(&lines, OVER_LORA);
        assert_eq!(state, State::OtherProfile, "{text}");
        assert!(text.contains("+0.040 ["), "{text}");
        assert_eq!(find(&lines, "S-SAM, ARCADE: Dice").0, State::NotRun);
    }
}

#[test]
fn where_the_paper_names_no_data_set_any_of_its_own_will_do() {
    let levels = [("salt-rank-200", 0.8, 0.01), ("salt-rank-700", 0.7, 0.001)];
    let claim = "Scaling 200 singular values instead of 700 improves Dice";
    let judge = |datasets: &[&str]| find(&lines(Some(&results("paper", SAM, datasets, &levels))), claim).0;
    assert_eq!(judge(&["ROSE"]), State::WithinInterval);
    assert_eq!(judge(&["Our hospital"]), State::OtherProfile);
    // Its figure cannot be compared: nobody knows of which set it is.
    let lines = lines(Some(&results("paper", SAM, &["ROSE"], &levels)));
    assert_eq!(find(&lines, "SALT, 200 values, not stated: Dice").0, State::OtherProfile);
}

#[test]
fn a_claimed_defeat_is_judged_too() {
    let judge = |salt: f64| {
        let levels = [("sam2-salt-high", salt, 0.001), ("sam2-lora-high", 0.752, 0.0005)];
        let run = results("paper", ("sam2.1_hiera_base_plus.pt", true), &["ARCADE", "ROSE"], &levels);
        find(&lines(Some(&run)), "On SAM 2, SALT 256 stays behind LoRA 256 (0.7495 against 0.7515 on average)").0
    };
    assert_eq!((judge(0.750), judge(0.754)), (State::WithinInterval, State::NotReproduced));
}

#[test]
fn medsams_row_is_of_medsam_and_the_others_are_not() {
    let levels = [("medsam-box", 0.32, 0.02), ("s-sam", 0.65, 0.02)];
    let judge = |base: &str| {
        let lines = lines(Some(&results("paper", (base, true), &["ROSE"], &levels)));
        ["MedSAM, ROSE: Dice", "S-SAM, ROSE: Dice"].map(|claim| find(&lines, claim).0)
    };
    assert_eq!(judge("weights/MedSAM_vit_b.pth"), [State::WithinInterval, State::OtherProfile]);
    assert_eq!(judge("sam_vit_b_01ec64.pth"), [State::OtherProfile, State::WithinInterval]);
}
