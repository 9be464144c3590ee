//! The corpus as it is, and mutated.

use crate::memory::{is_limited, limited};
use broken_files::{READERS, corpus, mutation::mutated, reader};
use keyed_random::Stream;
use std::path::Path;

/// Data that a reader may hold at once, for files of up to 128 KiB.
const MEBIBYTES: u64 = 768;
/// Longest mutated input, in bytes.
const LONGEST: usize = 128 << 10;

/// Reads the corpus of a reader and `mutations` changed files, or has a process with a memory limit do it.
fn tried(name: &str, mutations: u32) {
    let reader = reader(name).unwrap();
    if !is_limited() {
        let output = limited(&format!("corpus::{}", name.replace('-', "_")), MEBIBYTES);
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success(), "{name}: {}\n{}", output.status, text.trim());
        assert!(text.contains("1 passed"), "{name}: nothing was tried\n{text}");
        return;
    }
    let files = corpus(reader).unwrap();
    assert!(files.len() >= 3, "{name}: {} files", files.len());
    for (file, bytes) in &files {
        println!("{name}: {file}");
        (reader.read)(bytes);
    }
    let mut stream = Stream::seeded(20_261_127, name);
    // Where the process ends on an input, that input is here, to be put into the corpus.
    let last = std::env::temp_dir().join(format!("broken-files-last-{name}-{}", std::process::id()));
    println!("{name}: {mutations} mutations; the last one tried is {}", last.display());
    for _ in 0..mutations {
        let bytes = mutated(&files, LONGEST, &mut stream);
        std::fs::write(&last, &bytes).unwrap();
        (reader.read)(&bytes);
    }
    std::fs::remove_file(&last).unwrap();
}

/// As many as one second takes, roughly: the fuzzers of `crates/fuzz` try millions.
macro_rules! readers {
    ($($test:ident: $name:literal, $mutations:literal;)*) => {
        $(
            #[test]
            fn $test() {
                tried($name, $mutations);
            }
        )*
        const TRIED: &[&str] = &[$($name),*];
    };
}

readers! {
    adapter: "adapter", 1000;
    bundle: "bundle", 1000;
    checkpoint: "checkpoint", 1000;
    coco: "coco", 4000;
    image: "image", 4000;
    metrics: "metrics", 2000;
    run_file: "run-file", 4000;
    split_table: "split-table", 6000;
}

#[test]
fn no_reader_is_left_out() {
    let names: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
    assert_eq!(names, TRIED);
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    for name in names {
        assert!(fuzz.join(format!("{}.rs", name.replace('-', "_"))).is_file(), "{name} has no fuzzer");
    }
}

/// The corpus holds good files too: what refuses everything would pass the tests above.
#[test]
fn the_corpus_has_files_that_are_read() {
    use medseg_data::decode::{ImageOptions, Limits, decode_image_bytes};
    let count = |name: &str, good: &dyn Fn(&[u8]) -> bool| {
        let files = corpus(reader(name).unwrap()).unwrap();
        let good: Vec<&str> = files.iter().filter(|(_, bytes)| good(bytes)).map(|(name, _)| name.as_str()).collect();
        assert!(good.len() >= 2, "{name}: {good:?} of {} files are read", files.len());
        good.join(" ")
    };
    let options = ImageOptions::default();
    let images =
        count("image", &|bytes| decode_image_bytes(Path::new("x"), bytes, &Limits::default(), &options).is_ok());
    for format in ["png", "jpg", "tif", "gif", "bmp", "pgm", "ppm"] {
        assert!(images.contains(format), "no {format} that is read among {images}");
    }
    count("coco", &|bytes| medseg_data::coco::Coco::parse(Path::new("x"), bytes, &Limits::default()).is_ok());
    count("run-file", &|bytes| {
        std::str::from_utf8(bytes)
            .is_ok_and(|text| medseg_train::config::RunConfig::parse(text, Path::new("x")).is_ok())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let written = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    count("split-table", &|bytes| {
        written(bytes);
        medseg_data::split::SplitTable::read(&path, None).is_ok()
    });
    count("checkpoint", &|bytes| {
        written(bytes);
        named_tensors::NamedTensors::open(&path)
            .is_ok_and(|file| file.names().next().is_some_and(|name| file.read(name).is_ok()))
    });
}
