//! `cargo xtask release`: what is handed out of a version, for one target.

use super::ci::root;
use medseg_train::files::sha256;
use salt_cli::commands::CommandResult;
use salt_cli::{CliError, out};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Build the program for release and pack it: an archive with licences, readme, completions and manual pages, a Python wheel where maturin
/// is installed, and the SHA-256 of each.
///
/// The archive has the name that `[package.metadata.binstall]` of salt-cli promises. Where cargo-auditable is installed the program
/// carries the list of what it was built from; where a tool is missing, that is said. What was packed is unpacked again and run, and the
/// wheel is installed into an environment of its own and run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Target; its linker and standard library have to be installed [default: this machine's]
    #[arg(long, value_name = "TRIPLE")]
    target: Option<String>,
    /// Profile of cargo; another than `release` tries the packing without waiting for an optimised build
    #[arg(long, value_name = "NAME", default_value = "release")]
    profile: String,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    out: PathBuf,
    /// maturin, for the wheel
    #[arg(long, value_name = "PROGRAM", default_value = "maturin")]
    maturin: PathBuf,
    /// Python, to try the wheel with
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    python: PathBuf,
}

const SHELLS: [(&str, &str); 5] = [
    ("bash", "salt.bash"),
    ("zsh", "_salt"),
    ("fish", "salt.fish"),
    ("elvish", "salt.elv"),
    ("powershell", "salt.ps1"),
];

/// Runs the chore.
pub(crate) fn run(args: Args) -> CommandResult {
    let root = std::path::absolute(root()).map_err(CliError::io("cannot resolve", Path::new(".")))?;
    let host = host()?;
    let target = args.target.clone().unwrap_or_else(|| host.clone());
    let version = env!("CARGO_PKG_VERSION");
    let out = std::path::absolute(&args.out).map_err(CliError::io("cannot resolve", &args.out))?;
    std::fs::create_dir_all(&out).map_err(CliError::io("cannot create", &out))?;

    let program = build(&root, &host, &target, &args.profile)?;
    let mut files = vec![archive(&root, &out, &program, version, &target, target == host)?];
    files.extend(wheel(&root, &out, &args, &host, &target)?);

    let mut sums = String::new();
    for path in &files {
        let content = std::fs::read(path).map_err(CliError::io("cannot read", path))?;
        sums += &format!("{}  {}\n", sha256(&content), path.file_name().unwrap_or_default().to_string_lossy());
        out!("{} ({:.1} MB)", path.display(), content.len() as f64 / 1e6)?;
    }
    let path = out.join(format!("SHA256SUMS-{version}-{target}"));
    std::fs::write(&path, &sums).map_err(CliError::io("cannot write", &path))?;
    print!("{sums}");
    out!("{}", path.display())?;
    Ok(())
}

/// The name of an archive without its ending, and of the folder inside.
fn name(version: &str, target: &str) -> String {
    format!("salt-{version}-{target}")
}

fn done(command: &mut Command) -> Result<Output, CliError> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(CliError::io("cannot run", &program))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(CliError::Found(format!("{} failed ({}): {}", program.display(), output.status, said.trim())))
}

fn is_there(program: &Path, argument: &str) -> bool {
    Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
}

/// The target of this machine's compiler.
pub(super) fn host() -> Result<String, CliError> {
    let output = done(Command::new("rustc").arg("-vV"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| CliError::Found(format!("rustc -vV names no host: {text}")))
}

/// The program, built for release.
fn build(root: &Path, host: &str, target: &str, profile: &str) -> Result<PathBuf, CliError> {
    let auditable =
        Command::new("cargo").args(["auditable", "--version"]).output().is_ok_and(|output| output.status.success());
    if !auditable {
        out!(
            "NO LIST OF PARTS: cargo-auditable is not installed, so the program does not carry what it was built from"
        )?;
    }
    let mut command = Command::new("cargo");
    command.current_dir(root);
    if auditable {
        command.arg("auditable");
    }
    command.args(["build", "--locked", "--package", "salt-cli", "--bin", "salt", "--profile", profile]);
    let mut folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    if target != host {
        command.args(["--target", target]);
        folder.push(target);
    }
    let status = command.status().map_err(CliError::io("cannot run", Path::new("cargo")))?;
    if !status.success() {
        return Err(CliError::Found(format!("the program cannot be built for {target} ({status})")));
    }
    let folder = folder.join(if profile == "dev" { "debug" } else { profile });
    Ok(folder.join(if target.contains("windows") { "salt.exe" } else { "salt" }))
}

/// Packs the program with what belongs to it; where it can run here, it is run from what was packed.
fn archive(
    root: &Path,
    out: &Path,
    program: &Path,
    version: &str,
    target: &str,
    runs_here: bool,
) -> Result<PathBuf, CliError> {
    let name = name(version, target);
    let scratch = super::scratch_folder(out)?;
    let folder = scratch.path().join(&name);
    let create = |folder: &Path| std::fs::create_dir_all(folder).map_err(CliError::io("cannot create", folder));
    let copy = |from: &Path, to: &Path| std::fs::copy(from, to).map(|_| ()).map_err(CliError::io("cannot copy", from));
    create(&folder)?;
    copy(program, &folder.join(program.file_name().unwrap_or_default()))?;
    for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "CHANGELOG.md"] {
        copy(&root.join(file), &folder.join(file))?;
    }
    // Completions and manual pages are the program's own words; for another machine those of this one's build are the same.
    let speaker = if runs_here { program.to_path_buf() } else { own_program(root)? };
    create(&folder.join("completions"))?;
    for (shell, file) in SHELLS {
        let path = folder.join("completions").join(file);
        let output = done(Command::new(&speaker).args(["completions", shell]))?;
        std::fs::write(&path, output.stdout).map_err(CliError::io("cannot write", &path))?;
    }
    done(Command::new(&speaker).args(["man", "--out"]).arg(folder.join("man")))?;

    let path = out.join(format!("{name}.tar.gz"));
    // The same content gives the same bytes: names in order, nobody's user, no times.
    let mut tar = Command::new("tar");
    tar.args([
        "--sort=name",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mtime=@0",
        "--use-compress-program=gzip -n -9",
    ]);
    done(tar.arg("-cf").arg(&path).arg("-C").arg(scratch.path()).arg(&name))?;

    let unpacked = super::scratch_folder(out)?;
    done(Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(unpacked.path()))?;
    if runs_here {
        says_its_version(&unpacked.path().join(&name).join("salt"), version)?;
    }
    Ok(path)
}

/// The program for this machine, built as xtask is.
fn own_program(root: &Path) -> Result<PathBuf, CliError> {
    done(
        Command::new("cargo").args(["build", "--locked", "--package", "salt-cli", "--bin", "salt"]).current_dir(root),
    )?;
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(folder.join("debug/salt"))
}

fn says_its_version(program: &Path, version: &str) -> CommandResult {
    let output = done(Command::new(program).arg("--version"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    out!("{}: {said}", program.display())?;
    if said == format!("salt {version}") {
        Ok(())
    } else {
        Err(CliError::Found(format!("expected salt {version}, found {said}")))
    }
}

/// A Python wheel of the program, installed and run, and the bill of materials (CycloneDX) that maturin puts into it.
fn wheel(root: &Path, out: &Path, args: &Args, host: &str, target: &str) -> Result<Vec<PathBuf>, CliError> {
    if !is_there(&args.maturin, "--version") {
        out!("NO WHEEL: {} is not installed (pip install maturin)", args.maturin.display())?;
        return Ok(Vec::new());
    }
    let scratch = super::scratch_folder(out)?;
    let mut command = Command::new(&args.maturin);
    command.current_dir(root).args(["build", "--locked", "--manifest-path", "crates/salt-cli/Cargo.toml"]);
    command.args(["--profile", &args.profile, "--out"]);
    command.arg(scratch.path());
    if target != host {
        command.args(["--target", target]);
    }
    done(&mut command)?;
    let entries = std::fs::read_dir(scratch.path()).map_err(CliError::io("cannot read", scratch.path()))?;
    let built =
        entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|end| end == "whl"));
    let built = built.ok_or_else(|| CliError::Found("maturin left no wheel".into()))?;
    let path = out.join(built.file_name().unwrap_or_default());
    std::fs::copy(&built, &path).map_err(CliError::io("cannot copy", &built))?;
    if target == host {
        let environment = scratch.path().join("environment");
        done(Command::new(&args.python).args(["-m", "venv"]).arg(&environment))?;
        done(Command::new(environment.join("bin/pip")).args(["install", "--no-index", "--quiet"]).arg(&path))?;
        says_its_version(&environment.join("bin/salt"), env!("CARGO_PKG_VERSION"))?;
    }
    let mut files = vec![path];
    files.extend(bill_of_materials(&files[0], out, scratch.path(), args, target)?);
    Ok(files)
}

/// The list of everything in the program, beside the files that are handed out.
fn bill_of_materials(
    wheel: &Path,
    out: &Path,
    scratch: &Path,
    args: &Args,
    target: &str,
) -> Result<Option<PathBuf>, CliError> {
    let unpacked = scratch.join("unpacked");
    done(Command::new(&args.python).args(["-m", "zipfile", "-e"]).arg(wheel).arg(&unpacked))?;
    let inside = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let bill = inside(&unpacked).flat_map(|folder| inside(&folder.join("sboms")).collect::<Vec<_>>()).next();
    let Some(bill) = bill else {
        out!("NO BILL OF MATERIALS: this maturin writes none into the wheel")?;
        return Ok(None);
    };
    let path = out.join(format!("{}.cyclonedx.json", name(env!("CARGO_PKG_VERSION"), target)));
    std::fs::copy(&bill, &path).map_err(CliError::io("cannot copy", &bill))?;
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_has_the_name_that_binstall_looks_for() {
        let text = std::fs::read_to_string(root().join("crates/salt-cli/Cargo.toml")).expect("the manifest");
        let manifest: toml::Table = text.parse().expect("a manifest");
        let binstall = &manifest["package"]["metadata"]["binstall"];
        let filled = |key: &str| {
            let text =
                binstall[key].as_str().expect("a text").replace("{ version }", "1.2.3").replace("{ target }", "riscv");
            text.replace("{ bin }", "salt").replace("{ binary-ext }", "")
        };
        let name = name("1.2.3", "riscv");
        assert_eq!(filled("pkg-url"), format!("{{ repo }}/releases/download/v1.2.3/{name}.tar.gz"));
        assert_eq!(filled("bin-dir"), format!("{name}/salt"));
        assert_eq!(binstall["pkg-fmt"].as_str(), Some("tgz"));
    }

    #[test]
    fn the_wheel_is_the_program_alone_and_has_the_version_of_the_crate() {
        let text = std::fs::read_to_string(root().join("crates/salt-cli/pyproject.toml")).expect("the wheel's file");
        let project: toml::Table = text.parse().expect("TOML");
        assert_eq!(project["tool"]["maturin"]["bindings"].as_str(), Some("bin"));
        assert!(project["project"]["dynamic"].as_array().is_some_and(|keys| keys.contains(&"version".into())));
    }
}
