//! The Rust side of `benches/peers/compare.py`: decomposes the tensors of a safetensors file and prints times as JSON.
//!
//! Usage: `peers <input.safetensors> <output.safetensors or -> <mode> [arguments]`, with the modes
//! `exact`, `cached <folder>` (all tensors at once, on the threads of `RAYON_NUM_THREADS`) and
//! `power <rank> <iterations>`, `krylov <rank> <iterations> <block>` (each tensor by itself, three times, the fastest reported).

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use nalgebra::DMatrix;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use salt_linalg::{BasisCache, BatchOptions, Iteration, Method, RandomizedOptions, Svd, decompose_all, randomized_svd};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, mode, rest @ ..] = arguments.as_slice() else {
        return Err("usage: peers <input> <output or -> <mode> [arguments]".into());
    };
    let (names, matrices) = read(input)?;
    let mut times = BTreeMap::new();
    let results: Vec<Svd<f32>> = match (mode.as_str(), rest) {
        ("exact", []) => {
            let start = Instant::now();
            let results = decompose_all(&matrices, &BatchOptions::new(Method::Thin), |_| {})?;
            times.insert("total".to_owned(), start.elapsed().as_secs_f64());
            results
        }
        ("cached", [folder]) => {
            let start = Instant::now();
            let cache = BasisCache::open(folder)?;
            let results = decompose_all(&matrices, &BatchOptions::new(Method::Thin).with_cache(&cache), |_| {})?;
            times.insert("total".to_owned(), start.elapsed().as_secs_f64());
            results
        }
        ("power" | "krylov", [rank, iterations, block @ ..]) => {
            let iterations = iterations.parse()?;
            let iteration = match block {
                [block] => Iteration::BlockKrylov { iterations, block: Some(block.parse()?) },
                _ => Iteration::Power { iterations },
            };
            let options = RandomizedOptions::new(rank.parse()?).with_iteration(iteration);
            let mut results = Vec::new();
            for (name, matrix) in names.iter().zip(&matrices) {
                let mut best = f64::INFINITY;
                for _ in 0..2 {
                    let start = Instant::now();
                    randomized_svd(matrix, &options)?;
                    best = best.min(start.elapsed().as_secs_f64());
                }
                let start = Instant::now();
                let svd = randomized_svd(matrix, &options)?;
                times.insert(name.clone(), best.min(start.elapsed().as_secs_f64()));
                results.push(svd);
            }
            results
        }
        _ => return Err(format!("unknown mode {mode} {rest:?}").into()),
    };
    if output != "-" {
        write(output, &names, &results)?;
    }
    println!("{}", serde_json::to_string(&times)?);
    Ok(())
}

/// Names, and the matrix of each.
type Weights = (Vec<String>, Vec<DMatrix<f32>>);

fn read(path: &str) -> Result<Weights, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let mut names: Vec<String> = file.names().into_iter().map(ToString::to_string).collect();
    names.sort();
    let mut matrices = Vec::new();
    for name in &names {
        let tensor = file.tensor(name)?;
        let [rows, cols] = tensor.shape() else {
            return Err(format!("{name} is not a matrix").into());
        };
        let values: Vec<f32> = tensor.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        matrices.push(DMatrix::from_row_slice(*rows, *cols, &values));
    }
    Ok((names, matrices))
}

fn write(path: &str, names: &[String], results: &[Svd<f32>]) -> Result<(), Box<dyn Error>> {
    let mut tensors = Vec::new();
    for (name, svd) in names.iter().zip(results) {
        let (rows, cols) = svd.shape();
        let rank = svd.rank();
        // Stored by columns, so a reader that assumes rows sees the transposes.
        let parts: [(&str, Vec<usize>, &[f32]); 3] = [
            ("u_transposed", vec![rank, rows], svd.u.as_slice()),
            ("singular_values", vec![rank], svd.singular_values.as_slice()),
            ("v", vec![cols, rank], svd.v_t.as_slice()),
        ];
        for (part, shape, values) in parts {
            let view = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values))?;
            tensors.push((format!("{name}.{part}"), view));
        }
    }
    safetensors::serialize_to_file(tensors, None, path.as_ref())?;
    Ok(())
}
