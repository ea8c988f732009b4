//! Runs a hook over files, without a fuzzer.

use std::io;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::Hook;

/// The folder of a target's seeds.
#[must_use]
pub fn seeds(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target)
}

/// The program of a target: replays the files and folders given as arguments, else the target's seeds.
#[must_use]
pub fn main(target: &str, hook: Hook) -> ExitCode {
    let mut paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if paths.is_empty() {
        paths.push(seeds(target));
    }
    let mut failed = 0;
    for path in paths {
        match run(&path, hook) {
            Ok(outcome) => {
                println!("{target}: {} files of {} replayed", outcome.files, path.display());
                failed += outcome.failed.len();
                for file in outcome.failed {
                    eprintln!(
                        "{target}: {} breaks the invariant, see the panic above",
                        file.display()
                    );
                }
            }
            Err(error) => {
                eprintln!("{target}: cannot read {}: {error}", path.display());
                failed += 1;
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What became of a replay.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many files were run.
    pub files: usize,
    /// Those that made the hook panic.
    pub failed: Vec<PathBuf>,
}

/// Runs `hook` over the file `path`, or over every file of the folder `path` in the order of their names.
///
/// # Errors
/// When a file or the folder cannot be read.
pub fn run(path: &Path, hook: Hook) -> io::Result<Outcome> {
    let mut files = vec![path.to_path_buf()];
    if path.is_dir() {
        files = std::fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<_>>()?;
        files.sort();
    }
    let mut outcome = Outcome::default();
    for file in files {
        let data = std::fs::read(&file)?;
        outcome.files += 1;
        if catch_unwind(|| hook(&data)).is_err() {
            outcome.failed.push(file);
        }
    }
    Ok(outcome)
}
