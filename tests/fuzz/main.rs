//! Fuzzing: bytes that nobody chose, into everything that reads bytes from outside.
//!
//! Each target is a test. It runs what is in `corpus/NAME/` first, then what comes of that by random changes, for
//! `FUZZ_SECONDS` (2), from `FUZZ_SEED` (1). An input that breaks a target is made small and left in the corpus as
//! `crash-…`, where every later run finds it. `dev/fuzz` runs one target for long, with the code counting where it has
//! been: an input that gets somewhere new is kept and changed further.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(unexpected_cfgs, reason = "`counted` is set by `dev/fuzz` alone")]

mod counters;
mod engine;
mod mutate;
mod targets;

use engine::Target;

#[test]
fn frame() {
    Target { name: "frame", run: targets::frames::frame, words: &[b"SPFR", b"SPSG"] }.fuzz();
}

#[test]
fn event() {
    Target { name: "event", run: targets::events::event, words: &[b"\x0a", b"\x12", b"\x1a", b"mug", b"EUR"] }.fuzz();
}

#[test]
fn body() {
    Target { name: "body", run: targets::requests::body, words: targets::requests::WORDS }.fuzz();
}

#[test]
fn key() {
    Target { name: "key", run: targets::requests::key, words: &[b"\"", b"\\", b"\\\"", b"import-"] }.fuzz();
}

#[test]
fn stock() {
    Target { name: "stock", run: targets::stock::stock, words: targets::stock::WORDS }.fuzz();
}

#[test]
fn export() {
    Target { name: "export", run: targets::export::export, words: &[b"SPEX", b"SPFR", b"\x01", b"mug"] }.fuzz();
}
