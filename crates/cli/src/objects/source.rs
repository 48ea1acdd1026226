//! Where objects are read from: files, directories, standard input.

use anyhow::{Context as _, bail};
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Objects as text, and where they stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub origin: String,
    pub text: String,
}

/// How far a directory is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Folder,
    Tree,
}

impl Depth {
    /// As the flag `--recursive` has it.
    pub fn when(recursive: bool) -> Self {
        if recursive { Self::Tree } else { Self::Folder }
    }
}

/// More than this in one request is a mistake, such as a device or a log file.
const LARGEST: u64 = 64 << 20;

/// Reads files, the `.yaml`, `.yml` and `.json` files of directories in their order, and `-`.
pub fn read(paths: &[PathBuf], depth: Depth) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            sources.push(Source {
                origin: "-".to_owned(),
                text: limited(io::stdin().lock(), "standard input")?,
            });
        } else if path.is_dir() {
            let mut files = Vec::new();
            search(path, depth, &mut files)?;
            if files.is_empty() {
                bail!("no .yaml, .yml or .json file in {}", path.display());
            }
            for file in files {
                sources.push(file_source(&file)?);
            }
        } else {
            sources.push(file_source(path)?);
        }
    }
    Ok(sources)
}

fn file_source(path: &Path) -> anyhow::Result<Source> {
    let name = path.display().to_string();
    let file = fs::File::open(path).with_context(|| format!("cannot read {name}"))?;
    Ok(Source { text: limited(file, &name)?, origin: name })
}

fn limited(reader: impl Read, name: &str) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    reader
        .take(LARGEST.saturating_add(1))
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {name}"))?;
    if u64::try_from(bytes.len())? > LARGEST {
        bail!("{name} has more than {} MiB: that is no file of policies", LARGEST >> 20);
    }
    String::from_utf8(bytes).map_err(|e| {
        anyhow::anyhow!("{name} is not text: byte {} is not UTF-8", e.utf8_error().valid_up_to())
    })
}

fn search(folder: &Path, depth: Depth, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read the directory {}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        let is_object = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
        if path.is_dir() {
            if depth == Depth::Tree {
                search(&path, depth, files)?;
            }
        } else if is_object {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_give_their_object_files_in_order() {
        let folder = std::env::temp_dir().join(format!("ciliate-source-{}", std::process::id()));
        fs::create_dir_all(folder.join("sub")).unwrap();
        for name in ["b.yaml", "a.json", "notes.txt", "sub/c.yml"] {
            fs::write(folder.join(name), name).unwrap();
        }
        let texts = |depth| {
            let sources = read(std::slice::from_ref(&folder), depth).unwrap();
            sources.into_iter().map(|s| s.text).collect::<Vec<_>>()
        };
        assert_eq!(texts(Depth::Folder), ["a.json", "b.yaml"]);
        assert_eq!(texts(Depth::Tree), ["a.json", "b.yaml", "sub/c.yml"]);
        fs::write(folder.join("bad.yaml"), [0xff, 0xfe]).unwrap();
        let error = read(&[folder.join("bad.yaml")], Depth::Folder).unwrap_err();
        assert!(error.to_string().contains("byte 0 is not UTF-8"), "{error}");
        let error = read(&[folder.join("absent.yaml")], Depth::Folder).unwrap_err();
        assert!(format!("{error:#}").contains("absent.yaml: No such file"), "{error:#}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
