//! The loop as a whole, on a model of a few thousand numbers.

use super::{Phase, Plan, PretrainOptions, StepReport, export, newest, pretrain};
use medseg_train::checkpoint::trainable_tensors;
use medseg_train::{StopFlag, TrainError};
use sam_model::{HieraConfig, SamConfig};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

fn plan(steps: u64) -> Plan {
    with_model(tiny_sam(), steps)
}

fn tiny_sam() -> SamConfig {
    SamConfig {
        image_size: 64,
        embed_dim: 16,
        depth: 2,
        num_heads: 2,
        output_channels: 16,
        window_size: 4,
        global_attention_blocks: vec![1],
        decoder_heads: 2,
        decoder_mlp_dim: 16,
        iou_head_hidden_dim: 16,
        ..SamConfig::mini()
    }
}

fn tiny_sam2() -> SamConfig {
    let hiera = HieraConfig { stages: [1, 1, 1, 1], windows: [4, 2, 4, 2], background_grid: [4, 4] };
    SamConfig {
        image_size: 64,
        embed_dim: 8,
        depth: 4,
        output_channels: 16,
        window_size: 4,
        global_attention_blocks: vec![],
        decoder_heads: 2,
        decoder_mlp_dim: 16,
        iou_head_hidden_dim: 16,
        hiera: Some(hiera),
        ..SamConfig::sam2_mini()
    }
}

fn with_model(model: SamConfig, steps: u64) -> Plan {
    let phase = |steps, sizes: &[usize]| Phase { steps, sizes: sizes.to_vec(), batch: 3, shard: 2 };
    let phases = vec![phase(3, &[32]), phase(steps - 3, &[if model.is_sam2() { 32 } else { 40 }, 64])];
    Plan { model, phases, warmup: 2, ramp: 4, decay: 2, ..Plan::sam_mini() }
}

fn options(directory: &Path, threads: usize) -> PretrainOptions {
    PretrainOptions {
        directory: directory.to_path_buf(),
        threads,
        checkpoint_every: Duration::from_secs(3600),
        validate_every: 1000,
    }
}

fn ignore(_: StepReport) {}

#[test]
fn a_stopped_run_continues_to_the_same_bits_on_other_threads() {
    let folder = tempfile::tempdir().unwrap();
    let whole = pretrain(&plan(6), &options(&folder.path().join("a"), 2), &StopFlag::new(), &mut ignore).unwrap();
    let parts = folder.path().join("b");
    for expected in [2, 5] {
        let stop = StopFlag::after_steps(if expected == 2 { 2 } else { 3 });
        match pretrain(&plan(6), &options(&parts, 1), &stop, &mut ignore) {
            Err(TrainError::Stopped { step }) => assert_eq!(step, expected),
            other => panic!("expected a stop at step {expected}, found {other:?}"),
        }
    }
    let mut seen = Vec::new();
    let parts =
        pretrain(&plan(6), &options(&parts, 3), &StopFlag::new(), &mut |report| seen.push(report.step)).unwrap();
    assert_eq!(seen, [6]);
    // The model of a finished run carries no gradients; `train` makes its tensors visible to the comparison.
    use burn::module::Module;
    let (whole, parts) = (whole.learner.train(), parts.learner.train());
    let (whole, parts) = (trainable_tensors(&whole), trainable_tensors(&parts));
    assert!(whole.len() > 50);
    assert_eq!(whole, parts);
}

#[test]
fn training_moves_the_losses_of_either_model_and_is_logged() {
    for model in [tiny_sam(), tiny_sam2()] {
        moves_the_losses(with_model(model, 60));
    }
}

fn moves_the_losses(mut plan: Plan) {
    let folder = tempfile::tempdir().unwrap();
    plan.learning_rate = 1e-2;
    plan.ramp = 1000;
    pretrain(&plan, &options(folder.path(), 2), &StopFlag::new(), &mut ignore).unwrap();
    let log = std::fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let losses: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|event| event["event"] == "step")
        .map(|event| event["losses"][2].as_f64().unwrap())
        .collect();
    assert_eq!(losses.len(), 60);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let (first, last) = (mean(&losses[..8]), mean(&losses[52..]));
    assert!(last < first - 0.05, "the dense head's loss went from {first} to {last}");
    assert!(log.lines().any(|line| line.contains("\"validation\"")));
}

#[test]
fn exported_files_load_as_a_sam_and_hold_half_precision() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let done = pretrain(&plan(4), &options(&run, 1), &StopFlag::new(), &mut ignore).unwrap();
    assert_eq!(newest(&run).unwrap().step, 4);
    let weights = folder.path().join("assets/tiny.safetensors");
    let (card, files) = export(done, &weights, |rounded| Ok(BTreeMap::from([(32, rounded.score(32, 2, 1)?)]))).unwrap();
    assert_eq!((card.steps, card.scenes), (4, 12));
    assert_eq!(card.bytes as u64, std::fs::metadata(&weights).unwrap().len());
    let device = burn::tensor::Device::flex();
    let (sam, _) = sam_model::Sam::from_checkpoint(&files.weights, &device).unwrap();
    assert_eq!(sam.config(), &plan(4).model);
    let (prompt, labels) = sam_model::AutomaticPrompt::load(&files.prompt, &device).unwrap();
    assert_eq!((prompt.labels(), labels), (1, vec!["line".to_string()]));
    for value in sam.image_encoder.as_vit().unwrap().blocks[0].attn.qkv.weight.val().into_data().iter::<f32>() {
        assert_eq!(half::f16::from_f32(value).to_f32(), value);
    }
    let read: super::Card = serde_json::from_slice(&std::fs::read(&files.card).unwrap()).unwrap();
    assert_eq!(read, card);
}

#[test]
fn another_plan_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    pretrain(&plan(4), &options(folder.path(), 1), &StopFlag::new(), &mut ignore).unwrap();
    let other = Plan { seed: 9, ..plan(4) };
    let message = pretrain(&other, &options(folder.path(), 1), &StopFlag::new(), &mut ignore).unwrap_err().to_string();
    assert!(message.contains("another plan"), "{message}");
}

/// The files of each shipped model are of one export of its built-in plan, small enough, and what the model crate reads.
#[test]
fn the_shipped_files_belong_together() {
    for (name, plan) in [("sam-mini", Plan::sam_mini()), ("sam2-mini", Plan::sam2_mini())] {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name).join("weights");
        let file = |end: &str| assets.join(format!("{name}{end}"));
        let card: super::Card = serde_json::from_slice(&std::fs::read(file(".json")).unwrap()).unwrap();
        let weights = std::fs::read(file(".safetensors")).unwrap();
        assert_eq!(card.sha256, medseg_train::files::sha256(&weights));
        assert_eq!(card.bytes, weights.len());
        assert!(weights.len() <= 10_000_000, "{} bytes", weights.len());
        assert_eq!(card.plan, plan);
        assert_eq!(card.steps, card.plan.steps());
        use burn::module::Module;
        let device = burn::tensor::Device::flex();
        let (sam, _) = sam_model::Sam::from_checkpoint(file(".safetensors"), &device).unwrap();
        let (prompt, _) = sam_model::AutomaticPrompt::load(file("-prompt.safetensors"), &device).unwrap();
        assert_eq!(sam.config(), &card.plan.model);
        assert_eq!(sam.num_params() + prompt.num_params(), card.parameters);
    }
}
