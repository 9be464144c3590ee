//! The whole comparison, small: every method runs, is reported, and is never run twice.

use crate::support::{images, tiny};
use medseg_data::OpenOptions;
use medseg_study::comparison::{Comparison, Profile, Runner, SilentStudy, Synthetic, SyntheticKind};
use medseg_study::published::Published;
use medseg_study::report::{TableCell, findings, report};
use medseg_study::results::{CellResult, Results};
use medseg_study::{Family, TableChoice, rows};
use medseg_train::StopFlag;
use medseg_train::config::{Architecture, ModelConfig};
use medseg_train::model::BaseModel;
use sam_model::{HieraConfig, SamConfig, SamVariant};
use std::path::{Path, PathBuf};

/// A SAM 2 with pooled, padded and global blocks.
fn tiny_sam2() -> SamConfig {
    SamConfig {
        image_size: 64,
        embed_dim: 8,
        depth: 5,
        num_heads: 1,
        output_channels: 16,
        window_size: 4,
        global_attention_blocks: vec![3],
        decoder_heads: 2,
        decoder_mlp_dim: 16,
        iou_head_hidden_dim: 16,
        hiera: Some(HieraConfig { stages: [1, 1, 2, 1], windows: [4, 2, 6, 3], background_grid: [5, 5] }),
        ..SamConfig::sam2_tiny()
    }
}

fn small(profile: Profile) -> Profile {
    let mut profile = profile;
    profile.template.model.base = "random".into();
    profile.template.model.architecture = Architecture::Custom(Box::new(tiny()));
    profile.template.training.epochs = 1;
    profile.template.training.validate_every = 1;
    for source in &mut profile.datasets {
        source.config.image_size = 64;
        source.config.allow_empty_masks = true;
        if let Some(synthetic) = &mut source.synthetic {
            synthetic.size = 64;
            synthetic.counts = [4, 2, 3];
        }
    }
    profile
}

fn run(profile: Profile, table: TableChoice, out: &Path) -> Results {
    run_methods(profile, table, &[], out)
}

fn run_methods(profile: Profile, table: TableChoice, methods: &[&str], out: &Path) -> Results {
    let stop = StopFlag::new();
    let runner = Runner::new(&profile, stop);
    let methods: Vec<String> = methods.iter().map(|id| (*id).to_owned()).collect();
    let comparison = Comparison::prepare(profile, table, &methods, out, None).unwrap();
    comparison.run(&comparison.cells, &runner, &SilentStudy).unwrap();
    comparison.collect().unwrap()
}

fn results_written(folder: &Path) -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            } else {
                found.push(entry.path());
            }
        }
    }
    let mut found = Vec::new();
    walk(&folder.join("cells"), &mut found);
    found.sort();
    found
}

#[test]
fn the_demonstration_runs_every_method_and_the_second_time_none() {
    let out = tempfile::tempdir().unwrap();
    let mut profile = small(Profile::demo());
    profile.rates = vec![1e-3, 1e-2];
    let results = run(profile.clone(), TableChoice::Main, out.path());
    assert_eq!((results.cells.len(), results.missing.len()), (2 * 11, 0));
    for cell in &results.cells {
        let trained = cell.method != "frozen";
        assert_eq!(cell.grid.len(), if trained { 2 } else { 0 }, "{}", cell.method);
        assert_eq!(cell.learning_rate.is_some(), trained);
        assert_eq!(cell.cases.len(), 3);
        assert!(cell.mean("dice").is_some_and(|dice| (0.0..=1.0).contains(&dice)));
        assert!(cell.mean("hd95").is_some_and(f64::is_finite));
    }
    assert!(!results.base.pretrained);
    let counts = |id: &str| results.methods.iter().find(|method| method.id == id).unwrap();
    assert_eq!(counts("frozen").trainable, 0);
    assert_eq!(counts("full").trainable, counts("full").total);
    assert!(counts("salt-high").trainable < counts("full").trainable);

    let published = Published::paper().unwrap();
    let report = report(&results, &published, out.path()).unwrap();
    let tables = &report.tables;
    let file = |name: &str| report.files.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    assert!(tables.iter().any(|table| table.title.starts_with("Paired differences")));
    let claims = tables.iter().find(|table| table.title.starts_with("Ledger: Table 1")).unwrap();
    let line = claims.rows.iter().find(|row| row[0].text == "SALT 256, DIAS: Dice").unwrap();
    assert_eq!((line[1].text.as_str(), line[2].text.as_str()), ("0.71", "run under another profile"));
    assert!(line[3].text.contains("Synthetic OCTA 0."), "{}", line[3].text);
    let html = String::from_utf8(file("report.html")).unwrap();
    for needed in
        ["<svg", "data:image/png;base64,", "Full fine-tuning", "random weights", "not run", "Ledger of claims"]
    {
        assert!(html.contains(needed), "{needed}");
    }
    for forbidden in ["<script", "http://", "https://"] {
        // The name of the SVG language is no link.
        let html = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let stored: Results = serde_json::from_slice(&file("results.json")).unwrap();
    assert_eq!((stored.cells.len(), &stored.methods, &stored.datasets), (22, &results.methods, &results.datasets));

    let before: Vec<_> = results_written(out.path());
    let stamp = |files: &[PathBuf]| files.iter().map(|f| f.metadata().unwrap().modified().unwrap()).collect::<Vec<_>>();
    let stamps = stamp(&before);
    let again = run(profile, TableChoice::Main, out.path());
    assert_eq!(again, results);
    assert_eq!(results_written(out.path()), before);
    // Locks are taken anew only where something runs.
    assert_eq!(stamp(&before), stamps);
}

/// Jobs of an array begin together, and each finds or makes the synthetic sets.
#[test]
fn a_synthetic_set_is_made_once_by_all_who_want_it_at_once() {
    let out = tempfile::tempdir().unwrap();
    let synthetic = Synthetic { kind: SyntheticKind::Angiography, size: 64, counts: [4, 2, 3], seed: 1 };
    let barrier = std::sync::Barrier::new(8);
    let places: Vec<PathBuf> = std::thread::scope(|scope| {
        let make = || {
            barrier.wait();
            synthetic.make(out.path()).unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(places.iter().all(|place| *place == places[0] && place.join("syntax").is_dir()), "{places:?}");
    let left: Vec<_> = std::fs::read_dir(out.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, [places[0].clone()], "what the others had begun is left");
}

#[test]
fn counts_from_shapes_are_those_of_the_model_in_memory() {
    let device = medseg_train::device::open("cpu").unwrap();
    let load = |config: SamConfig, variant| {
        let architecture = Architecture::Custom(Box::new(config));
        let model = ModelConfig { base: "random".into(), architecture, variant, ..ModelConfig::default() };
        BaseModel::load(&model, 64, &device).unwrap()
    };
    let mut by_energy = rows(TableChoice::Main, &tiny(), false).unwrap().pop().unwrap();
    by_energy.adapter.as_mut().unwrap().svd_rank = salt_peft::Rank::energy(0.9);
    let mut all = rows(TableChoice::All, &tiny(), false).unwrap();
    all.extend(rows(TableChoice::FutureWork, &tiny(), false).unwrap());
    all.extend(rows(TableChoice::Main, &tiny(), true).unwrap());
    all.push(by_energy);
    let of_sam2 = |released| rows(TableChoice::Sam2, &tiny_sam2(), released).unwrap();
    for (base, rows) in [
        (load(tiny(), SamVariant::Sam), all),
        (load(tiny_sam2(), SamVariant::Sam), of_sam2(false)),
        (load(tiny_sam2(), SamVariant::Paper), of_sam2(true)),
    ] {
        for row in rows {
            let attached = base.adapted(row.adapter.as_ref(), &device).unwrap();
            let counts = base.counts(row.adapter.as_ref(), &device).unwrap();
            assert_eq!(counts, (attached.trainable, attached.total), "{}", row.id);
        }
    }
}

#[test]
fn the_table_of_sam2_runs_on_a_sam2_and_asks_for_one() {
    let out = tempfile::tempdir().unwrap();
    let mut profile = small(Profile { rates: vec![1e-2], released: true, ..Profile::demo() });
    profile.datasets.truncate(1);
    // A name of the published table, so that its figures stand beside ours.
    profile.datasets[0].name = "ARCADE".into();
    let refused = |profile: &Profile, table| {
        Comparison::prepare(profile.clone(), table, &[], out.path(), None).unwrap_err().to_string()
    };
    let message = refused(&profile, TableChoice::Sam2);
    assert!(message.starts_with("table: `sam2` expected a SAM 2") && message.contains("found a SAM with"), "{message}");
    profile.template.model.architecture = Architecture::Custom(Box::new(tiny_sam2()));
    profile.template.model.variant = SamVariant::Paper;
    let message = refused(&profile, TableChoice::Main);
    assert!(message.starts_with("table: `main` expected a SAM as") && message.contains("found a SAM 2"), "{message}");

    let results = run(profile, TableChoice::Sam2, out.path());
    assert_eq!((results.cells.len(), results.missing.len()), (8, 0));
    assert!(results.cells.iter().all(|cell| cell.mean("dice").is_some_and(f64::is_finite)));
    let report = report(&results, &Published::paper().unwrap(), out.path()).unwrap();
    assert!(report.tables[0].title.starts_with("SAM 2"), "{}", report.tables[0].title);
    let published = report.tables.iter().find(|table| table.title.starts_with("Published: SAM 2")).unwrap().to_text();
    assert!(
        published.contains("0.784 | 57.13 (run (demo, random weights))") && published.contains("44.6M"),
        "{published}"
    );
    assert!(findings(&results).unwrap().iter().any(|sentence| sentence.contains("the best parameter-efficient row")));
}

#[test]
fn the_papers_profile_takes_the_model_of_the_table() {
    let folder = images([5, 1, 2]);
    let paper = || Profile::paper("random", &[folder.path().to_path_buf()], &OpenOptions::default()).unwrap();
    let (sam, sam2) =
        (paper().for_table(TableChoice::Main, Some("random")), paper().for_table(TableChoice::Sam2, Some("random")));
    assert!(!sam.expected_architecture().unwrap().is_sam2() && sam.notice.contains("relative positions"));
    assert_eq!(sam2.expected_architecture().unwrap(), SamConfig::sam2_base_plus());
    assert!(sam2.notice.contains("object score") && !sam2.notice.contains("relative positions"), "{}", sam2.notice);
    // The demonstration has a small model of either kind, and trains what it is told to.
    let demo = |base| Profile::demo().for_table(TableChoice::Sam2, base);
    assert_eq!(demo(None).template.model.base, "sam2-mini");
    for base in [None, Some("random"), Some("sam2-mini")] {
        assert_eq!(demo(base).expected_architecture().unwrap(), SamConfig::sam2_mini());
    }
    assert!(!demo(Some("sam-mini")).expected_architecture().unwrap().is_sam2());
    assert!(demo(None).datasets.iter().all(|source| source.config.image_size == 256));
    assert_eq!(Profile::demo().for_table(TableChoice::Main, None).template.model.base, "sam-mini");
}

#[test]
fn an_interrupted_comparison_continues_to_the_same_results() {
    let profile = small(Profile { rates: vec![1e-2], ..Profile::demo() });
    let methods = ["lora-low".to_string(), "salt-low".to_string()];
    let figures = |stops: &[u64]| {
        let out = tempfile::tempdir().unwrap();
        for steps in stops {
            let stop = StopFlag::after_steps(*steps);
            let runner = Runner { jobs: 1, stop };
            let comparison =
                Comparison::prepare(profile.clone(), TableChoice::Main, &methods, out.path(), None).unwrap();
            let error = comparison.run(&comparison.cells, &runner, &SilentStudy).unwrap_err();
            assert!(error.is_stop(), "{error}");
        }
        let comparison = Comparison::prepare(profile.clone(), TableChoice::Main, &methods, out.path(), None).unwrap();
        let runner = Runner { jobs: 2, stop: StopFlag::new() };
        comparison.run(&comparison.cells, &runner, &SilentStudy).unwrap();
        let results = comparison.collect().unwrap();
        results
            .cells
            .iter()
            .map(|cell| format!("{} {:?} {:?}", cell.identity, cell.cases, cell.grid))
            .collect::<Vec<_>>()
    };
    assert_eq!(figures(&[1, 3]), figures(&[]));
}

#[test]
fn cells_of_a_plan_run_alone_and_what_lacks_is_named() {
    let out = tempfile::tempdir().unwrap();
    let profile = small(Profile { rates: vec![1e-2], ..Profile::demo() });
    let comparison = Comparison::prepare(profile.clone(), TableChoice::AblationLora, &[], out.path(), None).unwrap();
    assert_eq!(comparison.cells.len(), 2 * 7);
    let runner = Runner { jobs: 1, stop: StopFlag::new() };
    comparison.run(&comparison.cells[3..4], &runner, &SilentStudy).unwrap();
    let results = comparison.collect().unwrap();
    assert_eq!((results.cells.len(), results.missing.len()), (1, 13));
    let published = Published::paper().unwrap();
    let report = report(&results, &published, out.path()).unwrap();
    assert!(report.tables[0].to_text().contains("not run"));
    let text = report.files.iter().find(|(name, _)| *name == "report.md").unwrap();
    assert!(String::from_utf8_lossy(&text.1).contains("## Missing cells"));
}

/// The side of the network's input that a cell's run file names.
fn profile_size(config: &str) -> usize {
    let line = config.lines().find_map(|line| line.strip_prefix("image-size = ")).unwrap();
    line.parse().unwrap()
}

fn salt_of(results: &Results) -> &CellResult {
    results.cells.iter().find(|cell| cell.method == "salt-high").unwrap()
}

#[test]
fn rows_that_the_reference_prompts_train_nothing_and_are_marked() {
    let out = tempfile::tempdir().unwrap();
    let mut profile = small(Profile { seeds: vec![0, 1], ..Profile::demo() });
    profile.datasets.truncate(1);
    let ids = ["frozen", "sam-box", "sam-points-1", "sam-points-3"].map(str::to_string);
    let prepare = |ids: &[String]| Comparison::prepare(profile.clone(), TableChoice::Main, ids, out.path(), None);
    let comparison = prepare(&ids).unwrap();
    // Points are drawn for each seed.
    assert_eq!(comparison.cells.len(), 1 + 1 + 2 + 2);
    comparison.run(&comparison.cells, &Runner { jobs: 1, stop: StopFlag::new() }, &SilentStudy).unwrap();
    let results = comparison.collect().unwrap();
    let of = |method: &str, seed: u64| {
        let cell = results.cells.iter().find(|cell| cell.method == method && cell.seed == seed).unwrap();
        assert!(cell.grid.is_empty() && cell.learning_rate.is_none(), "{method}");
        (cell.identity.clone(), cell.cases.clone())
    };
    let all = [of("frozen", 0), of("sam-box", 0), of("sam-points-1", 0), of("sam-points-1", 1), of("sam-points-3", 0)];
    for (index, one) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other.0 != one.0), "cells of their own");
        assert!(index == 0 || one.1 != all[0].1, "another prompt, another answer");
    }
    let report = report(&results, &Published::paper().unwrap(), out.path()).unwrap();
    let text = report.tables[0].to_text();
    assert!(text.contains("Base, box of the reference") && text.contains("use the reference mask to prompt"), "{text}");
    let marked = |row: &Vec<TableCell>| row[0].text.contains("reference") && row.iter().any(|cell| cell.strong);
    assert!(!report.tables[0].rows.iter().any(marked), "{text}");
    let message = prepare(&["sam-text".to_string()]).unwrap_err().to_string();
    assert!(message.contains("`sam-text` needs a text"), "{message}");
}

#[test]
fn future_work_runs_beside_fixed_ranks_with_as_many_parameters() {
    let out = tempfile::tempdir().unwrap();
    let mut profile = small(Profile { rates: vec![1e-2], ..Profile::demo() });
    profile.datasets.truncate(1);
    let results = run(profile, TableChoice::FutureWork, out.path());
    assert_eq!((results.cells.len(), results.missing.len()), (11, 0));
    let card = |id: &str| results.methods.iter().find(|method| method.id == id).unwrap();
    for rule in ["energy", "effective", "stable", "gap"] {
        let (own, fixed) = (card(&format!("salt-{rule}")), card(&format!("salt-{rule}-fixed")));
        // One value of the narrowest weights more or less in each of the ten weights.
        assert!(own.trainable.abs_diff(fixed.trainable) <= 60, "{rule}: {} {}", own.trainable, fixed.trainable);
        assert_eq!(own.against.as_deref(), Some(fixed.id.as_str()));
    }
    let config = |id: &str| results.cells.iter().find(|cell| cell.method == id).unwrap().config.clone();
    assert!(config("salt-cldice").contains("cl-dice") && !config("salt-high").contains("cl-dice"));
    assert!(config("salt-boundary").contains("boundary") && config("salt-energy").contains("energy"));
    let report = report(&results, &Published::paper().unwrap(), out.path()).unwrap();
    let pairs = report.tables.iter().find(|table| table.title.ends_with("row by row")).unwrap();
    assert_eq!(pairs.rows.len(), 6);
    assert!(report.tables[0].title.starts_with("Future work"));
}

#[test]
fn the_papers_recipe_runs_with_random_weights() {
    let folder = images([5, 1, 2]);
    let out = tempfile::tempdir().unwrap();
    let mut profile = small(Profile::paper("random", &[folder.path().to_path_buf()], &OpenOptions::default()).unwrap());
    assert_eq!(profile.datasets[0].name, "ARCADE");
    // The paper's split sizes do not fit eight images.
    let message =
        Comparison::prepare(profile.clone(), TableChoice::Main, &[], out.path(), None).unwrap_err().to_string();
    assert!(message.contains("700"), "{message}");
    profile.datasets[0].config.split =
        medseg_train::data::SplitRule::PaperSizes { name: "ARCADE".into(), train: 6, test: 2 };
    // All rows but the networks of the published sizes, of which the smallest stands for the others.
    let trained =
        ["full", "scratch", "unet", "decoder-only", "s-sam", "lora-low", "lora-high", "salt-low", "salt-high"];
    let untrained = ["frozen", "sam-box", "sam-points-1", "sam-points-3", "medsam-box"];
    let results = run_methods(profile, TableChoice::Main, &[&trained[..], &untrained[..]].concat(), out.path());
    assert_eq!(results.cells.len(), 14);
    // MedSAM's way: its own size and preparation, scored on the grid of the others.
    let medsam = results.cells.iter().find(|cell| cell.method == "medsam-box").unwrap();
    let size = profile_size(&medsam.config);
    assert!(medsam.config.contains("protocol = \"medsam\"") && size == tiny().image_size, "{}", medsam.config);
    let setting = &results.settings["preprocessing and augmentation"];
    assert!(setting.contains(&format!("but `medsam-box` (protocol `medsam`, {size} x {size} px)")), "{setting}");
    let unet = results.methods.iter().find(|method| method.id == "unet").unwrap();
    assert_eq!((unet.trainable, unet.total, unet.title.as_str()), (6_500_734, 6_500_734, "U-Net, 6.5M"));
    let prompted = results.cells.iter().find(|cell| cell.method == "sam-box").unwrap();
    assert!(prompted.config.contains("variant = \"sam\"") && salt_of(&results).config.contains("variant = \"paper\""));
    let salt = results.cells.iter().find(|cell| cell.method == "salt-high").unwrap();
    let best = salt.best_of_each.unwrap();
    assert!(best.hd95.is_finite() && (0.0..=1.0).contains(&best.dice));
    assert!(salt.config.contains("paper-focal") && salt.metrics.contains("paper_released_open_border"));
    let published = Published::paper().unwrap();
    let report = report(&results, &published, out.path()).unwrap();
    let main = report.tables.iter().find(|table| table.title.starts_with("Published: Table 1")).unwrap();
    // On random weights nothing counts as the paper's.
    assert!(main.to_text().contains("run (paper, random weights)"), "{}", main.to_text());
    let published_unet = main.rows.iter().find(|row| row[0].text == "U-Net").unwrap();
    assert!(published_unet[2].text.contains("0.36 | 157.14 (0."), "{published_unet:?}");
    assert!(results.notice.contains("no recipe for the classic networks"));
}

#[test]
fn classic_networks_are_rows_like_others() {
    let out = tempfile::tempdir().unwrap();
    let mut profile = small(Profile { rates: vec![1e-3], ..Profile::demo() });
    profile.datasets.truncate(1);
    profile.datasets[0].name = "ARCADE".into();
    let ids = ["unet", "unetr", "regunet", "segnet", "deeplabv3-plus", "segformer", "lora-low"];
    let results = run_methods(profile.clone(), TableChoice::Main, &ids, out.path());
    assert_eq!((results.cells.len(), results.missing.len()), (7, 0));
    for method in results.methods.iter().filter(|method| method.id != "lora-low") {
        assert_eq!(method.family, Family::Classic);
        assert!(method.trainable == method.total && method.trainable > 1_000_000, "{method:?}");
        assert!(method.title.ends_with('M') && method.trains.contains("random weights"), "{method:?}");
    }
    for cell in &results.cells {
        assert!(cell.learning_rate.is_some() && cell.mean("dice").is_some_and(f64::is_finite), "{}", cell.method);
    }
    // Small networks are not the published ones: no figure is called reproduced or not.
    let report = report(&results, &Published::paper().unwrap(), out.path()).unwrap();
    let main = report.tables.iter().find(|table| table.title.starts_with("Published: Table 1")).unwrap().to_text();
    assert!(main.contains("0.36 | 157.14 (run (demo))") && !main.contains("reproduced"), "{main}");
    assert!(findings(&results).unwrap().iter().any(|sentence| sentence.contains("classic network")));
    // The weights of a cell are its seed's, and a second time nothing runs.
    let again = run_methods(profile.clone(), TableChoice::Main, &ids, out.path());
    assert_eq!(again, results);
    // A batch that a network cannot train on is found before anything runs.
    profile.template.training.batch_size = 1;
    let error = Comparison::prepare(profile, TableChoice::Main, &["deeplabv3-plus".into()], out.path(), None);
    assert!(error.unwrap_err().to_string().contains("training.batch-size"));
}
