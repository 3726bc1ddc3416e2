//! What a simulated disk knows: bytes and names as they are read now, and as a crash would leave them.

use super::Fault;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

type Names = BTreeMap<PathBuf, u64>;

/// What a drive writes as one.
const SECTOR: usize = 512;

pub struct State {
    random: u64,
    pub steps: u64,
    pub faults: BTreeMap<u64, Fault>,
    pub off: bool,
    /// Number of the process that uses the disk.
    pub life: u64,
    pub capacity: u64,
    /// What is written to this file comes out wrong, but for its beginning.
    pub garbled: Option<PathBuf>,
    /// Syncs do nothing, and say that they have.
    pub lies: bool,
    pub nodes: BTreeMap<u64, Node>,
    pub names: Names,
    /// Inode to the handle that locked it.
    pub locks: BTreeMap<u64, usize>,
    durable_names: Names,
    /// Changes of names that no directory sync has made durable, in order.
    renames: Vec<NameChange>,
    next_inode: u64,
}

/// A file's bytes.
#[derive(Default)]
pub struct Node {
    pub now: Vec<u8>,
    /// Opened past the page cache: what is read is what is on the disk.
    pub is_direct: bool,
    durable: Vec<u8>,
    unsynced: Vec<Write>,
}

struct Write {
    offset: usize,
    bytes: Vec<u8>,
    /// A sync of it failed: no later one will write it (fsyncgate).
    doomed: bool,
}

struct NameChange {
    dir: PathBuf,
    /// Names that went, and names that came.
    gone: Vec<PathBuf>,
    come: Vec<(PathBuf, u64)>,
}

impl State {
    pub fn new(seed: u64) -> State {
        State {
            random: seed,
            steps: 0,
            faults: BTreeMap::new(),
            off: false,
            life: 0,
            capacity: u64::MAX,
            garbled: None,
            lies: false,
            nodes: BTreeMap::new(),
            names: Names::new(),
            locks: BTreeMap::new(),
            durable_names: Names::new(),
            renames: Vec::new(),
            next_inode: 1,
        }
    }

    pub fn powered(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Does one step, or what its fault makes of it.
    pub fn step<T>(&mut self, change: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.powered()?;
        self.steps += 1;
        match self.faults.remove(&self.steps) {
            None => change(self),
            Some(Fault::Full) => Err(io::ErrorKind::StorageFull.into()),
            Some(fault) => {
                if self.coin() {
                    change(self)?;
                }
                self.off = fault == Fault::PowerCut;
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
        }
    }

    pub fn used(&self) -> u64 {
        self.names.values().map(|inode| self.nodes[inode].now.len() as u64).sum()
    }

    pub fn open_or_create(&mut self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(&inode) => Ok(inode),
            None => self.create(path),
        }
    }

    pub fn create(&mut self, path: &Path) -> io::Result<u64> {
        if self.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, Node::default());
        self.name_change(path, Vec::new(), vec![(path.to_owned(), inode)]);
        Ok(inode)
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = *self.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.name_change(to, vec![from.to_owned()], vec![(to.to_owned(), inode)]);
        Ok(())
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        if !self.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.name_change(path, vec![path.to_owned()], Vec::new());
        Ok(())
    }

    fn name_change(&mut self, path: &Path, gone: Vec<PathBuf>, come: Vec<(PathBuf, u64)>) {
        let change = NameChange { dir: path.parent().unwrap_or(Path::new("/")).to_owned(), gone, come };
        change.apply(&mut self.names);
        self.renames.push(change);
    }

    pub fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::StorageFull)?;
        let end = offset + bytes.len();
        let used = self.used();
        let node = self.nodes.entry(inode).or_default();
        let growth = end.saturating_sub(node.now.len());
        if used + growth as u64 > self.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut bytes = bytes.to_owned();
        let garbled = self.garbled.as_ref().is_some_and(|path| self.names.get(path) == Some(&inode));
        if let Some(byte) = bytes.get_mut(100).filter(|_| garbled && offset > 0) {
            *byte ^= 1;
        }
        put(&mut node.now, offset, &bytes);
        node.unsynced.push(Write { offset, bytes, doomed: false });
        Ok(())
    }

    /// A write of its own, which may fail.
    pub fn write_step(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let done = self.step(|state| state.write(inode, offset, bytes));
        if done.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::StorageFull) {
            self.settle(inode);
        }
        done
    }

    /// After a failure: no cache hides what is on the disk of a file that is read past it.
    fn settle(&mut self, inode: u64) {
        if !self.off && self.nodes.get(&inode).is_some_and(|node| node.is_direct) {
            let node = self.nodes.remove(&inode).unwrap_or_default();
            let node = self.crashed(node);
            self.nodes.insert(inode, node);
        }
    }

    pub fn sync(&mut self, inode: u64) -> io::Result<()> {
        let done = self.step(|state| {
            if state.lies {
                return Ok(());
            }
            let node = state.nodes.entry(inode).or_default();
            let (doomed, synced) = std::mem::take(&mut node.unsynced).into_iter().partition(|write| write.doomed);
            node.unsynced = doomed;
            for write in synced {
                put(&mut node.durable, write.offset, &write.bytes);
            }
            Ok(())
        });
        if done.is_err() {
            self.nodes.entry(inode).or_default().unsynced.iter_mut().for_each(|write| write.doomed = true);
            self.settle(inode);
        }
        done
    }

    pub fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.step(|state| {
            let (synced, rest) = std::mem::take(&mut state.renames).into_iter().partition(|change| change.dir == dir);
            state.renames = rest;
            synced.iter().for_each(|change: &NameChange| change.apply(&mut state.durable_names));
            Ok(())
        })
    }

    pub fn next_life(&mut self) {
        self.life += 1;
        self.locks.clear();
    }

    pub fn restart(&mut self) {
        self.next_life();
        self.off = false;
        self.faults.clear();
        // A file system's own journal keeps the order of names: some first part of the changes is there.
        let kept = self.below(self.renames.len() as u64 + 1) as usize;
        for change in std::mem::take(&mut self.renames).drain(..kept) {
            change.apply(&mut self.durable_names);
        }
        self.names = self.durable_names.clone();
        let named: Vec<u64> = self.names.values().copied().collect();
        self.nodes.retain(|inode, _| named.contains(inode));
        for inode in named {
            let node = self.nodes.remove(&inode).unwrap_or_default();
            let node = self.crashed(node);
            self.nodes.insert(inode, node);
        }
    }

    /// Each sector that was written and not synced is as before or as one of the writes left it. How many survive
    /// differs from crash to crash: none, all, and everything between.
    fn crashed(&mut self, node: Node) -> Node {
        let mut bytes = node.durable;
        let survive = [0, 10, 50, 90, 100][self.below(5) as usize];
        for write in &node.unsynced {
            let mut start = 0;
            while start < write.bytes.len() {
                let end = (start + SECTOR - (write.offset + start) % SECTOR).min(write.bytes.len());
                if self.below(100) < survive {
                    put(&mut bytes, write.offset + start, &write.bytes[start..end]);
                }
                start = end;
            }
        }
        Node { now: bytes.clone(), is_direct: node.is_direct, durable: bytes, unsynced: Vec::new() }
    }

    pub fn damage(&mut self, path: &Path, offset: u64, change: impl FnOnce(&mut [u8])) -> bool {
        let Some(node) = self.names.get(path).and_then(|inode| self.nodes.get_mut(inode)) else { return false };
        let Some(bytes) = usize::try_from(offset).ok().and_then(|offset| node.now.get_mut(offset..)) else {
            return false;
        };
        change(bytes);
        node.durable = node.now.clone();
        node.unsynced.clear();
        true
    }

    /// A file that is there durably.
    pub fn place(&mut self, path: &Path, bytes: &[u8]) {
        let inode = self.next_inode;
        self.next_inode += 1;
        self.nodes.insert(inode, Node { now: bytes.to_owned(), durable: bytes.to_owned(), ..Node::default() });
        self.names.insert(path.to_owned(), inode);
        self.durable_names.insert(path.to_owned(), inode);
    }

    pub fn truncate(&mut self, path: &Path, len: usize) -> bool {
        let Some(node) = self.names.get(path).and_then(|inode| self.nodes.get_mut(inode)) else { return false };
        node.now.truncate(len);
        node.durable = node.now.clone();
        node.unsynced.clear();
        true
    }

    pub fn destroy(&mut self, path: &Path) -> bool {
        self.durable_names.remove(path);
        self.names.remove(path).is_some()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// SplitMix64: small, and the same for ever.
    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

impl NameChange {
    fn apply(&self, names: &mut Names) {
        for gone in &self.gone {
            names.remove(gone);
        }
        for (name, inode) in &self.come {
            names.insert(name.clone(), *inode);
        }
    }
}

fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if into.len() < offset + bytes.len() {
        into.resize(offset + bytes.len(), 0);
    }
    into[offset..offset + bytes.len()].copy_from_slice(bytes);
}
