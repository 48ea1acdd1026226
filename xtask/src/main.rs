//! Project chores: documents from the code. Manual pages and completion scripts come from `ciliate` itself.

#[cfg(test)]
mod architecture;
mod reference;

use anyhow::Context as _;
use clap::Parser;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Makes from the code what must agree with it
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
enum Chore {
    /// Write docs/cli-reference.md
    Docs {
        /// Fail where the file is not as it would be written
        #[arg(long)]
        check: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Chore::parse() {
        Chore::Docs { check } => docs(check),
    }
}

fn reference_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli-reference.md")
}

fn docs(check: bool) -> anyhow::Result<()> {
    let path = reference_path();
    let text = reference::markdown();
    if check {
        let committed =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(committed == text, "docs/cli-reference.md is not current: run `make docs`");
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("docs/cli-reference.md");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_reference_is_current() {
        docs(true).unwrap();
    }
}
