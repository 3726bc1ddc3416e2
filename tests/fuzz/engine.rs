//! Runs a target: its corpus, and changes of it, until the time is up.

use crate::counters::{self, Seen};
use crate::mutate;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Longest input, in bytes.
const LONGEST: usize = 64 << 10;
/// Inputs kept at most.
const KEPT: usize = 10_000;
/// Tries to make an input small that breaks its target.
const SHRINKS: usize = 5_000;

/// Counters are of the whole program: one target at a time where there are any.
static ALONE: Mutex<()> = Mutex::new(());

/// Something that reads bytes.
pub struct Target {
    /// Of its folder in the corpus.
    pub name: &'static str,
    /// Panics when something is wrong.
    pub run: fn(&[u8]),
    /// Pieces that inputs are made of.
    pub words: &'static [&'static [u8]],
}

impl Target {
    /// The test.
    pub fn fuzz(&self) {
        let _alone = counters::are_there().then(|| ALONE.lock());
        let (seconds, seed): (f64, u64) = (setting("FUZZ_SECONDS", 2.0), setting("FUZZ_SEED", 1));
        let began = Instant::now();
        let mut seen = Seen::default();
        let mut pool: Vec<Vec<u8>> = Vec::new();
        for path in self.files(&self.corpus()) {
            let input = std::fs::read(&path).unwrap();
            counters::clear();
            assert!(self.holds(&input), "{} breaks its target", path.display());
            seen.is_new();
            pool.push(input);
        }
        assert!(!pool.is_empty(), "there is nothing in {}", self.corpus().display());
        let seeds = pool.len();
        if counters::are_there() {
            pool.extend(self.files(&self.found()).into_iter().map(|path| std::fs::read(path).unwrap()));
        }
        let (mut rng, mut runs) = (StdRng::seed_from_u64(seed), 0u64);
        while began.elapsed() < Duration::from_secs_f64(seconds) {
            let [one, other] = [0, 0].map(|_: u8| &pool[rng.random_range(0..pool.len())]);
            let input = mutate::mutate(&mut rng, one, other, self.words, LONGEST);
            counters::clear();
            if !self.holds(&input) {
                self.broke(input, seed, runs);
            }
            runs += 1;
            if seen.is_new() && pool.len() < KEPT {
                self.keep(&self.found(), "", &input);
                pool.push(input);
            }
        }
        let (name, places, found) = (self.name, seen.places(), pool.len() - seeds);
        println!(
            "{name}: {seeds} seeds, {runs} runs from seed {seed}, {found} inputs found, {places} places, 0 broken"
        );
        assert!(runs > 0, "no time was left for a single run");
    }

    fn holds(&self, input: &[u8]) -> bool {
        catch_unwind(AssertUnwindSafe(|| (self.run)(input))).is_ok()
    }

    /// Makes the input small, leaves it in the corpus, and fails.
    fn broke(&self, mut input: Vec<u8>, seed: u64, run: u64) -> ! {
        // The same panic again and again is of no use to anybody.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| ()));
        let (mut piece, mut tries) = (input.len().div_ceil(2), 0);
        while piece > 0 && tries < SHRINKS {
            let mut at = 0;
            while at < input.len() && tries < SHRINKS {
                let end = input.len().min(at + piece);
                let shorter = [&input[..at], &input[end..]].concat();
                tries += 1;
                if self.holds(&shorter) { at = end } else { input = shorter }
            }
            piece /= 2;
        }
        std::panic::set_hook(hook);
        let path = self.keep(&self.corpus(), "crash-", &input);
        let shown: String = input.iter().take(200).map(|byte| byte.escape_ascii().to_string()).collect();
        panic!("seed {seed}, run {run}: {} ({} bytes) breaks it: {shown}", path.display(), input.len());
    }

    /// Where the committed inputs are.
    fn corpus(&self) -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "tests/fuzz/corpus", self.name].iter().collect()
    }

    /// Where inputs are that got somewhere new.
    fn found(&self) -> PathBuf {
        [env!("CARGO_TARGET_TMPDIR"), "fuzz", self.name].iter().collect()
    }

    fn files(&self, folder: &PathBuf) -> Vec<PathBuf> {
        let Ok(files) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        files
    }

    fn keep(&self, folder: &PathBuf, prefix: &str, input: &[u8]) -> PathBuf {
        let name = blake3::hash(input).to_hex()[..16].to_owned();
        let path = folder.join(format!("{prefix}{name}"));
        std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, input)).unwrap();
        path
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}
