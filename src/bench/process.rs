//! What the kernel says about a running process, CPU time of each of its threads and resident memory, and about the whole
//! machine.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Time of all cores since the machine started, in ticks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cores {
    /// All of it.
    pub all: u64,
    /// Somebody else's machine ran on the same hardware while ours wanted to.
    pub stolen: u64,
}

impl Cores {
    /// As of now; nothing where the kernel does not say.
    #[must_use]
    pub fn now() -> Cores {
        fs::read_to_string("/proc/stat").ok().and_then(|stat| Cores::read(&stat)).unwrap_or_default()
    }

    /// The first line: user, nice, system, idle, iowait, irq, softirq, steal, and two that are in user and nice already.
    fn read(stat: &str) -> Option<Cores> {
        let ticks: Vec<u64> = stat.lines().next()?.split_whitespace().skip(1).map_while(|n| n.parse().ok()).collect();
        Some(Cores { all: ticks.iter().take(8).sum(), stolen: *ticks.get(7)? })
    }

    /// Which part of the time since `before` was stolen.
    #[must_use]
    pub fn stolen_since(self, before: Cores) -> f64 {
        self.stolen.saturating_sub(before.stolen) as f64 / self.all.saturating_sub(before.all).max(1) as f64
    }
}

/// CPU time by name of thread; threads of one name are summed up.
pub type Threads = BTreeMap<String, Duration>;

/// CPU time in user and kernel mode of every living thread of a process.
///
/// # Errors
/// When there is no such process.
pub fn threads(process: u32) -> anyhow::Result<Threads> {
    let mut threads = Threads::new();
    let tasks = format!("/proc/{process}/task");
    for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
        // A thread may end between the listing and the reading.
        let Ok(stat) = fs::read_to_string(task?.path().join("stat")) else { continue };
        let (name, cpu) = thread(&stat).with_context(|| format!("cannot read {stat:?}"))?;
        *threads.entry(name.to_owned()).or_default() += cpu;
    }
    if threads.is_empty() {
        bail!("{tasks} is empty");
    }
    Ok(threads)
}

/// What each thread used between two moments; one that has ended is left out.
#[must_use]
pub fn between(before: &Threads, after: &Threads) -> Threads {
    let used = |(name, cpu): (&String, &Duration)| {
        let earlier = before.get(name).copied().unwrap_or_default();
        (name.clone(), cpu.saturating_sub(earlier))
    };
    after.iter().map(used).collect()
}

/// Name and CPU time in a line of `stat`. The name in brackets may contain anything; fields are counted after it.
fn thread(stat: &str) -> Option<(&str, Duration)> {
    let (start, rest) = stat.rsplit_once(')')?;
    let (_, name) = start.split_once('(')?;
    let mut fields = rest.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    // SAFETY: sysconf only reads a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1);
    Some((name, Duration::from_secs_f64(ticks as f64 / per_second as f64)))
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/statm");
    let statm = fs::read_to_string(&path).with_context(|| path.clone())?;
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).context(path)?;
    // SAFETY: sysconf only reads a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    Ok(pages * page)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a panic is how a test fails

    use super::*;

    #[test]
    fn stolen_time_is_a_part_of_all_time() {
        let read = |stat: &str| Cores::read(stat).unwrap();
        let before = read("cpu  100 0 50 800 10 0 5 35 7 0\ncpu0 1 2 3\n");
        assert_eq!(before, Cores { all: 1_000, stolen: 35 });
        assert!((read("cpu 150 0 60 900 10 0 5 75 9 0").stolen_since(before) - 0.2).abs() < 1e-9);
        assert_eq!((Cores::read("cpu 1 2 3"), Cores::read("")), (None, None));
        assert!(Cores::now().all > 0);
    }

    #[test]
    fn a_thread_is_read_whatever_its_name_holds() {
        let (name, cpu) = thread("77 (a) (b) S 1 1 1 0 -1 4194304 9 0 0 0 150 50 0 0 20 0 9 0").unwrap();
        assert_eq!(name, "a) (b");
        assert!(cpu > Duration::from_millis(100), "{cpu:?}");
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let own = std::process::id();
        let before = threads(own).unwrap();
        assert!(before.values().count() >= 1);
        assert!(resident(own).unwrap() > 1 << 20);
        let used = between(&before, &threads(own).unwrap());
        assert!(used.values().all(|cpu| *cpu < Duration::from_secs(60)), "{used:?}");
    }
}
