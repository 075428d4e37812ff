//! Tells cargo that the embedded folders are sources of this crate.

fn main() {
    for folder in ["../../mappings", "scenario", "build.rs"] {
        println!("cargo::rerun-if-changed={folder}");
    }
}
