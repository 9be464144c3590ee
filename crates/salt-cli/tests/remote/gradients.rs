//! Two processes give the gradients of one with the joined batch.
//!
//! One step of plain descent on all images: what it adds to the weights, over the rate, is the gradients. The rate is so high that the
//! weights themselves, and with them their rounding, hardly count in the sum.

use super::place::{Place, Recipe, TINY_SALT, Tensors, apart, largest};
use super::server::Server;

/// How far a gradient may lie from that of one process, as a share of the largest of its tensor.
const TOLERANCE: f32 = 1e-4;

const RATE: f64 = 1024.0;

/// sam-mini, with SALT's factors on every layer of the encoder.
const SALT: &str = "[model]\nbase = \"sam-mini\"\n[adapter]\nmethod = \"salt\"\n\
    include = [\"image_encoder\\\\.blocks\\\\.\\\\d+\\\\.(attn|mlp)\\\\..*\\\\.weight$\"]\nsvd-rank = 16\nlora-rank = 4\n\
    train = [\"norm\", \"pos_embed$\", \"prompt\\\\.\"]\n";

/// sam-mini, every weight.
const FULL: &str = "[model]\nbase = \"sam-mini\"\n[adapter]\nmethod = \"full\"\n";

#[test]
fn of_salt_on_sam_mini() {
    compare(SALT);
}

#[test]
fn of_all_weights_of_sam_mini() {
    compare(FULL);
}

#[test]
fn of_salt_on_random_weights() {
    compare(TINY_SALT);
}

fn compare(tables: &'static str) {
    let place = Place::new();
    let servers = [Server::start(), Server::start()];
    let [first, second] = servers.each_ref().map(|server| server.device.as_str());
    let recipe = Recipe { tables, epochs: 1, batch: 8, rate: RATE };
    // A step that changes nothing that is not zero.
    let start = place.trained("start", &["cpu"], Recipe { rate: 1e-30, ..recipe }).weights;
    let gradients = |name: &str, devices: &[&str]| {
        let ending = place.trained(name, devices, recipe);
        let gradient = |after: &[f32], before: &[f32]| {
            after.iter().zip(before).map(|(a, b)| ((f64::from(*b) - f64::from(*a)) / RATE) as f32).collect()
        };
        let found = ending.weights.iter().map(|(name, after)| (name.clone(), gradient(after, &start[name])));
        (found.collect::<Tensors>(), ending.losses[0])
    };
    let (expected, loss) = gradients("one", &["cpu"]);
    let strongest = expected.values().map(|values| largest(values)).fold(0.0, f32::max);
    let expected = without_key_biases(expected, strongest);
    let count: usize = expected.values().map(Vec::len).sum();
    for (name, devices) in [("two servers", [first, second]), ("the client and a server", ["cpu", second])] {
        let (found, found_loss) = gradients(name, &devices);
        let found = without_key_biases(found, strongest);
        let (distance, of_loss) = (apart(&found, &expected), (found_loss - loss).abs() / loss);
        println!("{name}: {count} gradients in {} tensors {distance:.1e} apart, loss {of_loss:.1e}", found.len());
        assert!(distance <= TOLERANCE, "{name}: gradients {distance:e} apart");
        assert!(of_loss <= f64::from(TOLERANCE), "{name}: losses {found_loss} and {loss}");
    }
}

/// The bias of the keys shifts all scores of a softmax alike: its gradient is zero but for rounding, and has no digits to compare.
fn without_key_biases(mut gradients: Tensors, strongest: f32) -> Tensors {
    gradients.retain(|name, values| {
        let of_keys = name.contains("k_proj.bias");
        assert!(!of_keys || largest(values) <= 1e-6 * strongest, "{name}: {}", largest(values));
        !of_keys
    });
    gradients
}
