//! No two modules of a crate need each other, by whatever way around.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{read_dir, read_to_string};
use std::path::Path;

type Imports = BTreeMap<String, BTreeSet<String>>;

/// The modules under a folder, with their sources: without comments, and without the tests at their
/// end.
fn modules(folder: &Path, above: &str, found: &mut BTreeMap<String, String>) {
    for entry in read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let module = if above.is_empty() { name.to_owned() } else { format!("{above}::{name}") };
        if path.is_dir() {
            modules(&path, &module, found);
        } else if name != "lib" {
            let text = read_to_string(&path).unwrap();
            let own = text.split("#[cfg(test)]\nmod ").next().unwrap();
            let lines = own.lines().map(|line| line.split("//").next().unwrap());
            found.insert(module, lines.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The paths that are named after `prefix`: one, or all of a list in braces.
fn named(text: &str, prefix: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in text.match_indices(prefix) {
        // `xcrate::` is another word.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[at + prefix.len()..];
        let path =
            |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || "_:".contains(*c)).collect::<String>();
        let Some(list) = rest.strip_prefix('{') else {
            paths.push(path(rest));
            continue;
        };
        let mut depth = 1;
        let mut start = 0;
        for (place, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && c == ',') {
                paths.push(path(list[start..place].trim()));
                start = place + 1;
            }
            if depth == 0 {
                break;
            }
        }
    }
    paths
}

/// Which modules each module of a crate names.
fn imports(krate: &str) -> Imports {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(krate).join("src");
    let mut sources = BTreeMap::new();
    modules(&folder, "", &mut sources);
    let mut imports = Imports::new();
    for (module, text) in &sources {
        let above = module.rsplit_once("::").map_or("", |(above, _)| above);
        let from = [("crate::", ""), ("super::", above), ("self::", module)];
        let mut own = BTreeSet::new();
        for (prefix, base) in from {
            for path in named(text, prefix) {
                let full = if base.is_empty() { path } else { format!("{base}::{path}") };
                let inside = |name: &&String| full == **name || full.starts_with(&format!("{name}::"));
                own.extend(sources.keys().filter(inside).max_by_key(|name| name.len()).cloned());
            }
        }
        own.remove(module);
        imports.insert(module.clone(), own);
    }
    imports
}

/// A way from a module back to itself.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    fn walk(imports: &Imports, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let last = way.last()?.clone();
        for next in &imports[&last] {
            if let Some(place) = way.iter().position(|module| module == next) {
                return Some(way[place..].to_vec());
            }
            if !done.contains(next) {
                way.push(next.clone());
                if let Some(found) = walk(imports, way, done) {
                    return Some(found);
                }
                way.pop();
            }
        }
        done.insert(last);
        None
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| walk(imports, &mut vec![module.clone()], &mut done))
}

#[test]
fn no_modules_need_each_other() {
    for krate in ["air", "verifier", "prover", "oracle"] {
        let imports = imports(krate);
        assert!(imports.values().map(BTreeSet::len).sum::<usize>() > imports.len(), "{krate}: imports are found");
        assert_eq!(circle(&imports), None, "{krate}");
    }
}

#[test]
fn a_circle_is_found() {
    let edges = |list: &[(&str, &[&str])]| -> Imports {
        list.iter().map(|(from, to)| ((*from).into(), to.iter().map(|name| (*name).into()).collect())).collect()
    };
    let list: [(&str, &[&str]); 4] = [("a", &["b"]), ("b", &["c", "d"]), ("c", &[]), ("d", &["b"])];
    assert_eq!(circle(&edges(&list)), Some(vec!["b".into(), "d".into()]));
    assert_eq!(circle(&edges(&[("a", &["b"]), ("b", &[])])), None);
    let text = "use crate::{a, b::{c, d}, e::F};\ncrate::g::h(); use super::i; xcrate::no; use zk::crate::no;";
    assert_eq!(named(text, "crate::"), ["a", "b::", "e::F", "g::h"]);
    assert_eq!(named(text, "super::"), ["i"]);
}
