//! A power cut: what a data directory holds afterwards, when only what was synced is sure to be there.
//!
//! The shim (`shim.c`) keeps, beside the live directory, a copy of every file as it was last synced, and the names that
//! every directory had when it was last synced. Here the two are put together anew: each unsynced sector, file length and
//! directory either made it to the disk or not, as chance has it.

use anyhow::{Context, ensure};
use rand::Rng;
use rand::rngs::StdRng;
use stampede::workflows::simulated::{PROVIDER_DIR, WAREHOUSE_DIR};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a drive writes as one, in bytes.
const SECTOR: usize = 512;
const PIECE: usize = 256 << 10;

/// The shim, compiled.
#[derive(Debug, Clone)]
pub struct Shim(PathBuf);

impl Shim {
    /// Compiles it into this directory. Needs `cc`.
    pub fn compile(into: &Path) -> anyhow::Result<Shim> {
        let (source, target) = (into.join("shim.c"), into.join("shim.so"));
        fs::write(&source, include_str!("shim.c"))?;
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&target).arg(&source).args(["-ldl", "-lpthread"]);
        let done = cc.output().context("no C compiler: cc")?;
        ensure!(done.status.success(), "the shim does not compile: {}", String::from_utf8_lossy(&done.stderr));
        Ok(Shim(target))
    }

    /// What puts it under a server.
    pub fn env(&self, data: &Path) -> Vec<(String, String)> {
        vec![("LD_PRELOAD".to_owned(), text(&self.0)), ("TORTURE_ROOT".to_owned(), text(data))]
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// Names of a directory, by its inode.
type Names = HashMap<u64, BTreeMap<String, Entry>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File(u64),
    Dir(u64),
}

/// How much of what was not synced is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of it.
    All,
    /// Some sectors, lengths and names.
    Some,
}

/// What was lost in a power cut.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lost {
    pub sectors: u64,
    pub names: u64,
}

/// What is durable of a data directory, kept beside it while a server runs on it.
pub struct Shadow {
    data: PathBuf,
    dir: PathBuf,
    durable: Names,
}

impl Shadow {
    /// Begins one: all that there is now is durable. The server must not run yet.
    pub fn begin(data: &Path) -> anyhow::Result<Shadow> {
        let dir = data.with_file_name("shadow");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        for folder in ["ino", "live"] {
            fs::create_dir_all(dir.join(folder))?;
        }
        let mut durable = Names::new();
        scan(data, &mut durable)?;
        let shadow = Shadow { data: data.to_owned(), dir, durable };
        shadow.keep(data)?;
        Ok(shadow)
    }

    /// For the server's environment.
    pub fn env(&self) -> (String, String) {
        ("TORTURE_SHADOW".to_owned(), text(&self.dir))
    }

    /// Links to all files that have none, so that their bytes outlive their names. The shim makes them for new files; a
    /// kill may come right before.
    fn keep(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.keep(&entry.path())?;
                continue;
            }
            match fs::hard_link(entry.path(), self.live(entry.metadata()?.ino())) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                linked => linked?,
            }
        }
        Ok(())
    }

    fn live(&self, ino: u64) -> PathBuf {
        self.dir.join("live").join(ino.to_string())
    }

    /// The power goes; the server was killed. The data directory is then what the disk had.
    pub fn cut(mut self, loss: Loss, rng: &mut StdRng) -> anyhow::Result<Lost> {
        self.read_names()?;
        let mut now = Names::new();
        scan(&self.data, &mut now)?;
        self.keep(&self.data)?;
        let fresh = self.data.with_file_name("data.cut");
        let mut lost = Lost::default();
        let root = fs::metadata(&self.data)?.ino();
        self.restore(root, &fresh, &now, loss, rng, &mut lost)?;
        // Outside parties keep their books on machines of their own.
        for outside in [PROVIDER_DIR, WAREHOUSE_DIR] {
            if self.data.join(outside).exists() {
                let _ = fs::remove_dir_all(fresh.join(outside));
                fs::rename(self.data.join(outside), fresh.join(outside))?;
            }
        }
        fs::remove_dir_all(&self.data)?;
        fs::rename(&fresh, &self.data)?;
        fs::remove_dir_all(&self.dir)?;
        Ok(lost)
    }

    /// What the shim wrote down of directories that were made or synced.
    fn read_names(&mut self) -> anyhow::Result<()> {
        let text = fs::read_to_string(self.dir.join("names")).context("the shim was not there")?;
        let mut synced: Option<(u64, BTreeMap<String, Entry>)> = None;
        // The kill may have come in the middle of a note.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let fields: Vec<&str> = line.splitn(3, '\t').collect();
            match (fields.as_slice(), synced.as_mut()) {
                (["N", ino], None) => drop(self.durable.insert(ino.parse()?, BTreeMap::new())),
                (["S", ino], None) => synced = Some((ino.parse()?, BTreeMap::new())),
                (["f", ino, name], Some((_, names))) => {
                    names.insert((*name).to_owned(), Entry::File(ino.parse()?));
                }
                (["d", ino, name], Some((_, names))) => {
                    names.insert((*name).to_owned(), Entry::Dir(ino.parse()?));
                }
                (["."], Some(_)) => {
                    let (ino, names) = synced.take().context("a directory")?;
                    self.durable.insert(ino, names);
                }
                other => anyhow::bail!("the shim's notes make no sense: {other:?}"),
            }
        }
        Ok(())
    }

    fn restore(
        &self,
        ino: u64,
        into: &Path,
        now: &Names,
        loss: Loss,
        rng: &mut StdRng,
        lost: &mut Lost,
    ) -> anyhow::Result<()> {
        fs::create_dir(into)?;
        let none = BTreeMap::new();
        let durable = self.durable.get(&ino).unwrap_or(&none);
        let latest = now.get(&ino).unwrap_or(durable);
        let names = if loss == Loss::Some && rng.random_bool(0.5) { latest } else { durable };
        lost.names += latest.iter().filter(|&(name, entry)| names.get(name) != Some(entry)).count() as u64;
        for (name, entry) in names {
            let target = into.join(name);
            match entry {
                Entry::Dir(_) if [PROVIDER_DIR, WAREHOUSE_DIR].contains(&name.as_str()) => {}
                Entry::Dir(ino) => self.restore(*ino, &target, now, loss, rng, lost)?,
                Entry::File(ino) => {
                    let (copy, live) = (self.dir.join("ino").join(ino.to_string()), self.live(*ino));
                    if copy.exists() {
                        lost.sectors += merge(&live, &copy, loss, rng)?;
                        fs::hard_link(&copy, &target)?;
                    } else {
                        fs::hard_link(&live, &target).with_context(|| format!("{name}: its bytes are gone"))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn scan(folder: &Path, names: &mut Names) -> io::Result<()> {
    let mut here = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (name, ino) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata()?.ino());
        let is_dir = entry.file_type()?.is_dir();
        here.insert(name, if is_dir { Entry::Dir(ino) } else { Entry::File(ino) });
        if is_dir {
            scan(&entry.path(), names)?;
        }
    }
    names.insert(fs::metadata(folder)?.ino(), here);
    Ok(())
}

/// Lets chance decide about every sector of `live` that differs from the durable `copy`; how many were lost.
fn merge(live: &Path, copy: &Path, loss: Loss, rng: &mut StdRng) -> anyhow::Result<u64> {
    let (live, copy) = (File::open(live)?, File::options().read(true).write(true).open(copy)?);
    let (live_len, copy_len) = (live.metadata()?.len(), copy.metadata()?.len());
    let kept = match loss {
        Loss::All => 0.0,
        Loss::Some => [0.0, 0.1, 0.5, 0.9, 1.0][rng.random_range(0..5)],
    };
    let len = if rng.random_bool(kept) { live_len } else { copy_len };
    let mut lost = live_len.abs_diff(len).div_ceil(SECTOR as u64).min(1);
    let (mut was, mut is) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    while let Some(from) = next_data(&live, &copy, at, len) {
        let bytes = PIECE.min(usize::try_from(len - from)?);
        fill(&copy, from, &mut was[..bytes])?;
        fill(&live, from, &mut is[..bytes])?;
        if was[..bytes] != is[..bytes] {
            for (sector, place) in is[..bytes].chunks(SECTOR).zip((0..).step_by(SECTOR)) {
                if sector == &was[place..place + sector.len()] {
                    continue;
                }
                match rng.random_bool(kept) {
                    true => copy.write_all_at(sector, from + place as u64)?,
                    false => lost += 1,
                }
            }
        }
        at = from + bytes as u64;
    }
    copy.set_len(len)?;
    Ok(lost)
}

/// Where from `at` on either file has data before `len`: stores keep large holes.
fn next_data(live: &File, copy: &File, at: u64, len: u64) -> Option<u64> {
    let next = |file: &File| {
        // SAFETY: a plain system call on a descriptor that is open.
        let found = unsafe { libc::lseek(file.as_raw_fd(), at.cast_signed(), libc::SEEK_DATA) };
        u64::try_from(found).ok()
    };
    let from = [next(live), next(copy)].into_iter().flatten().min()?;
    (from < len).then_some(from / SECTOR as u64 * SECTOR as u64)
}

/// Reads what there is; beyond the end is zero.
fn fill(file: &File, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match file.read_at(into, at)? {
            0 => {
                into.fill(0);
                return Ok(());
            }
            bytes => {
                into = &mut into[bytes..];
                at += bytes as u64;
            }
        }
    }
    Ok(())
}
