//! Files of Hugging Face PEFT in every state that people have them in: what is left out, what changes the meaning, wrapped names.

use crate::support::{Toy, batch, doubles, perturb, relative_error};
use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use salt_peft::{
    AdapterConfig, AttachOptions, LoadOptions, LoadReport, PeftError, SaveOptions, attach, load_adapter, save_adapter,
};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

fn output(model: &Toy) -> Vec<f64> {
    doubles(model.forward(batch(&Device::default())).into_data())
}

/// A LoRA of rank 3 and alpha 8 as PEFT writes it, with the output that it gives.
fn written() -> (TempDir, Vec<f64>) {
    let config = AdapterConfig::lora(3, 8.0).with_include(["qkv", "proj"]).with_train(["neck"]);
    let (model, _) = attach(Toy::new(&Device::default()), &config, &AttachOptions::default()).expect("attaches");
    let model = perturb(model, 4);
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
    edit(folder.path(), |config| {
        config.remove("salt_peft");
    });
    (folder, output(&model))
}

fn edit(folder: &Path, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
    let file = folder.join("adapter_config.json");
    let mut config: serde_json::Map<String, Value> =
        serde_json::from_slice(&std::fs::read(&file).expect("written")).expect("JSON");
    change(&mut config);
    std::fs::write(file, serde_json::to_vec_pretty(&config).expect("JSON")).expect("written");
}

/// Renames every tensor.
fn rename(folder: &Path, new: impl Fn(&str) -> String) {
    let file = folder.join("adapter_model.safetensors");
    let bytes = std::fs::read(&file).expect("written");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let views: Vec<(String, TensorView<'_>)> = tensors.iter().map(|(key, view)| (new(key), view)).collect();
    std::fs::write(file, safetensors::serialize(views, None).expect("serialised")).expect("written");
}

fn load(folder: &Path) -> Result<(Toy, LoadReport), PeftError> {
    load_adapter(Toy::new(&Device::default()), folder, &LoadOptions::default())
}

#[test]
fn fields_that_a_file_leaves_out_have_pefts_defaults() {
    let (folder, expected) = written();
    let error = |folder: &Path| relative_error(&output(&load(folder).expect("loads").0), &expected);
    assert!(error(folder.path()) < 1e-6);
    // PEFT: lora_alpha 8, r 8, no rank-stabilising; null is the same as absent.
    let keep = ["peft_type", "r", "target_modules"];
    edit(folder.path(), |config| config.retain(|key, _| keep.contains(&key.as_str())));
    assert!(error(folder.path()) < 1e-6, "lora_alpha is 8 where nothing is said");
    edit(folder.path(), |config| {
        for key in
            ["rank_pattern", "alpha_pattern", "lora_alpha", "use_rslora", "bias", "megatron_config", "modules_to_save"]
        {
            config.insert(key.into(), Value::Null);
        }
    });
    assert!(error(folder.path()) < 1e-6, "null is absent");
    edit(folder.path(), |config| {
        config.remove("r");
    });
    let Err(PeftError::Keys { mismatched, .. }) = load(folder.path()) else { panic!("r is 8 where nothing is said") };
    assert!(mismatched[0].contains("[8, 8]"), "{mismatched:?}");
    edit(folder.path(), |config| {
        config.remove("peft_type");
    });
    let text = load(folder.path()).map(|_| ()).expect_err("which method?").to_string();
    assert!(text.contains("peft_type") && text.contains("adapter_config.json"), "{text}");
}

#[test]
fn initialisations_that_move_the_base_are_refused_by_name() {
    let (folder, expected) = written();
    let set = |value: Value| {
        edit(folder.path(), |config| {
            config.insert("init_lora_weights".into(), value);
        });
        load(folder.path())
    };
    for moved in ["pissa", "pissa_niter_4", "pissa_niter_16", "PiSSA", "olora", "OLoRA", "corda", "loftq", "lora_ga"] {
        let text = set(moved.into()).map(|_| ()).expect_err(moved).to_string();
        for needed in ["adapter_config.json", "init_lora_weights", moved, "merge"] {
            assert!(text.contains(needed), "{moved}: {text}");
        }
    }
    let unknown = set("surprise".into()).map(|_| ()).expect_err("unknown").to_string();
    assert!(unknown.contains("surprise"), "{unknown}");
    for kept in
        [json!(true), json!(false), json!("gaussian"), json!("eva"), json!("orthogonal"), json!("mica"), Value::Null]
    {
        let (model, _) = set(kept.clone()).unwrap_or_else(|error| panic!("{kept}: {error}"));
        assert!(relative_error(&output(&model), &expected) < 1e-6, "{kept}");
    }
}

#[test]
fn fields_that_change_what_is_computed_are_refused_by_name_and_the_rest_is_read() {
    let (folder, expected) = written();
    let original = std::fs::read(folder.path().join("adapter_config.json")).expect("written");
    let restored = || std::fs::write(folder.path().join("adapter_config.json"), &original).expect("written");
    for (field, value) in [
        ("use_qalora", json!(true)),
        ("alora_invocation_tokens", json!([1, 2])),
        ("lora_bias", json!(true)),
        ("trainable_token_indices", json!({"embed": [1]})),
        ("megatron_config", json!({"tensor_model_parallel_size": 2})),
        ("layer_replication", json!([[0, 4], [2, 5]])),
        ("target_parameters", json!(["experts.weight"])),
        ("kasa_config", json!({"beta": 1e-4})),
        ("a_variant_of_next_year", json!({"gate": "sigmoid"})),
        ("fan_in_fan_out", json!(true)),
    ] {
        edit(folder.path(), |config| {
            config.insert(field.into(), value);
        });
        let error = load(folder.path()).map(|_| ()).expect_err(field);
        assert!(matches!(&error, PeftError::Variant { field: named, .. } if named == field), "{error}");
        restored();
    }
    edit(folder.path(), |config| {
        for (field, value) in [
            ("loftq_config", json!({})),
            ("corda_config", json!({"corda_method": "kpm"})),
            ("peft_version", json!("9.1")),
            ("qalora_group_size", json!(16)),
            ("layers_to_transform", json!([0, 1])),
            ("a_variant_that_is_off", json!(false)),
            ("lora_dropout", json!(0.25)),
        ] {
            config.insert(field.into(), value);
        }
    });
    let (model, report) = load(folder.path()).expect("none of these changes a number");
    assert!(relative_error(&output(&model), &expected) < 1e-6);
    assert!(report.notes.len() == 1 && report.notes[0].contains("0.25"), "{:?}", report.notes);
}

#[test]
fn wrapped_names_are_read() {
    let prefix = "base_model.model.";
    for wrap in [
        |key: &str| format!("_orig_mod.{key}"),
        |key: &str| format!("module.{key}"),
        |key: &str| format!("module._orig_mod.{key}"),
        |key: &str| key.replace("base_model.model.", "base_model.model._orig_mod."),
        |key: &str| key.replace("base_model.model.", "base_model.model.module."),
        |key: &str| key.replace("base_model.model.", ""),
        |key: &str| key.replace("neck.", "neck.modules_to_save."),
    ] {
        let (folder, expected) = written();
        rename(folder.path(), wrap);
        let (model, report) = load(folder.path()).unwrap_or_else(|error| panic!("{}: {error}", wrap(prefix)));
        assert_eq!((report.adapted.len(), report.trained.len()), (2, 2));
        assert!(relative_error(&output(&model), &expected) < 1e-6, "{}", wrap(prefix));
    }
}

#[test]
fn a_refusal_names_the_file_and_five_keys_of_either_side() {
    let (folder, _) = written();
    rename(folder.path(), |key| key.replace("base_model.model.", "base_model.model.image_encoder."));
    let error = load(folder.path()).map(|_| ()).expect_err("other modules");
    assert!(matches!(&error, PeftError::NothingFits { .. }), "{error}");
    let text = error.to_string();
    for needed in [
        "adapter_model.safetensors",
        "image_encoder.qkv.lora_A",
        "base_model.model.proj.lora_A.weight",
        "key map",
        "and 1 more",
    ] {
        assert!(text.contains(needed), "{needed}: {text}");
    }

    let (folder, _) = written();
    rename(folder.path(), |key| key.replace(".qkv.lora_B", ".qkv.lora_C"));
    let text = load(folder.path()).map(|_| ()).expect_err("half a pair").to_string();
    for needed in
        ["adapter_model.safetensors", "missing from the file: base_model.model.qkv.lora_B.weight", "qkv.lora_C"]
    {
        assert!(text.contains(needed), "{needed}: {text}");
    }
}

#[test]
fn the_pickle_of_an_older_peft_is_named() {
    let (folder, _) = written();
    let pickle = folder.path().join("adapter_model.bin");
    std::fs::rename(folder.path().join("adapter_model.safetensors"), &pickle).expect("renamed");
    let text = load(folder.path()).map(|_| ()).expect_err("a pickle").to_string();
    assert!(text.contains("adapter_model.bin") && text.contains("safe_serialization"), "{text}");
    std::fs::remove_file(pickle).expect("removed");
    let text = load(folder.path()).map(|_| ()).expect_err("nothing").to_string();
    assert!(text.contains("adapter_model.safetensors"), "{text}");
}

#[test]
fn a_file_of_a_newer_version_says_so() {
    let (model, _) =
        attach(Toy::new(&Device::default()), &AdapterConfig::salt(2, 2), &AttachOptions::default()).expect("attaches");
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
    edit(folder.path(), |config| {
        let section = config.get_mut("salt_peft").and_then(Value::as_object_mut).expect("a section");
        section.insert("format".into(), json!(2));
        section.insert("something_new".into(), json!(true));
    });
    let text = load(folder.path()).map(|_| ()).expect_err("newer").to_string();
    assert!(text.contains("format") && text.contains("newer"), "{text}");
}

/// PEFT wraps a layer with LoRA, and looks for its bias inside.
#[test]
fn a_trained_bias_of_an_adapted_layer_is_where_peft_looks_for_it() {
    let config = AdapterConfig::lora(3, 8.0).with_include(["qkv"]).with_train(["bias"]);
    let (model, _) = attach(Toy::new(&Device::default()), &config, &AttachOptions::default()).expect("attaches");
    let model = perturb(model, 4);
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
    let bytes = std::fs::read(folder.path().join("adapter_model.safetensors")).expect("written");
    let keys: Vec<String> =
        SafeTensors::deserialize(&bytes).expect("safetensors").names().iter().map(|key| (*key).into()).collect();
    let has = |key: &str| keys.iter().any(|known| known == &format!("base_model.model.{key}"));
    assert!(has("qkv.base_layer.bias") && has("proj.bias") && has("neck.bias") && !has("qkv.bias"), "{keys:?}");
    assert!(!load(folder.path()).expect("loads").1.adapted.is_empty());
    assert_eq!(output(&load(folder.path()).expect("loads").0), output(&model));

    // As PEFT's own file, and as earlier versions of this crate wrote it.
    let text = |folder: &Path| std::fs::read_to_string(folder.join("adapter_config.json")).expect("written");
    assert!(text(folder.path()).contains("\"bias\": \"lora_only\""));
    edit(folder.path(), |config| {
        config.remove("salt_peft");
    });
    assert!(relative_error(&output(&load(folder.path()).expect("loads").0), &output(&model)) < 1e-6);
    rename(folder.path(), |key| key.replace(".base_layer.", "."));
    assert!(relative_error(&output(&load(folder.path()).expect("loads").0), &output(&model)) < 1e-6);
}

#[cfg(unix)]
#[test]
fn both_files_have_the_mode_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = written();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "").expect("written");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        assert_eq!(mode(&folder.path().join(file)), mode(&plain), "{file}");
    }
}
