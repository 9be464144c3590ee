//! Writes the good files of the corpus anew: `cargo run -p broken-files --example seeds`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (reader, name, bytes) in broken_files::seeds::all()? {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(reader);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(&name), &bytes)?;
        println!("{reader}/{name}: {} bytes", bytes.len());
    }
    Ok(())
}
