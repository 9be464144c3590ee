//! Every shape and rank down to the smallest: one output, one input, no top block, nothing after it, an update of rank 0.

use crate::support::{doubles, fill, perturb, relative_error, state, values};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::layer::linear;
use proptest::prelude::*;
use salt_peft::{
    AdapterConfig, AttachOptions, LoadOptions, Method, SaltForm, SaveOptions, attach, load_adapter, merge, plan,
    save_adapter, trainable_report,
};

fn layer(inputs: usize, outputs: usize) -> Linear {
    fill(LinearConfig::new(inputs, outputs).init(&Device::default()), 5)
}

fn method() -> impl Strategy<Value = (Method, SaltForm)> {
    prop_oneof![
        Just((Method::Lora, SaltForm::Diag)),
        Just((Method::Dora, SaltForm::Diag)),
        Just((Method::Svd, SaltForm::Diag)),
        Just((Method::Salt, SaltForm::Paper)),
        Just((Method::Salt, SaltForm::Diag)),
        Just((Method::Salt, SaltForm::Linear)),
        Just((Method::Salt, SaltForm::Projector)),
    ]
}

/// A configuration with the keys that the method takes.
fn config(method: Method, form: SaltForm, svd_rank: usize, lora_rank: usize) -> AdapterConfig {
    match method {
        Method::Salt => AdapterConfig::salt(svd_rank, lora_rank).with_form(form),
        Method::Svd => AdapterConfig::svd(),
        method => AdapterConfig { method, alpha: None, ..AdapterConfig::lora(lora_rank, 1.0) },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 3))]

    #[test]
    fn attach_count_merge_save_and_load_hold_for_every_shape_and_rank(
        inputs in 1usize..8,
        outputs in 1usize..8,
        rank_share in 0.0f64..=1.0,
        lora_rank in 0usize..5,
        (method, form) in method(),
    ) {
        let k = inputs.min(outputs);
        let svd_rank = (rank_share * (k as f64 + 0.99)) as usize;
        let lora_rank = if matches!(method, Method::Lora | Method::Dora) { lora_rank + 1 } else { lora_rank };
        // Rank 0 of the projector's update would be a matrix without entries.
        prop_assume!(form != SaltForm::Projector || lora_rank > 0);
        let config = config(method, form, svd_rank.min(k), lora_rank);
        let x = Tensor::<2>::from_data(TensorData::new(values(3 * inputs, 2, 1.0), [3, inputs]), &Device::default());
        let base = layer(inputs, outputs);
        let planned = plan(&base, &config).expect("plans").trainable();
        let before = doubles(base.forward(x.clone()).into_data());
        let (model, _) = attach(base, &config, &AttachOptions::default()).expect("attaches");
        prop_assert!(relative_error(&doubles(model.forward(x.clone()).into_data()), &before) < 1e-6);
        prop_assert_eq!(planned, Some(trainable_report(&model).expect("ours").trainable));
        let counted: usize = state(&model).iter().filter(|(path, _)| path.contains(".peft.") && !path.contains(".basis.")).map(|(_, data)| data.num_elements()).sum();
        prop_assert_eq!(planned, Some(counted), "what is attached");

        let model = perturb(model, 7);
        let y = doubles(model.forward(x.clone()).into_data());
        prop_assert!(relative_error(&doubles(linear(&model, x.clone()).into_data()), &y) < 1e-5);
        let folder = tempfile::tempdir().expect("a temporary folder");
        save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
        let (loaded, _) = load_adapter(layer(inputs, outputs), folder.path(), &LoadOptions::default()).expect("loads");
        prop_assert_eq!(state(&loaded), state(&model));
        let merged = merge(loaded).expect("merges");
        prop_assert_eq!(doubles(merged.module().forward(x).into_data()), y);
    }
}
