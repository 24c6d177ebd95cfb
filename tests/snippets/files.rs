//! The documents, the examples, and the documents that rustdoc reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Texts by their path from the root of the project.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) root: PathBuf,
    pub(crate) documents: BTreeMap<String, String>,
    /// Sources that a target of the package of examples consists of.
    pub(crate) examples: BTreeMap<String, String>,
    /// Documents whose code rustdoc compiles, because a crate includes them.
    pub(crate) included: BTreeSet<String>,
}

impl Files {
    pub(crate) fn of_the_project() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let root = root.canonicalize().unwrap();
        let mut files = Self {
            root,
            ..Self::default()
        };
        let mut documents = found(&files.root, "md", 0);
        documents.extend(found(&files.root.join("docs"), "md", 9));
        documents.extend(found(&files.root.join("crates"), "md", 9));
        for path in documents {
            files.documents.insert(files.name(&path), read(&path));
        }
        for target in targets(&files.root.join("examples")) {
            for path in modules(&target) {
                files.examples.insert(files.name(&path), read(&path));
            }
        }
        for path in found(&files.root.join("crates"), "rs", 9) {
            for include in read(&path).split("include_str!(\"").skip(1) {
                let document = include.split('"').next().unwrap();
                if document.ends_with(".md") {
                    files
                        .included
                        .insert(files.name(&path.with_file_name(document)));
                }
            }
        }
        files
    }

    /// Links are followed, so that a document has one name.
    fn name(&self, path: &Path) -> String {
        let path = path.canonicalize().unwrap();
        path.strip_prefix(&self.root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned()
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn found(folder: &Path, extension: &str, depth: usize) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.is_dir() && depth > 0 {
            files.extend(found(&path, extension, depth - 1));
        } else if path.extension().is_some_and(|it| it == extension) {
            files.push(path);
        }
    }
    files
}

/// The programs of a package, which `./test` builds with all features.
fn targets(package: &Path) -> Vec<PathBuf> {
    let manifest = read(&package.join("Cargo.toml"));
    let programs = manifest.split("[[bin]]").skip(1);
    let paths = programs.map(|program| program.split("path = \"").nth(1).unwrap());
    paths
        .map(|path| package.join(path.split('"').next().unwrap()))
        .collect()
}

/// The file, and those of its modules. A line before a module can name its file.
fn modules(file: &Path) -> Vec<PathBuf> {
    let mut files = vec![file.to_owned()];
    let (text, mut named) = (read(file), None);
    for line in text.lines() {
        let module = line
            .strip_prefix("mod ")
            .and_then(|it| it.strip_suffix(';'));
        let usual = module.map(|module| format!("{module}.rs"));
        files.extend(usual.map(|usual| file.with_file_name(named.unwrap_or(&*usual))));
        named = line
            .strip_prefix("#[path = \"")
            .and_then(|it| it.strip_suffix("\"]"));
    }
    files
}
