//! What the pages promise.

use std::path::Path;

#[test]
fn the_run_file_of_the_readme_is_understood() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = medseg_train::config::RunConfig::parse(block, &readme).unwrap();
    // Its patterns name weights of the model that it names, and leave most of them alone.
    let device = medseg_train::device::open("cpu").unwrap();
    let base = medseg_train::model::BaseModel::load(&config.model, config.data.image_size, &device).unwrap();
    let model = base.adapted(config.adapter.as_ref(), &device).unwrap();
    assert!(model.trainable > 0 && model.trainable * 5 < model.total, "{} of {}", model.trainable, model.total);
}
