//! The licence and source of every crate that is built into the program, against `deny.toml`.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use std::collections::BTreeSet;
use std::process::Command;

#[derive(Deserialize)]
struct Deny {
    licenses: Licenses,
    bans: Bans,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Banned>,
}

#[derive(Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[test]
fn every_dependency_is_permissively_licensed_and_comes_from_the_registry() {
    let deny: Deny = toml::from_str(&std::fs::read_to_string("deny.toml").unwrap()).unwrap();
    let mut wrong = Vec::new();
    for Package { name, version, license, source } in dependencies() {
        let license = license.unwrap_or_default();
        if !allowed(&license, &deny.licenses.allow) {
            wrong.push(format!("{name} {version}: licence {license:?} is not allowed"));
        }
        if deny.bans.deny.iter().any(|banned| banned.name == name) {
            wrong.push(format!("{name} {version}: banned"));
        }
        if source.is_some_and(|source| source != "registry+https://github.com/rust-lang/crates.io-index") {
            wrong.push(format!("{name} {version}: not from crates.io"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    let allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "Zlib"].map(String::from).into();
    for (expression, then) in [
        ("MIT", true),
        ("MIT OR GPL-3.0-only", true),
        ("GPL-3.0-only/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("(GPL-3.0-only OR MIT) AND Zlib", true),
        ("MIT OR GPL-3.0-only AND AGPL-3.0-only", true),
        ("GPL-3.0-only AND MIT OR AGPL-3.0-only", false),
        ("Apache-2.0", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("", false),
    ] {
        assert_eq!(allowed(expression, &allow), then, "{expression}");
    }
}

/// Everything that is built for this machine, tests and build scripts included.
fn dependencies() -> Vec<Package> {
    let host = env!("BUILD_TARGET");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--all-features", "--filter-platform", host])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata = serde_json::from_slice(&output.stdout).unwrap();
    assert!(metadata.packages.len() > 50, "the whole tree is there");
    metadata.packages
}

/// May a crate under this SPDX expression be used? `AND` binds closer than `OR`; `/` is the old way to write `OR`.
fn allowed(expression: &str, allow: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    !rest.is_empty() && any_of(&mut rest, allow) && rest.is_empty()
}

fn any_of(words: &mut &[&str], allow: &BTreeSet<String>) -> bool {
    let mut good = all_of(words, allow);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        // Not short-circuited: the words must be read.
        good |= all_of(words, allow);
    }
    good
}

fn all_of(words: &mut &[&str], allow: &BTreeSet<String>) -> bool {
    let mut good = one(words, allow);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        good &= one(words, allow);
    }
    good
}

fn one(words: &mut &[&str], allow: &BTreeSet<String>) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let good = any_of(words, allow);
            *words = words.strip_prefix(&[")"]).expect("a closing parenthesis");
            good
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            allow.contains(&format!("{licence} WITH {exception}"))
        }
        [licence, rest @ ..] => {
            *words = rest;
            allow.contains(*licence)
        }
        [] => false,
    }
}
