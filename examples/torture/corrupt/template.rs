//! Directories to be damaged: what real servers have left after real load, kept in memory, with the truth about them.

use super::judge::{self, Truth};
use crate::buyers::Buyers;
use crate::life::Life;
use crate::way::Way;
use anyhow::ensure;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::time::sleep;

/// How a directory comes about.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub name: &'static str,
    pub crashed: bool,
    checkpoint_every: &'static str,
    keep: &'static str,
    /// Kills before the last one: what a start finds in the store's journal goes to table files.
    kills: u64,
}

/// With archive and checkpoints, with everything still in the log, and with history that was deleted.
pub const PLANS: [Plan; 5] = [
    Plan { name: "archived, clean", crashed: false, checkpoint_every: "200ms", keep: "never", kills: 2 },
    Plan { name: "archived, crashed", crashed: true, checkpoint_every: "200ms", keep: "never", kills: 1 },
    Plan { name: "all in the log, clean", crashed: false, checkpoint_every: "10m", keep: "never", kills: 0 },
    Plan { name: "all in the log, crashed", crashed: true, checkpoint_every: "10m", keep: "never", kills: 0 },
    Plan { name: "history deleted, clean", crashed: false, checkpoint_every: "200ms", keep: "500ms", kills: 1 },
];

/// A file: all of it, and its bytes up to the last that is not zero.
#[derive(Debug, Clone)]
pub struct Content {
    pub len: u64,
    pub bytes: Vec<u8>,
}

impl Content {
    /// The byte there.
    pub fn at(&self, offset: u64) -> u8 {
        usize::try_from(offset).ok().and_then(|at| self.bytes.get(at).copied()).unwrap_or_default()
    }
}

/// A directory, and the truth about it.
pub struct Template {
    pub name: &'static str,
    pub crashed: bool,
    /// By path from the data directory on; those of outside parties are apart.
    pub files: BTreeMap<PathBuf, Content>,
    /// The outside parties' books: never damaged.
    pub outside: BTreeMap<PathBuf, Content>,
    pub dirs: Vec<PathBuf>,
    pub truth: Truth,
    /// How its servers are configured.
    pub flags: Vec<String>,
}

/// A template and who had bought there.
pub struct Made {
    pub template: Template,
    pub buyers: Rc<Buyers>,
    pub key: String,
}

/// Leads a server on a fresh directory through some load, and ends it as planned.
pub async fn make(program: &Path, plan: Plan, seed: u64) -> anyhow::Result<Made> {
    let flags = [
        "--holds-ttl=10m".to_owned(),
        "--log-segment-bytes=64KiB".to_owned(),
        "--log-frame-bytes=8KiB".to_owned(),
        format!("--checkpoint-every={}", plan.checkpoint_every),
        format!("--log-archive-max-age={}", plan.keep),
        "--store-flush-every=100ms".to_owned(),
    ];
    let flags: Vec<String> = flags.into_iter().chain(Way::quick()).collect();
    let way = Way { hold_ttl: Duration::from_secs(600), keeps_history: plan.keep == "never", flags: flags.clone() };
    let mut life = Life::begin(program, "template", way, Vec::new()).await?;
    for kill in 0..=plan.kills {
        if kill > 0 {
            life.server()?.kill()?;
            life.buyers.pool.forget_idle();
            life.restart(Vec::new()).await?;
        }
        for worker in life.buyers.begin(seed + kill, 4, 120 / (1 + plan.kills as usize)) {
            worker.await?;
        }
        sleep(Duration::from_millis(300)).await;
    }
    if plan.crashed {
        // In the middle of something: the last frame has records and no seal.
        let work = life.buyers.begin(seed + 9, 4, 4_000);
        sleep(Duration::from_millis(300)).await;
        life.server()?.kill()?;
        life.buyers.leave();
        for worker in work {
            worker.await?;
        }
    } else {
        sleep(Duration::from_millis(700)).await;
        life.server()?.stop(Duration::from_secs(30)).await?;
    }
    let violations = life.buyers.ledger.borrow().violations.len();
    ensure!(violations == 0, "{}: the server misbehaves without any damage: {violations} violations", plan.name);
    let mut read = Read::default();
    read.folder(&life.setup.data, Path::new(""))?;
    let is_outside = |path: &PathBuf| path.starts_with("provider") || path.starts_with("warehouse");
    let (outside, files) = read.files.into_iter().partition(|(path, _)| is_outside(path));
    let mut template = Template {
        name: plan.name,
        crashed: plan.crashed,
        files,
        outside,
        dirs: read.dirs,
        truth: Truth::default(),
        flags,
    };
    let room = tempfile::tempdir()?;
    let dir = room.path().join("data");
    template.write(&dir, false)?;
    template.truth = judge::truth(&dir, plan.keep == "never")?;
    let segments = template.files.keys().filter(|path| path.starts_with("wal")).count();
    ensure!(segments > 3, "{}: too little happened: {segments} segments", plan.name);
    Ok(Made { template, buyers: life.buyers.clone(), key: life.key.clone() })
}

#[derive(Default)]
struct Read {
    files: BTreeMap<PathBuf, Content>,
    dirs: Vec<PathBuf>,
}

impl Read {
    fn folder(&mut self, root: &Path, path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(path))? {
            let entry = entry?;
            let path = path.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.dirs.push(path.clone());
                self.folder(root, &path)?;
            } else {
                let mut bytes = fs::read(entry.path())?;
                let len = bytes.len() as u64;
                bytes.truncate(bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
                bytes.shrink_to_fit();
                self.files.insert(path, Content { len, bytes });
            }
        }
        Ok(())
    }
}

impl Template {
    /// Writes it to a directory that is not there yet.
    pub fn write(&self, dir: &Path, with_outside: bool) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        for folder in &self.dirs {
            fs::create_dir_all(dir.join(folder))?;
        }
        let outside = self.outside.iter().filter(|_| with_outside);
        for (path, content) in self.files.iter().chain(outside) {
            let file = File::create(dir.join(path))?;
            file.write_all_at(&content.bytes, 0)?;
            file.set_len(content.len)?;
        }
        Ok(())
    }
}
