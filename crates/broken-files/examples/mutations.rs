//! Mutations of the corpus without a view of the code, where there is no C++ compiler for the fuzzers:
//! `cargo run -p broken-files --example mutations -- coco 60 7` tries as many as 60 seconds take, drawn from seed 7.
//!
//! The input that is being read lies in the temporary folder, so that one that ends the process is found there.

use broken_files::{READERS, corpus, mutation::mutated, reader};
use keyed_random::Stream;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let names: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
    let reader =
        reader(&name).ok_or_else(|| format!("expected the name of a reader ({}), found {name:?}", names.join(", ")))?;
    let seconds: u64 = arguments.next().map_or(Ok(60), |text| text.parse())?;
    let seed: u64 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let files = corpus(reader)?;
    let mut stream = Stream::seeded(seed, &name);
    let last = std::env::temp_dir().join(format!("broken-files-last-{name}"));
    let (begun, mut inputs, mut slowest) = (Instant::now(), 0u64, Duration::ZERO);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let bytes = mutated(&files, 128 << 10, &mut stream);
        std::fs::write(&last, &bytes)?;
        let one = Instant::now();
        (reader.read)(&bytes);
        slowest = slowest.max(one.elapsed());
        inputs += 1;
    }
    std::fs::remove_file(&last)?;
    println!("{name}: {inputs} inputs in {seconds} s, the slowest took {:.3} s", slowest.as_secs_f64());
    Ok(())
}
