//! The real server as a child process: started, waited for, killed, restarted, stopped. It ends with us at the latest.

use crate::client::{Pool, Request};
use anyhow::{Context, bail};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the kernel may take to end a killed process.
const DEATH: Duration = Duration::from_secs(10);
/// Lines of the server's own words that are shown when it fails.
const LAST_WORDS: usize = 20;

/// Where a server runs and how.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its data directory; its words go to `server.log` beside it.
    pub data: PathBuf,
    /// Address of the API.
    pub api: SocketAddr,
    /// Address of health checks and metrics.
    pub ops: SocketAddr,
    /// Further flags of `stampede serve`.
    pub flags: Vec<String>,
    /// Further variables of its environment.
    pub env: Vec<(String, String)>,
}

impl Setup {
    /// `program serve` on `directory/data` and two ports that are free now.
    ///
    /// # Errors
    /// When the directory cannot be made or there is no free port.
    pub fn new(program: &Path, directory: &Path, flags: &[&str]) -> anyhow::Result<Setup> {
        let data = directory.join("data");
        std::fs::create_dir_all(&data).with_context(|| format!("cannot make {}", data.display()))?;
        // Both at once, so that they differ.
        let (api, ops) = (free_port()?, free_port()?);
        Ok(Setup {
            program: program.to_owned(),
            data,
            api: api.local_addr()?,
            ops: ops.local_addr()?,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            env: Vec::new(),
        })
    }

    /// Where its words go.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.data.with_file_name("server.log")
    }
}

/// Ports below those that Linux gives to clients: while a server is away, one of its own clients, trying to reach it, could
/// else be given the server's port.
const PORTS: std::ops::Range<u16> = 10_000..32_768;
/// So many are tried.
const PORTS_TRIED: usize = 100;

/// A port of this machine that is free, as long as it is kept, and that will stay so for a while. This process gets each
/// one only once: a server that is about to start, or to start again, has nothing bound to its own.
///
/// # Errors
/// When none of many is free.
pub fn free_port() -> std::io::Result<TcpListener> {
    static FIRST: LazyLock<u16> = LazyLock::new(|| rand::random_range(PORTS));
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for _ in 0..PORTS_TRIED {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start);
        let port = PORTS.start + (*FIRST - PORTS.start + given) % (PORTS.end - PORTS.start);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    child: Child,
}

impl Server {
    /// Starts it; it is not ready yet.
    ///
    /// The kernel kills the child when the thread that started it ends, so call this on a thread that lives as long.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(setup: Setup) -> anyhow::Result<Server> {
        let log = File::options().create(true).append(true).open(setup.log())?;
        let mut command = Command::new(&setup.program);
        command.arg("serve").arg("--data-dir").arg(&setup.data);
        command.arg("--api-bind").arg(setup.api.to_string()).arg("--ops-bind").arg(setup.ops.to_string());
        command.args(&setup.flags).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // Neither a configuration file of this directory nor settings in the environment belong to this run.
        command.current_dir(&setup.data);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STAMPEDE_") {
                command.env_remove(name);
            }
        }
        command.envs(setup.env.iter().map(|(name, value)| (name, value)));
        // SAFETY: prctl is async-signal-safe and touches nothing of the parent's.
        unsafe {
            command.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", setup.program.display()))?;
        Ok(Server { setup, child })
    }

    /// Comes back when it says that it is ready; how long that took.
    ///
    /// # Errors
    /// When it ends instead, or takes longer than `within`; with its last words.
    pub async fn ready(&mut self, within: Duration) -> anyhow::Result<Duration> {
        let pool = Pool::new(self.setup.ops, 1);
        let start = Instant::now();
        loop {
            let answer = pool.send(&Request::get("/health/ready"), Duration::from_secs(1)).await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return Ok(start.elapsed());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at its start: {status}\n{}", self.last_words());
            }
            if start.elapsed() > within {
                bail!("the server was not ready within {within:?}\n{}", self.last_words());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL, without a warning; comes back when it is dead.
    ///
    /// # Errors
    /// When there is no such process, or it had ended by itself before.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        let deadline = Instant::now() + DEATH;
        while Instant::now() < deadline {
            match self.child.try_wait()? {
                Some(status) if status.signal() == Some(libc::SIGKILL) => return Ok(()),
                Some(status) => bail!("the server had ended before it was killed: {status}\n{}", self.last_words()),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
        bail!("the killed server did not die within {DEATH:?}")
    }

    /// Starts it again after a kill, on the same directory and ports.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn restart(&mut self) -> anyhow::Result<()> {
        *self = Server::start(self.setup.clone())?;
        Ok(())
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it takes longer than `within`, or ends with a failure.
    pub async fn stop(&mut self, within: Duration) -> anyhow::Result<()> {
        self.alive()?;
        // SAFETY: our own child, which was not waited for yet, so its number is still its own.
        if unsafe { libc::kill(self.child.id().cast_signed(), libc::SIGTERM) } != 0 {
            return Err(std::io::Error::last_os_error()).context("cannot stop the server");
        }
        let start = Instant::now();
        while start.elapsed() < within {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the server ended badly: {status}\n{}", self.last_words()),
                None => sleep(Duration::from_millis(5)).await,
            }
        }
        bail!("the server did not stop within {within:?}\n{}", self.last_words())
    }

    /// Waits until it has ended by itself; its exit code, if it was not a signal that ended it.
    ///
    /// # Errors
    /// When it takes longer than `within`.
    pub async fn ended(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        let start = Instant::now();
        while start.elapsed() < within {
            match self.child.try_wait()? {
                Some(status) => return Ok(status.code()),
                None => sleep(Duration::from_millis(5)).await,
            }
        }
        bail!("the server did not end within {within:?}\n{}", self.last_words())
    }

    /// Fails when it has ended by itself.
    ///
    /// # Errors
    /// With its last words.
    pub fn alive(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server ended by itself: {status}\n{}", self.last_words()),
        }
    }

    /// CPU time that it has used, in user and kernel mode.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        cpu_of(&self.child.id().to_string())
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it runs.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    fn last_words(&self) -> String {
        let words = std::fs::read(self.setup.log()).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        let lines: Vec<&str> = words.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time that this process has used: that of the generator.
///
/// # Errors
/// When the kernel does not say.
pub fn own_cpu() -> anyhow::Result<Duration> {
    cpu_of("self")
}

/// CPU time in user and kernel mode of a process, without its children.
fn cpu_of(process: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name in brackets may contain anything; the fields are counted after it.
    let fields: Vec<&str> = stat.rsplit_once(')').context("no process name")?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, kernel)| user + kernel).context("no CPU times")?;
    // SAFETY: sysconf has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1);
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_is_given_twice() -> std::io::Result<()> {
        let ports: std::io::Result<Vec<u16>> = (0..200).map(|_| Ok(free_port()?.local_addr()?.port())).collect();
        let mut ports = ports?;
        assert!(ports.iter().all(|port| PORTS.contains(port)), "{ports:?}");
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 200);
        Ok(())
    }
}
