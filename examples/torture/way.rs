//! How a directory's servers are configured: differently from one to the next, and always quick to give up.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::Duration;

/// How a life is led.
#[derive(Debug, Clone)]
pub struct Way {
    pub hold_ttl: Duration,
    /// The history is kept for ever: it can be read back from the first record on.
    pub keeps_history: bool,
    pub flags: Vec<String>,
}

impl Way {
    /// One of many: small segments and frequent checkpoints, so that archive, reuse and checkpoints are hit as well.
    pub fn draw(rng: &mut StdRng) -> Way {
        let hold_ttl = *["1s", "4s", "10m"].choose(rng).unwrap_or(&"1s");
        let segment =
            *[("128KiB", "16KiB"), ("256KiB", "32KiB"), ("1MiB", "64KiB")].choose(rng).unwrap_or(&("1MiB", "64KiB"));
        let checkpoint = ["100ms", "400ms", "2s", "1m"].choose(rng).unwrap_or(&"1m");
        let flush = ["50ms", "300ms", "2s"].choose(rng).unwrap_or(&"2s");
        let keeps_history = rng.random_bool(0.85);
        let faults = if rng.random_bool(0.25) { "payment=timeout:5%,warehouse=late:5%" } else { "none" };
        let flags = [
            format!("--holds-ttl={hold_ttl}"),
            format!("--log-segment-bytes={}", segment.0),
            format!("--log-frame-bytes={}", segment.1),
            format!("--checkpoint-every={checkpoint}"),
            format!("--store-flush-every={flush}"),
            format!("--log-archive-max-age={}", if keeps_history { "never" } else { "1s" }),
            format!("--faults={faults}"),
        ];
        let ttl = match hold_ttl {
            "1s" => Duration::from_secs(1),
            "4s" => Duration::from_secs(4),
            _ => Duration::from_secs(600),
        };
        Way { hold_ttl: ttl, keeps_history, flags: flags.into_iter().chain(Way::quick()).collect() }
    }

    /// The same, with a history that is kept, and nothing that ends, fails or leaves unasked.
    pub fn patient(rng: &mut StdRng) -> Way {
        let mut way = Way::draw(rng);
        let ours = ["--holds-ttl=10m", "--log-archive-max-age=never", "--faults=none"];
        let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
        way.flags.retain(|flag| !ours.iter().any(|our| name(our) == name(flag)));
        way.flags.extend(ours.into_iter().chain(["--fulfilment-auto-ship=false"]).map(str::to_owned));
        Way { hold_ttl: Duration::from_secs(600), keeps_history: true, ..way }
    }

    /// Time-outs that a test can wait for.
    pub fn quick() -> impl Iterator<Item = String> {
        [
            "--payment-timeout=500ms",
            "--payment-ask-again=100ms",
            "--payment-latency=4ms",
            "--fulfilment-latency=10ms",
            "--start-grace=500ms",
            "--api-request-timeout=2s",
            "--api-header-timeout=1s",
            "--api-keep-alive=2s",
        ]
        .into_iter()
        .map(str::to_owned)
    }
}
