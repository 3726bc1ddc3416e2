//! The process itself, read from `/proc` when somebody scrapes. What cannot be read keeps its last value.

use crate::metrics::{catalogue, get};
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads memory, processor time, descriptors and threads.
pub fn sample() {
    let families = get();
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().and_then(|text| Stat::parse(&text)) {
        families.gauge(&catalogue::RESIDENT, &[]).set(stat.resident_pages as f64 * page_bytes() as f64);
        families.gauge(&catalogue::THREADS, &[]).set(stat.threads as f64);
        families.counter(&catalogue::CPU, &[]).absolute(stat.cpu_ticks * 1000 / ticks_per_second());
        if let Some(started) = started(stat.start_tick) {
            families.gauge(&catalogue::STARTED, &[]).set(started);
        }
    }
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        families.gauge(&catalogue::DESCRIPTORS, &[]).set(descriptors.count() as f64);
    }
}

/// What we want of `/proc/self/stat`.
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_tick: u64,
    resident_pages: u64,
}

impl Stat {
    /// The second field, the program's name in brackets, may hold anything: the fields are counted from its end.
    fn parse(text: &str) -> Option<Stat> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |nth: usize| fields.get(nth - 3)?.parse::<u64>().ok();
        Some(Stat {
            cpu_ticks: number(14)? + number(15)?,
            threads: number(20)?,
            start_tick: number(22)?,
            resident_pages: number(24)?,
        })
    }
}

fn started(start_tick: u64) -> Option<f64> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    let age = Duration::try_from_secs_f64(uptime - start_tick as f64 / ticks_per_second() as f64).ok()?;
    Some((SystemTime::now() - age).duration_since(UNIX_EPOCH).ok()?.as_secs_f64())
}

fn ticks_per_second() -> u64 {
    // SAFETY: sysconf only reads a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1)
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf only reads a constant of the system.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_name_with_brackets_shifts_nothing() {
        let mut fields: Vec<String> = (3..=24).map(|n| n.to_string()).collect();
        fields[0] = "S".into();
        let stat = Stat::parse(&format!("1 (a) b) {}", fields.join(" ")));
        assert_eq!(stat.map(|s| (s.cpu_ticks, s.threads, s.start_tick, s.resident_pages)), Some((29, 20, 22, 24)));
    }
}
