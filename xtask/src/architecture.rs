//! The table of crates in docs/ARCHITECTURE.md and what manifests say agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Crates of ours that each one uses, by its name.
type Uses = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Rows of the table: a crate, what it holds, what it knows nothing of, and what it uses; in their order.
fn documented() -> Vec<(String, BTreeSet<String>)> {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("| crate | holds | knows nothing of | uses |\n").unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let [name, _, _, uses] = cells.as_slice() else { panic!("a row has four cells: {row}") };
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        (names(name).remove(0), names(uses).into_iter().collect())
    })
    .collect()
}

/// What the manifests of `crates/` say; what only tests use does not count.
fn manifests() -> Uses {
    let folders = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path());
    folders
        .map(|folder| {
            let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            let mut section = "";
            let mut uses = BTreeSet::new();
            for line in text.lines() {
                if line.starts_with('[') {
                    section = line;
                } else if section == "[dependencies]"
                    && let Some(rest) = line.strip_prefix("ciliate-")
                {
                    uses.insert(rest.split(['.', ' ', '=']).next().unwrap().to_owned());
                }
            }
            (folder.file_name().unwrap().to_str().unwrap().to_owned(), uses)
        })
        .collect()
}

#[test]
fn crates_use_what_the_table_says_and_only_crates_above_them() {
    let documented = documented();
    let mut above = BTreeSet::new();
    for (name, uses) in &documented {
        let below: Vec<_> = uses.difference(&above).collect();
        assert!(below.is_empty(), "docs/ARCHITECTURE.md: {name} stands above {below:?}, which it uses");
        above.insert(name.clone());
    }
    let documented: Uses = documented.into_iter().collect();
    let manifests = manifests();
    for name in documented.keys().chain(manifests.keys()) {
        assert_eq!(
            documented.get(name),
            manifests.get(name),
            "{name}: docs/ARCHITECTURE.md, and its Cargo.toml"
        );
    }
}
