//! What the kernel says about a running process: CPU time of each of its threads, and resident memory.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

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
