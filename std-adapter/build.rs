//! Tells the program which commit it is built from: `$TIDINGS_COMMIT`, or what git says, or nothing.

use std::process::Command;

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// The commit of this project; of another one that this is a part of, git says nothing of interest.
fn commit() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    let is_ours = std::path::Path::new(&here).parent() == Some(std::path::Path::new(&top));
    is_ours.then(|| git(&["rev-parse", "--short=12", "HEAD"]))?
}

fn main() {
    println!("cargo:rerun-if-env-changed=TIDINGS_COMMIT");
    // A commit, and a change of branch, are both noted here.
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| exists(path)) {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("TIDINGS_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(commit);
    let version = env!("CARGO_PKG_VERSION");
    let version =
        commit.map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})"));
    println!("cargo:rustc-env=TIDINGS_VERSION={version}");
}

fn exists(path: &str) -> bool {
    std::path::Path::new(path).exists()
}
