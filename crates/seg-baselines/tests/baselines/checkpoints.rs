//! State dicts: whole, wrapped, incomplete, saved.

use burn::tensor::Device;
use seg_baselines::{
    Architecture, BaselineError, Checkpoint, LoadReport, Mismatch, Network, NetworkConfig, SegFormerConfig,
    SegFormerFlavour,
};

use crate::support::{NAMES, Reference, Tensors, read, stored, write};

fn load(config: &NetworkConfig, tensors: &Tensors) -> Result<(Network, LoadReport), BaselineError> {
    let (_folder, path) = write(tensors);
    Checkpoint::open(path)?.load(config, &Device::default())
}

fn mismatch(config: &NetworkConfig, tensors: &Tensors) -> Mismatch {
    match load(config, tensors) {
        Err(BaselineError::Mismatch { mismatch, .. }) => mismatch,
        other => panic!("expected a mismatch, found {:?}", other.map(|(_, report)| report)),
    }
}

#[test]
fn a_round_trip_keeps_every_bit_and_the_references_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.safetensors");
    for name in NAMES {
        let reference = Reference::read(name);
        let network = reference.network(&Device::default());
        network.save(&path).unwrap();
        assert_eq!(read(&path), reference.weights(), "{name}");
        let first = std::fs::read(&path).unwrap();
        let (again, report) = Network::from_checkpoint(&path, &Device::default()).unwrap();
        assert_eq!((again.config(), report.loaded), (network.config(), reference.weights().len()), "{name}");
        again.save(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), first, "{name}: the same weights, the same bytes");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays behind");
}

#[test]
fn wrappers_come_off_and_companions_are_set_aside() {
    for name in NAMES {
        let reference = Reference::read(name);
        for prefix in ["model.", "state_dict.net.", "module.", "state_dict.model._orig_mod."] {
            let mut tensors: Tensors =
                reference.weights().into_iter().map(|(key, tensor)| (format!("{prefix}{key}"), tensor)).collect();
            let counters: Vec<String> = tensors
                .keys()
                .filter_map(|key| Some(format!("{}.num_batches_tracked", key.strip_suffix(".running_mean")?)))
                .collect();
            for beside in counters.iter().map(String::as_str).chain(["optimizer.state.0.exp_avg", "loss"]) {
                tensors.insert(beside.to_owned(), (vec![1], vec![1.0]));
            }
            let (network, report) = load(&reference.config(), &tensors).unwrap();
            assert_eq!(stored(&network), reference.weights(), "{name} in {prefix}");
            assert_eq!(report.ignored.len(), counters.len() + 2, "{name} in {prefix}");
        }
    }
}

#[test]
fn the_three_lists_are_complete() {
    for name in NAMES {
        let reference = Reference::read(name);
        let mut tensors = reference.weights();
        let keys: Vec<String> = tensors.keys().cloned().collect();
        let (first, last) = (&keys[0], &keys[keys.len() - 1]);
        tensors.remove(first);
        let (shape, _) = tensors.insert(last.clone(), (vec![1, 2], vec![0.0; 2])).unwrap();
        tensors.insert("surprise.weight".to_owned(), (vec![1], vec![0.0]));
        let found = mismatch(&reference.config(), &tensors);
        assert_eq!(found.missing, std::slice::from_ref(first), "{name}");
        assert_eq!(found.unexpected, ["surprise.weight"], "{name}");
        assert_eq!(found.misshaped, [(last.clone(), shape, vec![1, 2])], "{name}");
        assert_eq!(found.found.len(), tensors.len());
        let text = found.to_string();
        assert!(text.contains(first) && text.contains("surprise.weight") && text.contains("expected ["), "{text}");
    }
}

#[test]
fn a_file_of_another_network_has_nothing_in_common() {
    let found = mismatch(&Reference::read("unet").config(), &Reference::read("segnet").weights());
    assert_eq!(found.missing.len(), Reference::read("unet").weights().len());
    assert_eq!(found.unexpected.len(), Reference::read("segnet").weights().len());
}

#[test]
fn what_monai_stores_and_never_reads_is_passed_over() {
    let reference = Reference::read("unetr");
    let mut tensors = reference.weights();
    for key in reference.info["left_out_keys"].as_array().unwrap() {
        tensors.insert(key.as_str().unwrap().to_owned(), (vec![8], vec![0.0; 8]));
    }
    tensors.insert("vit.blocks.3.cross_attn.out_proj.weight".to_owned(), (vec![8, 8], vec![0.0; 64]));
    let (network, report) = load(&reference.config(), &tensors).unwrap();
    assert_eq!((stored(&network), report.ignored.len()), (reference.weights(), 25));
}

/// The package that joins keys and values in one tensor stores the keys first.
#[test]
fn joined_keys_and_values_are_taken_apart_and_put_together() {
    let tiny = |flavour| {
        let config = SegFormerConfig { depths: [1; 4], widths: [4, 6, 10, 8], flavour, ..SegFormerConfig::mit_b0() };
        NetworkConfig::new(Architecture::SegFormer(config), 3, 1, [32, 32]).unwrap()
    };
    let device = Device::default();
    // The same seed: linear layers are drawn alike in both flavours.
    let ours = stored(&tiny(SegFormerFlavour::Transformers).build(&device, 4).unwrap());
    let network = tiny(SegFormerFlavour::Smp).build(&device, 4).unwrap();
    let theirs = stored(&network);
    for stage in 0..4 {
        let part = |which: &str| &ours[&format!("segformer.encoder.block.{stage}.0.attention.self.{which}.weight")].1;
        let (shape, joined) = &theirs[&format!("encoder.block{}.0.attn.kv.weight", stage + 1)];
        assert_eq!(shape[0], 2 * shape[1]);
        assert_eq!(*joined, [part("key").clone(), part("value").clone()].concat());
    }
    assert!(!theirs.keys().any(|key| key.contains("attn.k.") || key.contains("segformer")));
    let (again, _) = load(&tiny(SegFormerFlavour::Smp), &theirs).unwrap();
    assert_eq!(stored(&again), theirs);
}

/// A state dict as PyTorch writes it: a zip with a pickle, counters of batch norms included.
#[test]
fn a_state_dict_of_pytorch() {
    // The file belongs to the committed reference, whatever others there are.
    let reference = Reference::committed("unet");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/unet.pth");
    let (network, report) = Checkpoint::open(path).unwrap().load(&reference.config(), &Device::default()).unwrap();
    assert_eq!(stored(&network), reference.weights());
    assert_eq!(report.loaded, reference.weights().len());
    let norms = reference.weights().keys().filter(|key| key.ends_with(".running_mean")).count();
    assert_eq!(report.ignored.len(), norms, "one counter per batch norm");
}

#[test]
fn a_file_without_a_configuration_asks_for_one() {
    let (_folder, path) = write(&Reference::read("unet").weights());
    assert_eq!(Checkpoint::open(&path).unwrap().config().unwrap(), None);
    let error = Network::from_checkpoint(&path, &Device::default()).unwrap_err();
    assert!(error.to_string().contains("network_config"), "{error}");
}
