//! Every seed holds, and every target is complete.

use std::collections::BTreeSet;
use std::path::Path;

use tidings_fuzz::{TARGETS, replay};

#[test]
fn every_seed_keeps_the_invariant_of_its_target() {
    for (name, hook) in TARGETS {
        let outcome = replay::run(&replay::seeds(name), *hook).expect("a folder of seeds");
        assert!(outcome.files > 0, "{name} has no seeds");
        assert!(outcome.failed.is_empty(), "{name} breaks its invariant on {:?}", outcome.failed);
    }
}

#[test]
fn every_target_has_a_hook_a_program_and_a_folder_of_seeds() {
    let hooks: BTreeSet<String> = TARGETS.iter().map(|(name, _)| String::from(*name)).collect();
    assert_eq!(names("fuzz_targets"), hooks, "programs in fuzz_targets, against TARGETS");
    assert_eq!(names("seeds"), hooks, "folders in seeds, against TARGETS");
    assert_eq!(bins(), hooks, "[[bin]] in Cargo.toml, against TARGETS");
}

#[test]
fn every_seed_is_explained() {
    let explained =
        std::fs::read_to_string(root().join("seeds/README.md")).expect("seeds/README.md");
    for (name, _) in TARGETS {
        for seed in std::fs::read_dir(replay::seeds(name)).expect("a folder of seeds") {
            let file = seed.expect("a seed").file_name();
            let line = format!("`{name}/{}`", file.to_string_lossy());
            assert!(explained.contains(&line), "seeds/README.md does not say what {line} is for");
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names in a folder, without `.rs`; its README.md aside.
fn names(folder: &str) -> BTreeSet<String> {
    std::fs::read_dir(root().join(folder))
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name != "README.md")
        .map(|name| name.trim_end_matches(".rs").to_owned())
        .collect()
}

/// The names of the programs in the manifest.
fn bins() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let programs = manifest.split("[[bin]]").skip(1);
    programs
        .filter_map(|table| table.lines().find_map(|line| line.strip_prefix("name = ")))
        .map(|name| name.trim_matches('"').to_owned())
        .collect()
}
