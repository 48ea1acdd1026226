//! Real containers of podman and of containerd, and pods of containerd's CRI plug-in, by the scripts in
//! `tests/containers`. Needs root and both runtimes: elsewhere it passes with a word, unless CI says that it must not.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The folder with this build's programs; those of other packages are built if need be.
fn programs() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_ciliate-cni")).parent().unwrap().to_owned();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--package", "ciliate", "--package", "deathstar", "--manifest-path"])
        .arg(manifest);
    build.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the programs can be built");
    folder
}

fn missing(needed: &[&str]) -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let root = status.lines().any(|l| l.starts_with("Uid:") && l.split_whitespace().nth(1) == Some("0"));
    if !root {
        return Some("root".into());
    }
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let absent = |program: &&&str| !path.split(':').any(|folder| Path::new(folder).join(program).exists());
    needed.iter().find(absent).map(|program| (*program).to_owned())
}

fn containers(runtime: &str, needed: &[&str]) {
    if let Some(missing) = missing(needed) {
        assert!(
            std::env::var_os("CI").is_none(),
            "containers of {runtime} cannot be tested: {missing} is missing"
        );
        eprintln!("containers of {runtime} are not tested: {missing} is missing");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/containers/run");
    let output = Command::new("bash").arg(script).arg(runtime).arg(programs()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!("{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "the containers of {runtime} behaved otherwise; see above");
}

#[test]
fn podman() {
    containers("podman", &["podman", "runc", "nft", "ip", "unshare"]);
}

#[test]
fn containerd() {
    containers("containerd", &["containerd", "ctr", "runc", "nft", "ip", "unshare", "nsenter"]);
}

#[test]
fn pods() {
    containers("cri", &["containerd", "ctr", "curl", "runc", "nft", "ip", "unshare", "nsenter"]);
}
