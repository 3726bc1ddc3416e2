//! Tells the program which commit and compiler it was built from: nothing else, no time and no machine, so that two builds
//! of one commit say the same. `SOURCE_COMMIT` says the commit where there is no git, as in a container image; without
//! either, and when this is no checkout of ours, it is `unknown`.

use std::path::Path;
use std::process::Command;

/// Of the commit's hash.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=SOURCE_COMMIT");
    // Git keeps a line here for each commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]).filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    println!("cargo::rustc-env=BUILD_TARGET={}", std::env::var("TARGET").unwrap_or_default());
    println!("cargo::rustc-env=BUILD_RUSTC={}", rustc().unwrap_or_else(|| "unknown".into()));
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit().unwrap_or_else(|| "unknown".into()));
}

/// The first digits of the commit. Always as many: how many git would need to tell it from others depends on the checkout.
fn commit() -> Option<String> {
    let told = std::env::var("SOURCE_COMMIT").ok().filter(|told| !told.is_empty()).or_else(checked_out)?;
    let is_hash =
        (DIGITS..=64).contains(&told.len()) && told.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then(|| told[..DIGITS].to_owned())
}

fn checked_out() -> Option<String> {
    // A source archive that was unpacked inside somebody else's checkout has no commit.
    let top = std::fs::canonicalize(git(&["rev-parse", "--show-toplevel"])?).ok()?;
    let here = std::fs::canonicalize(std::env::var_os("CARGO_MANIFEST_DIR")?).ok()?;
    if top != here {
        return None;
    }
    git(&["rev-parse", "HEAD"])
}

/// The version of the compiler: `1.95.0`.
fn rustc() -> Option<String> {
    let output = Command::new(std::env::var_os("RUSTC")?).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.split_whitespace().nth(1).map(ToOwned::to_owned)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
