//! `ciliate man`: one page for the program and one for each verb.

use crate::{exit, output::emit};
use anyhow::Context as _;
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};
use std::{fs, path::PathBuf};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to write all pages to, else the page of `ciliate` is printed
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

impl Args {
    pub fn run(&self) -> anyhow::Result<()> {
        let pages = pages()?;
        let Some(folder) = &self.folder else {
            let first = pages.into_iter().next().map(|page| page.text).unwrap_or_default();
            emit(&first)?;
            return Ok(());
        };
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for page in &pages {
            let path = folder.join(&page.file_name);
            fs::write(&path, &page.text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        emit(&format!("{} pages in {}\n", pages.len(), folder.display()))?;
        Ok(())
    }
}

pub struct ManPage {
    /// `ciliate-endpoint-list.1`
    pub file_name: String,
    pub text: String,
}

/// The page of `ciliate` first, then one for each verb and verb of a verb.
pub fn pages() -> anyhow::Result<Vec<ManPage>> {
    let mut command = crate::command();
    command.build();
    let mut pages = Vec::new();
    collect(&command, &mut pages)?;
    Ok(pages)
}

fn collect(command: &clap::Command, pages: &mut Vec<ManPage>) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let mut text = Vec::new();
    Man::new(command.clone()).manual("Ciliate").render(&mut text)?;
    let mut text = String::from_utf8(text)?;
    if name == "ciliate" {
        let mut codes = Roff::new();
        codes.control("SH", ["EXIT CODES"]);
        codes.control("nf", []);
        codes.text([roman(exit::table())]);
        codes.control("fi", []);
        text.push_str(&codes.render());
    }
    pages.push(ManPage { file_name: format!("{name}.1"), text });
    for below in command.get_subcommands().filter(|c| !c.is_hide_set() && c.get_name() != "help") {
        collect(below, pages)?;
    }
    Ok(())
}
