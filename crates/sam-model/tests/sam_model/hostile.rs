//! Files that are broken, truncated or made to do harm: an error that names the file, no panic, no wild allocation.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use proptest::prelude::*;
use sam_model::{Checkpoint, SamError};

use crate::support::{fixture, tiny_config};

/// Opens a file and, if that works, loads the whole of it.
fn read(path: &Path) -> Result<(), SamError> {
    let checkpoint = Checkpoint::open(path)?;
    let _ = checkpoint.config();
    checkpoint.load(&tiny_config(), &Device::default()).map(|_| ())
}

fn read_bytes(bytes: &[u8]) -> Result<(), SamError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    fs::write(&path, bytes).unwrap();
    let result = read(&path);
    if let Err(error) = &result {
        let message = error.to_string();
        assert!(message.contains("checkpoint") || message.starts_with("configuration"), "{message}");
    }
    result
}

#[test]
fn truncated_files_are_refused_wherever_they_end() {
    for name in ["sam_tiny.pth", "sam_tiny.safetensors"] {
        let bytes = fs::read(fixture(name)).unwrap();
        let ends = [0, 1, 7, 8, 9, 64, 1000, bytes.len() / 2, bytes.len() - 100, bytes.len() - 1];
        for end in ends {
            assert!(read_bytes(&bytes[..end]).is_err(), "{name} cut at {end}");
        }
    }
}

#[test]
fn a_missing_file_and_a_folder_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(read(&folder.path().join("absent.pth")), Err(SamError::Io { .. })));
    assert!(read(folder.path()).is_err());
}

fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let entry = |shape: &str, offsets: &str| {
        format!(r#"{{"image_encoder.pos_embed":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#)
    };
    let cases = [
        ("a header beyond the file", [u64::MAX.to_le_bytes().as_slice(), b"{"].concat()),
        ("a header just beyond the file", [100u64.to_le_bytes().as_slice(), b"{}"].concat()),
        ("no JSON", safetensors("{not json", 0)),
        ("bytes that no tensor claims", safetensors("{}", 8)),
        ("data that is not there", safetensors(&entry("[1,2,2,4]", "[0,64]"), 60)),
        ("a shape that overflows", safetensors(&entry("[4294967296,4294967296,4294967296,8]", "[0,64]"), 64)),
        ("a shape unlike its bytes", safetensors(&entry("[1,2,2,5]", "[0,64]"), 64)),
        ("offsets backwards", safetensors(&entry("[1,2,2,4]", "[64,0]"), 64)),
        ("offsets with a hole", safetensors(&entry("[1,2,2,4]", "[8,72]"), 72)),
        ("deep nesting", safetensors(&format!("{}{}", r#"{"a":"#, "[".repeat(100_000)), 0)),
    ];
    for (what, bytes) in cases {
        assert!(read_bytes(&bytes).is_err(), "{what}");
    }
}

/// Pickles are programs. This one asks for `os.system`; a reader that executes would create the file.
#[test]
fn a_pickle_is_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let witness = folder.path().join("witness");
    let command = format!("touch {}", witness.display());
    let program = format!("cos\nsystem\n(S'{command}'\ntR.");
    let bare = folder.path().join("bare.pth");
    fs::write(&bare, program.as_bytes()).unwrap();
    assert!(read(&bare).is_err());
    // The same as an archive of `torch.save`.
    let archive = folder.path().join("archive.pth");
    fs::write(&archive, stored_zip(&[("archive/data.pkl", program.as_bytes()), ("archive/version", b"3")])).unwrap();
    assert!(read(&archive).is_err());
    assert!(!witness.exists());
}

#[test]
fn pickles_that_lie_about_sizes_are_refused() {
    let long = |opcode: u8, length: &[u8]| [b"\x80\x04".as_slice(), &[opcode], length].concat();
    let cases = [
        ("BINUNICODE8 of 2^63 bytes", long(0x8d, &(1u64 << 63).to_le_bytes())),
        ("BINBYTES8 of 2^62 bytes", long(0x8e, &(1u64 << 62).to_le_bytes())),
        ("BINUNICODE of 4 GiB", long(b'X', &u32::MAX.to_le_bytes())),
        ("FRAME of 2^64 bytes", long(0x95, &u64::MAX.to_le_bytes())),
        ("LONG4 of 2 GiB", long(0x8b, &i32::MAX.to_le_bytes())),
        ("an unknown opcode", b"\x80\x02\xff\xfe.".to_vec()),
        ("a pop from nothing", b"\x80\x020.".to_vec()),
        ("a memo that was never set", b"\x80\x02h\x05.".to_vec()),
        ("a million nested lists", [b"\x80\x02".as_slice(), &[b']'; 1_000_000], &[b'a'; 999_999], b"."].concat()),
        ("no end", b"\x80\x02}q\x00".to_vec()),
    ];
    for (what, program) in cases {
        assert!(read_bytes(&program).is_err(), "{what} as a bare pickle");
        let archive = stored_zip(&[("a/data.pkl", program.as_slice()), ("a/version", b"3")]);
        assert!(read_bytes(&archive).is_err(), "{what} in an archive");
    }
}

/// A NaN among the weights would spread silently through every image.
#[test]
fn values_that_are_not_finite_are_refused_by_name() {
    let mut bytes = fs::read(fixture("sam_tiny.safetensors")).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[8 + header..12 + header].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = read_bytes(&bytes).unwrap_err().to_string();
    assert!(error.contains("expected finite values") && error.contains("tensor `"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Wherever a few bytes of a good file change: an error, or (in a tensor's values) a model.
    #[test]
    fn flipped_bytes_never_panic(
        pytorch in any::<bool>(),
        places in proptest::collection::vec((0.0f64..1.0, any::<u8>()), 1..6),
        near_table in any::<bool>(),
    ) {
        let name = if pytorch { "sam_tiny.pth" } else { "sam_tiny.safetensors" };
        let mut bytes = fs::read(fixture(name)).unwrap();
        // The table of contents is at the front of one format and (twice) at the front and end of the other.
        let length = bytes.len();
        for (place, value) in places {
            let span = if near_table { 40_000 } else { length };
            let at = (place * span as f64) as usize;
            bytes[if near_table && pytorch && at.is_multiple_of(2) { length - 1 - at } else { at }] ^= value;
        }
        let _ = read_bytes(&bytes);
    }

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..512), prefix in 0usize..4) {
        let prefix: &[u8] = [b"".as_slice(), b"PK\x03\x04", b"\x80\x02", b"\x20\0\0\0\0\0\0\0{"][prefix];
        prop_assert!(read_bytes(&[prefix, bytes.as_slice()].concat()).is_err());
    }
}

/// A ZIP archive without compression.
fn stored_zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let offset = out.len() as u32;
        let mut common = Vec::new();
        common.extend([20u8, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        common.extend(crc32(data).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((data.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0u8, 0]);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(*data);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0u8; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = out.len() as u32;
    let size = directory.len() as u32;
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0u8, 0]);
    out
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}
