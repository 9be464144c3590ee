//! Writes a preset with random weights, an image batch and the network's logits, so that the reference package can be asked
//! whether it agrees: `cargo run --profile dev -p seg-baselines --example export PRESET SIDE FOLDER`, then
//! `tests/fixtures/reference_opens.py`.

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use seg_baselines::{Architecture, NetworkConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [preset, side, folder] = arguments.as_slice() else {
        return Err("expected PRESET SIDE FOLDER".into());
    };
    let side: usize = side.parse()?;
    let folder = std::path::Path::new(folder);
    std::fs::create_dir_all(folder)?;

    let device = Device::default();
    let network = NetworkConfig::new(Architecture::preset(preset)?, 3, 1, [side; 2])?.build(&device, 1)?;
    network.save(folder.join(format!("{preset}.safetensors")))?;

    let dims = [2, 3, side, side];
    let values: Vec<f32> = (0..dims.iter().product()).map(|i: usize| (i as f32 * 0.37).sin()).collect();
    let start = std::time::Instant::now();
    let logits = network.forward(Tensor::from_data(TensorData::new(values.clone(), dims), &device))?;
    let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
    println!(
        "{preset}: {} parameters, two images of {side}x{side} in {:.2?}",
        network.num_parameters(),
        start.elapsed()
    );

    let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (images, logits) = (bytes(&values), bytes(&logits));
    let views = [
        ("images", TensorView::new(Dtype::F32, dims.to_vec(), &images)?),
        ("logits", TensorView::new(Dtype::F32, vec![2, 1, side, side], &logits)?),
    ];
    safetensors::serialize_to_file(views, None, &folder.join(format!("{preset}.io.safetensors")))?;
    Ok(())
}
