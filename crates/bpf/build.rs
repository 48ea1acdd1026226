//! Builds the kernel programs and leaves their object in `OUT_DIR`.
//!
//! This is the one place that looks for the eBPF tool chain:
//! 1. `CILIATE_BPF_CARGO` and `CILIATE_BPF_RUSTC` (with `CILIATE_BPF_TOOLCHAIN_PATH` put in front of `PATH`), if set;
//! 2. Debian's `/usr/bin/cargo` and `/usr/bin/rustc` with their library source;
//! 3. a rustup nightly with the `rust-src` component.
//!
//! All of them need `bpf-linker` on the `PATH`. `scripts/setup build` installs what is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, exit},
};

const TARGET: &str = if cfg!(target_endian = "little") { "bpfel-unknown-none" } else { "bpfeb-unknown-none" };
const OBJECT: &str = "ciliate-datapath";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["datapath", "dp-core", "abi"] {
        for part in ["src", "Cargo.toml"] {
            println!("cargo::rerun-if-changed=../{name}/{part}");
        }
    }
    for name in ["CILIATE_BPF_CARGO", "CILIATE_BPF_RUSTC", "CILIATE_BPF_TOOLCHAIN_PATH"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    if let Err(reason) = build() {
        println!("cargo::error={reason}");
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    // <target>/<profile>/build/<package>/out: one build serves every profile.
    let target = out.ancestors().nth(4).map_or_else(|| out.join("bpf"), |target| target.join("bpf"));
    let tools = Tools::find()?;
    let status = tools
        .command()
        .current_dir(here.join("../datapath"))
        .args(["build", "--release", "--locked", "-Z", "build-std=core", "--target", TARGET])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .map_err(|e| format!("cannot start {}: {e}", tools.cargo.display()))?;
    if !status.success() {
        return Err(format!("building the kernel programs with {} failed: {status}", tools.cargo.display()));
    }
    let built = target.join(TARGET).join("release").join(OBJECT);
    // Put into its place as a whole: a copied target directory may share the file of before by a link.
    let fresh = out.join(format!("{OBJECT}.new"));
    fs::copy(&built, &fresh)
        .and_then(|_| fs::rename(&fresh, out.join(OBJECT)))
        .map_err(|e| format!("cannot copy {} to {}: {e}", built.display(), out.display()))?;
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|e| format!("{name}: {e}"))
}

struct Tools {
    cargo: PathBuf,
    rustc: Option<PathBuf>,
    path: String,
}

impl Tools {
    fn find() -> Result<Self, String> {
        let mut path = env::var("PATH").unwrap_or_default();
        if let Ok(home) =
            env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")))
        {
            path = format!("{path}:{home}/bin");
        }
        if let Ok(first) = env::var("CILIATE_BPF_TOOLCHAIN_PATH") {
            path = format!("{first}:{path}");
        }
        if !env::split_paths(&path).any(|dir| dir.join("bpf-linker").exists()) {
            return Err(
                "bpf-linker is not on the PATH: run scripts/setup build, or cargo install bpf-linker".into(),
            );
        }
        if let (Ok(cargo), Ok(rustc)) = (env::var("CILIATE_BPF_CARGO"), env::var("CILIATE_BPF_RUSTC")) {
            return Ok(Self { cargo: cargo.into(), rustc: Some(rustc.into()), path });
        }
        let debian = Path::new("/usr/bin/cargo");
        if debian.exists() && Path::new("/usr/lib/rustlib/src/rust/library/core").exists() {
            return Ok(Self { cargo: debian.into(), rustc: Some("/usr/bin/rustc".into()), path });
        }
        let nightly = Command::new("rustup").args(["which", "--toolchain", "nightly", "cargo"]).output();
        if let Ok(nightly) = nightly
            && nightly.status.success()
        {
            let cargo = PathBuf::from(String::from_utf8_lossy(&nightly.stdout).trim());
            let root = cargo.ancestors().nth(2).unwrap_or(Path::new("/"));
            if root.join("lib/rustlib/src/rust/library/core").exists() {
                return Ok(Self { rustc: Some(cargo.with_file_name("rustc")), cargo, path });
            }
        }
        Err("no tool chain for the kernel programs: install Debian's rustc-web, cargo-web and rust-web-src \
             (scripts/setup build does), or a rustup nightly with the rust-src component"
            .into())
    }

    /// Cargo with nothing inherited from the build that runs this script.
    fn command(&self) -> Command {
        let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_else(|_| "x86_64".into());
        let mut command = Command::new(&self.cargo);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            let ours = text.starts_with("CARGO_") && text != "CARGO_HOME" && !text.starts_with("CARGO_NET");
            if ours || text.starts_with("RUST") || text == "MAKEFLAGS" {
                command.env_remove(&name);
            }
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        command
            .env("PATH", &self.path)
            .env("RUSTC_BOOTSTRAP", "1")
            // The programs are small enough to carry their line numbers: the verifier's log shows them. Memory is to be cleared by
            // stores and not by a loop over bytes, which is what the linker's usual setting makes of it.
            .env(
                "RUSTFLAGS",
                format!(
                    "-C linker=bpf-linker -C link-arg=--btf -C link-arg=--disable-expand-memcpy-in-order \
                     -C debuginfo=2 --cfg=bpf_target_arch=\"{arch}\" --remap-path-prefix={}=",
                    env::var("CARGO_MANIFEST_DIR").unwrap_or_default()
                ),
            );
        command
    }
}
