//! Checkpoints: PyTorch's archives and pickles, safetensors.

use crate::scratch::with_files;
use burn::tensor::Device;
use named_tensors::NamedTensors;
use sam_model::{Checkpoint, SamConfig};

pub(crate) fn checkpoint(bytes: &[u8]) {
    with_files(&[("checkpoint", bytes)], |folder| {
        let path = folder.join("checkpoint");
        match NamedTensors::open(&path) {
            Err(error) => assert!(error.to_string().contains("checkpoint"), "{error}"),
            Ok(file) => {
                for name in file.names() {
                    let shape = file.shape(name).expect("a name of the file").to_vec();
                    match file.read(name) {
                        Err(error) => assert!(error.to_string().contains("checkpoint"), "{error}"),
                        Ok(values) => {
                            assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}: {shape:?}");
                            assert!(values.iter().all(|value| value.is_finite()), "{name}");
                        }
                    }
                }
            }
        }
        let Ok(opened) = Checkpoint::open(&path) else { return };
        let device = Device::default();
        if let Ok(config) = opened.config() {
            config.validate().expect("the configuration of a file is checked");
            if let Ok((model, _)) = opened.load(&config, &device) {
                assert_eq!(model.config(), &config);
            }
        }
        // A model that the file was not made for.
        let _ = opened
            .load(&SamConfig { image_size: 32, embed_dim: 16, depth: 1, num_heads: 2, ..SamConfig::mini() }, &device);
    });
}
