//! Lets the linker find `memory.x`: how much flash and RAM the program has.
use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap());
    let tls = std::env::var("CARGO_FEATURE_TLS").is_ok();
    // A memory.x in this folder would come before the one that is meant.
    let memory = if tls { "memory/tls.x" } else { "memory/plain.x" };
    std::fs::copy(memory, out.join("memory.x")).unwrap();
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed={memory}");
    for argument in ["--nmagic", "-Tlink.x"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}
