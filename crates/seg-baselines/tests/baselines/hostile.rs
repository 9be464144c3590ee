//! Files that are not what they say.

use std::path::PathBuf;

use burn::tensor::Device;
use seg_baselines::{BaselineError, Checkpoint};
use tempfile::TempDir;

use crate::support::{Reference, write};

fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.pth");
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

#[test]
fn no_checkpoint_is_an_error_that_names_the_file() {
    for bytes in
        [&b""[..], b"PK\x03\x04", b"\xff\xff\xff\xff\xff\xff\xff\x7f{", b"\x02\0\0\0\0\0\0\0{}trailing", b"hello"]
    {
        let (_folder, path) = file(bytes);
        match Checkpoint::open(&path) {
            Err(error @ BaselineError::Format { .. }) => assert!(error.to_string().contains("file.pth"), "{error}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
    assert!(matches!(Checkpoint::open("/nowhere/file.pth"), Err(BaselineError::Io { .. })));
}

#[test]
fn truncated_files_and_values_that_are_no_numbers() {
    let reference = Reference::read("regunet_decoder");
    let (_folder, path) = write(&reference.weights());
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 4, 9, 200, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(Checkpoint::open(&path), Err(BaselineError::Format { .. })), "{length}");
    }
    let mut tensors = reference.weights();
    tensors.get_mut("bottom_block.0.conv.weight").unwrap().1[3] = f32::NAN;
    let (_folder, path) = write(&tensors);
    let error = Checkpoint::open(path).unwrap().load(&reference.config(), &Device::default()).unwrap_err();
    assert!(
        error.to_string().contains("bottom_block.0.conv.weight") && error.to_string().contains("index 3"),
        "{error}"
    );
}

#[test]
fn a_configuration_in_a_file_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    Reference::read("unet").network(&Device::default()).save(&path).unwrap();
    let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
    assert!(text.contains("network_config"));
    // The same length, so that the header stays readable.
    for (from, to) in [("\\\"classes\\\":1", "\\\"classes\\\":0"), ("\\\"classes\\\"", "\\\"klasses\\\"")] {
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut changed = bytes.clone();
        changed[at..at + to.len()].copy_from_slice(to.as_bytes());
        let (_folder, path) = file(&changed);
        let error = Checkpoint::open(path).unwrap().config().unwrap_err();
        assert!(matches!(error, BaselineError::Format { .. }), "{error}");
    }
}
