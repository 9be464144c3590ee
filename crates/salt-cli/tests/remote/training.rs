//! Whole trainings on servers, and what else computes there.

use super::place::{Place, SHORT, apart};
use super::server::Server;
use assert_cmd::Command;
use std::fs;

/// How far trained values may lie from those of one process, as a share of the largest of their tensor.
const TOLERANCE: f32 = 1e-4;

#[test]
fn ends_with_the_same_bits_every_time_and_close_to_that_of_one_process() {
    let place = Place::new();
    let servers = [Server::start(), Server::start()];
    let [first, second] = servers.each_ref().map(|server| server.device.as_str());
    let one = place.trained("one", &["cpu"], SHORT);
    assert!(one.losses[2] < one.losses[0], "nothing was learnt: {:?}", one.losses);
    let two = place.trained("two", &[first, second], SHORT);
    let distance = apart(&two.weights, &one.weights);
    println!("weights {distance:.1e} apart");
    assert!(distance <= TOLERANCE, "{distance:e}");
    assert_eq!(place.trained("again", &[first, second], SHORT), two, "the same run, twice");
    let mixed = place.trained("mixed", &["cpu", second], SHORT);
    assert_eq!(place.trained("mixed again", &["cpu", second], SHORT), mixed, "the same run, twice");
}

#[test]
fn masks_come_from_a_server() {
    let place = Place::new();
    let server = Server::start();
    place.trained("run", &["cpu"], SHORT);
    let image = fs::read_dir(place.folder().join("data/syntax/test/images")).unwrap().next().unwrap().unwrap().path();
    let mask = |device: &str| {
        let out = place.run(&device.replace(':', "-"));
        let mut command = Command::cargo_bin("salt").unwrap();
        command.args(["predict", "--device", device, "--model"]).arg(place.run("run")).arg("--image").arg(&image);
        command.arg("--out").arg(&out).assert().success();
        let name = format!("{}_mask.png", image.file_stem().unwrap().display());
        image::open(out.join(name)).unwrap().into_luma8().into_raw()
    };
    let (found, expected) = (mask(&server.device), mask("cpu"));
    let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    println!("{differing} of {} pixels differ", expected.len());
    assert!(found.len() == expected.len() && differing * 1000 <= expected.len(), "{differing} pixels");
}
