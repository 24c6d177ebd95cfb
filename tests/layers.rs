//! The modules of the library import downwards only, name the module that defines what they import, and are in
//! no circle. Reads each `crate::` and `super::` path of the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first: a module imports from those before its own.
const LAYERS: [&str; 20] = [
    "position",
    "error",
    "backoff",
    "panics",
    "locks",
    "classify",
    "signals",
    "bounded",
    "message",
    "store",
    "observe",
    "publish",
    "consume",
    "run",
    "operate",
    "bridge",
    "memory",
    "sql",
    "testing",
    "asynchronous",
];

type Graph = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_import_downwards_only() {
    let modules = modules(&sources());
    let mut wrong = Vec::new();
    for (module, text) in &modules {
        for path in paths(module, text) {
            let Some(target) = defining(&modules, &path) else {
                wrong.push(format!(
                    "{module} imports {path} from the root: name the module that defines it"
                ));
                continue;
            };
            let (from, to) = (layer(module), layer(&target));
            if from < to {
                wrong.push(format!("{module} imports {path}, which is above it"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn modules_are_in_no_circle() {
    let modules = modules(&sources());
    let graph = graph(&modules);
    let circles: Vec<_> = graph
        .keys()
        .filter_map(|start| circle(&graph, start))
        .collect();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn an_arrow_that_runs_up_and_a_circle_are_found() {
    let modules = BTreeMap::from([
        (
            "store::lease".to_owned(),
            "use crate::store::work::Work;".to_owned(),
        ),
        (
            "store::work".to_owned(),
            "fn of() -> super::lease::Lease {}".to_owned(),
        ),
        (
            "position".to_owned(),
            "use crate::store::{lease::Lease};".to_owned(),
        ),
    ]);
    assert_eq!(
        paths("position", &modules["position"]),
        ["store::lease::Lease"]
    );
    assert!(layer("position") < layer("store::lease"));
    let graph = graph(&modules);
    assert!(circle(&graph, "store::lease").is_some());
    assert!(circle(&graph, "position").is_none());
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/persisting-message-bus/src")
}

/// The code of each module by its path, without comments and without what is compiled for tests.
fn modules(folder: &Path) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(folder).unwrap().with_extension("");
                let mut names: Vec<_> = name.iter().map(|name| name.to_str().unwrap()).collect();
                if *names.last().unwrap() == "mod" {
                    names.pop();
                }
                let text = fs::read_to_string(&path).unwrap();
                modules.insert(names.join("::"), code_of(&text));
            }
        }
    }
    // What these export is for users, and nothing imports from them.
    for of_users in ["lib", "backend", "guide", "prelude"] {
        modules.remove(of_users);
    }
    assert!(modules.len() > 100, "{}", folder.display());
    modules
}

fn code_of(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What a module names by a path of this crate, from the crate's root.
fn paths(module: &str, code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            let before = code[..at].chars().next_back();
            let is_whole = before.is_none_or(|it| !it.is_alphanumeric() && !"_:$(".contains(it));
            // A visibility, `pub(in crate::sql)`, is no import.
            if is_whole && !code[..at].ends_with("(in ") {
                expand(&absolute(module, &code[at..]), &mut paths);
            }
        }
    }
    paths
}

/// A path, from the crate's root; what it begins with says where from.
fn absolute(module: &str, path: &str) -> String {
    let mut names: Vec<&str> = module.split("::").collect();
    let mut rest = path;
    if let Some(path) = rest.strip_prefix("crate::") {
        return path.to_owned();
    }
    rest = rest.strip_prefix("self::").unwrap_or(rest);
    while let Some(path) = rest.strip_prefix("super::") {
        names.pop();
        rest = path;
    }
    names.push(rest);
    names.join("::")
}

/// Takes a tree of imports apart: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str, paths: &mut Vec<String>) {
    let is_of_path = |it: char| it.is_alphanumeric() || it == '_' || it == ':';
    let end = tree.find(|it| !is_of_path(it)).unwrap_or(tree.len());
    let (path, rest) = tree.split_at(end);
    let Some(group) = rest.strip_prefix('{').filter(|_| path.ends_with("::")) else {
        paths.push(path.trim_end_matches(':').to_owned());
        return;
    };
    let (mut depth, mut from) = (0, 0);
    for (at, character) in group.char_indices() {
        let ends = depth == 0 && (character == ',' || character == '}');
        if ends && !group[from..at].trim().is_empty() {
            expand(&format!("{path}{}", group[from..at].trim()), paths);
        }
        match character {
            ',' if depth == 0 => from = at + 1,
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// The module that a path leads to: the longest beginning of it that is one.
fn defining(modules: &BTreeMap<String, String>, path: &str) -> Option<String> {
    let names: Vec<&str> = path.split("::").collect();
    let beginnings = (1..=names.len())
        .rev()
        .map(|length| names[..length].join("::"));
    beginnings
        .into_iter()
        .find(|name| modules.contains_key(name))
}

fn layer(module: &str) -> usize {
    let folder = module.split("::").next().unwrap_or_default();
    let layer = LAYERS.iter().position(|layer| *layer == folder);
    layer.unwrap_or_else(|| panic!("{folder} has no place in the layers"))
}

fn graph(modules: &BTreeMap<String, String>) -> Graph {
    let targets = |module: &String, code: &String| {
        let targets = paths(module, code).into_iter();
        let targets = targets.filter_map(|path| defining(modules, &path));
        targets.filter(|target| target != module).collect()
    };
    let nodes = modules.iter();
    nodes
        .map(|(module, code)| (module.clone(), targets(module, code)))
        .collect()
}

/// A way from a module back to itself, if there is one.
fn circle(graph: &Graph, start: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![start.to_owned()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in graph.get(way.last()?).into_iter().flatten() {
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                let mut longer = way.clone();
                longer.push(next.clone());
                ways.push(longer);
            }
        }
    }
    None
}
