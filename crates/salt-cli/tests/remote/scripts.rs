//! The scripts of docs/training.md that start several processes, run as they are printed there but for devices, ports and folders.

use super::place::{Ending, Place, Recipe, SHORT};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The script of the guide that holds `mark`, with some of its lines replaced by others that begin alike.
fn script(mark: &str, lines: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/training.md");
    let text = fs::read_to_string(path).unwrap();
    let mut scripts = text.split("```bash\n").skip(1).map(|part| part.split("```").next().unwrap());
    let mut script: Vec<&str> = scripts.find(|script| script.contains(mark)).unwrap().lines().collect();
    for &line in lines {
        let (name, _) = line.split_once('=').unwrap();
        let place = script.iter().position(|old| old.split_once('=').is_some_and(|(old, _)| old == name)).unwrap();
        script[place] = line;
    }
    script.join("\n")
}

/// A program of a few lines.
fn program(folder: &Path, name: &str, lines: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A port that nobody listens at, on these addresses of this machine.
fn free_port(last_bytes: &[u8]) -> u16 {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        if last_bytes.iter().all(|&last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).is_ok()) {
            return port;
        }
    }
}

/// Starts a script in the folder, where programs of the folder come first.
fn start(place: &Place, text: &str) -> Child {
    let folder = place.folder();
    let salt = folder.join("salt");
    if !salt.exists() {
        std::os::unix::fs::symlink(assert_cmd::cargo::cargo_bin("salt"), salt).unwrap();
    }
    fs::write(folder.join("script.sh"), text).unwrap();
    let mut command = Command::new("bash");
    command.arg("script.sh").current_dir(folder).env("SALT_CACHE_DIR", "");
    command.env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()));
    command.envs([("SLURM_JOB_ID", "77"), ("SLURM_JOB_NODELIST", "node[1-3]")]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn wait_for(path: &Path, child: &mut Child) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(600), "no {} in ten minutes", path.display());
        assert!(child.try_wait().unwrap().is_none(), "the script ended early");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn send(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}

/// Whether the servers of a script are gone: their ports are free again, at once or soon.
fn ports_are_freed(addresses: &[(u8, u16)]) -> bool {
    let begun = Instant::now();
    let free =
        || addresses.iter().all(|&(last, port)| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).is_ok());
    while !free() {
        if begun.elapsed() > Duration::from_secs(120) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

#[test]
fn one_machine_with_a_process_for_each_device() {
    let place = Place::new();
    let ports = [free_port(&[1]), free_port(&[1])];
    place.config(&[], SHORT);
    let lines = [format!("ports=({} {})", ports[0], ports[1])];
    let text = script("setsid", &lines.each_ref().map(String::as_str));
    assert_eq!(start(&place, &text).wait().unwrap().code(), Some(0));
    assert!(ports_are_freed(&ports.map(|port| (1, port))), "a server outlived the script");
    let devices = ports.map(|port| format!("remote:127.0.0.1:{port}"));
    let run = fs::read_to_string(place.run("run-here.toml")).unwrap();
    assert!(run.starts_with(&format!("devices = {devices:?}\n")), "{run}");
    assert_eq!(Ending::of(&place.run("RUN")).losses.len(), SHORT.epochs);
}

#[test]
fn a_slurm_job_of_three_nodes_asks_again_for_what_was_stopped() {
    let place = Place::new();
    let folder = place.folder();
    // Stand-ins for the programs of Slurm and for the names of the nodes, all of them addresses of this machine.
    program(folder, "srun", "while [ \"${1#--}\" != \"$1\" ]; do shift; done\nexec \"$@\"");
    let scontrol = "if [ \"$1\" = show ]; then printf 'node1\\nnode2\\nnode3\\n'; else echo \"$@\" >> asked; fi";
    program(folder, "scontrol", scontrol);
    program(folder, "getent", "echo \"127.0.0.${2#node} STREAM $2\"");
    let port = free_port(&[2, 3]);
    let lines = ["device=cpu".to_owned(), format!("port={port}"), "out=RUN".to_owned()];
    let text = script("hostnames", &lines.each_ref().map(String::as_str));

    let recipe = Recipe { epochs: 12, ..SHORT };
    place.config(&[], recipe);
    let mut stopped = start(&place, &text);
    wait_for(&folder.join("RUN/checkpoints"), &mut stopped);
    send("-TERM", &stopped.id().to_string());
    assert_eq!(stopped.wait().unwrap().code(), Some(75));
    assert_eq!(fs::read_to_string(folder.join("asked")).unwrap(), "requeue 77\n");
    assert!(ports_are_freed(&[(2, port), (3, port)]), "a server outlived the job");
    let run = fs::read_to_string(folder.join("run-77.toml")).unwrap();
    let devices = ["cpu".to_owned(), format!("remote:127.0.0.2:{port}"), format!("remote:127.0.0.3:{port}")];
    assert!(run.starts_with(&format!("devices = {devices:?}\n")), "{run}");

    assert_eq!(start(&place, &text).wait().unwrap().code(), Some(0));
    assert!(ports_are_freed(&[(2, port), (3, port)]), "a server outlived the job");
    assert_eq!(Ending::of(&folder.join("RUN")).losses.len(), recipe.epochs);
    assert_eq!(fs::read_to_string(folder.join("asked")).unwrap(), "requeue 77\n", "asked again for what was finished");
}
