//! The core's layers import downwards only, so that each can be used, read and tested alone.

use std::fs;
use std::path::{Path, PathBuf};

const GROUND: &[&str] = &["entropy", "error", "hash", "io", "limits", "time"];

/// What each module of the core may import besides itself and the ground; the longest matching name counts.
/// A dialect is a room of its own: none imports another.
const LAYERS: &[(&str, &[&str])] = &[
    ("entropy", &[]),
    ("error", &[]),
    ("hash", &[]),
    ("io", &[]),
    ("limits", &[]),
    ("time", &[]),
    ("websocket", &[]),
    ("json", &[]),
    ("channel", &["json"]),
    ("auth", &["channel", "json"]),
    ("pusher", &["auth", "channel", "json", "websocket"]),
    ("reconnect", &["pusher"]),
];

#[test]
fn every_module_imports_only_what_is_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/src");
    let mut faults = Vec::new();
    for file in rust_files(&src) {
        let relative = file.strip_prefix(&src).expect("below src");
        let module = module_of(relative);
        if module.is_empty() || module.split("::").any(|part| part == "tests") {
            continue;
        }
        let code = code(&fs::read_to_string(&file).expect("a source file"));
        if code.contains("super::super::") {
            faults.push(format!(
                "{}: name a module by crate::, not by super::super::",
                file.display()
            ));
        }
        let Some(allowed) = layer(&module) else {
            faults.push(format!("{module} has no place in the table of this test"));
            continue;
        };
        for import in imports(&code) {
            if !allowed_from(&module, allowed, &import) {
                faults.push(format!("{module} must not import {import}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn imports_are_found_in_every_form() {
    let text = "use crate::io::{TxBuf, Step};\nuse crate::{time, json::{Reader, raw}};\nfn f(_: crate::auth::Key) {}\n\
                // use crate::no::comment;\npub(in crate::channel) fn g() {}";
    let found = imports(&code(text));
    assert_eq!(
        found,
        ["io::TxBuf", "io::Step", "time", "json::Reader", "json::raw", "auth::Key", "channel"]
    );
}

#[test]
fn a_module_may_use_itself_and_the_ground_but_no_neighbour() {
    let auth = layer("auth::rest").expect("a layer");
    assert!(allowed_from("auth::rest", auth, "auth::Secret"));
    assert!(allowed_from("auth::rest", auth, "io::TxBuf"));
    assert!(allowed_from("auth::rest", auth, "json::Raw"));
    assert!(!allowed_from("auth::rest", auth, "websocket::Header"));
    assert!(!allowed_from("json", layer("json").expect("a layer"), "pusher::Code"));
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `websocket/mask.rs` is `websocket::mask`; the crate's root is the empty name.
fn module_of(file: &Path) -> String {
    let name = file.with_extension("").to_string_lossy().replace('/', "::");
    let name = name.strip_suffix("::mod").unwrap_or(&name);
    if name == "lib" { String::new() } else { name.to_owned() }
}

/// The text without its comments and its tests, which stand last and may use anything.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Every path that starts with `crate::`, without that start.
fn imports(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, start) in code.match_indices("crate::") {
        // `$crate::` and `tidings_crate::` are no paths of this crate.
        if !code[..at].ends_with(|c: char| c == '$' || c == '_' || c.is_alphanumeric()) {
            expand("", &code[at + start.len()..], &mut found);
        }
    }
    found
}

/// Adds the paths of a use tree that starts at `rest` to `found`; returns what follows the tree.
fn expand<'t>(prefix: &str, rest: &'t str, found: &mut Vec<String>) -> &'t str {
    if let Some(mut rest) = rest.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            match rest.chars().next() {
                None => return rest,
                Some('}') => return &rest[1..],
                Some(_) => {
                    let before = rest.len();
                    rest = expand(prefix, rest, found);
                    // What is no use tree, such as `* as x`, is stepped over.
                    if rest.len() == before {
                        rest = rest.split_once([',', '}']).map_or("", |(_, rest)| rest);
                    }
                }
            }
        }
    }
    let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    match rest.strip_prefix("::") {
        Some(rest) if rest.starts_with(|c: char| c == '{' || c == '_' || c.is_alphabetic()) => {
            expand(&path, rest, found)
        }
        _ => {
            found.push(path);
            rest
        }
    }
}

/// The row of the longest name in the table that `module` is or is within.
fn layer(module: &str) -> Option<&'static [&'static str]> {
    let name = name_of(module)?;
    LAYERS.iter().find(|(other, _)| *other == name).map(|(_, allowed)| *allowed)
}

fn within(path: &str, name: &str) -> bool {
    path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether `module` may import `import`, given its row of the table.
fn allowed_from(module: &str, allowed: &[&str], import: &str) -> bool {
    let Some(target) = name_of(import) else { return false };
    name_of(module) == Some(target) || GROUND.contains(&target) || allowed.contains(&target)
}

/// The longest name in the table that `path` is or is within.
fn name_of(path: &str) -> Option<&'static str> {
    let names = LAYERS.iter().map(|(name, _)| *name).filter(|name| within(path, name));
    names.max_by_key(|name| name.len())
}
