//! Which base weights a training step does not read.

use crate::config::Layout;
use crate::plan::{Plan, PlannedLayer};

impl Plan {
    /// Paths of the weights that a training does not read between attaching and merging: linear layers whose adapter holds all singular
    /// triplets, so that their output is computed from those (see [`LinearForm::Spectral`](crate::LinearForm::Spectral) and
    /// [`LinearForm::Folded`](crate::LinearForm::Folded)), and large parameters that are trained in full, for which a copy stands in. For some
    /// layers and large batches the [cost model](crate::linear_cost) finds building the effective weight cheaper; then they are read after all.
    ///
    /// Where the rest of the program does not read them either, they may lie on a disk meanwhile.
    pub fn weights_at_rest(&self) -> impl Iterator<Item = &str> {
        let adapted = self.layers.iter().filter(|layer| rests(layer)).map(|layer| layer.path.as_str());
        let trained = self.trained.iter().filter(|parameter| parameter.count() >= LARGE);
        adapted.chain(trained.map(|parameter| parameter.path.as_str()))
    }
}

/// Numbers from which a parameter is worth a file.
const LARGE: usize = 1 << 14;

fn rests(layer: &PlannedLayer) -> bool {
    let [part] = layer.parts.as_slice() else { return false };
    let outputs = layer.shape.last().copied().unwrap_or_default();
    layer.container == "Linear"
        && layer.layout == Layout::InOut
        && part.outputs == outputs
        && part.recipe.needs_basis()
        && part.recipe.needs_full_basis()
}

#[cfg(test)]
mod tests {
    use crate::{AdapterConfig, plan};
    use burn::module::Module;
    use burn::nn::conv::{Conv2d, Conv2dConfig};
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Net {
        linear: Linear,
        conv: Conv2d,
    }

    fn at_rest(json: &str) -> Vec<String> {
        let device = Device::flex();
        let net = Net {
            linear: LinearConfig::new(6, 9).init(&device),
            conv: Conv2dConfig::new([3, 4], [3, 3]).init(&device),
        };
        let config: AdapterConfig = serde_json::from_str(json).unwrap();
        plan(&net, &config).unwrap().weights_at_rest().map(str::to_owned).collect()
    }

    #[test]
    fn weights_whose_triplets_are_complete_rest() {
        assert_eq!(at_rest(r#"{"method": "salt", "svd-rank": 4, "lora-rank": 2}"#), ["linear.weight"]);
        assert_eq!(at_rest(r#"{"method": "svd"}"#), ["linear.weight"]);
        // The projector form adds to the weight, and so does LoRA.
        assert!(at_rest(r#"{"method": "salt", "svd-rank": 4, "lora-rank": 2, "form": "projector"}"#).is_empty());
        assert!(at_rest(r#"{"method": "lora", "lora-rank": 2}"#).is_empty());
        // What is trained in full has a copy, but these are too small to matter.
        assert!(at_rest(r#"{"method": "full"}"#).is_empty());
    }
}
