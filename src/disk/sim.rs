//! A disk in memory that does what disks do: loses, tears and reorders what was not synced, fails on demand, and all of
//! it the same way again from the same seed.
//!
//! Every call that changes something is one numbered step. A test runs a piece of work once to count its steps, then again
//! with a fault at each of them. After a crash nothing works until [`SimDisk::restart`].

use super::{Access, Disk, File};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod state;

use state::State;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`: the step may have happened, partly or wholly. What a failed sync was to make durable never will be by a
    /// later one.
    Broken,
    /// `ENOSPC`: the step did not happen.
    Full,
    /// The power goes: the step may have happened, and nothing works after it.
    PowerCut,
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk without limits.
    #[must_use]
    pub fn new(seed: u64) -> SimDisk {
        SimDisk { state: Arc::new(Mutex::new(State::new(seed))) }
    }

    /// A disk that holds these files.
    #[must_use]
    pub fn with_contents(seed: u64, contents: &BTreeMap<PathBuf, Vec<u8>>) -> SimDisk {
        let mut state = State::new(seed);
        contents.iter().for_each(|(path, bytes)| state.place(path, bytes));
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.state.lock().steps
    }

    /// Lets step number `step` (the first is 1) go wrong.
    pub fn fail_at(&self, step: u64, fault: Fault) {
        self.state.lock().faults.insert(step, fault);
    }

    /// Takes back what [`SimDisk::fail_at`] planned.
    pub fn heal(&self) {
        self.state.lock().faults.clear();
    }

    /// Bytes that fit, all files together.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// From now on what is written to this file comes out wrong, and nobody says so; `None`: no more.
    pub fn garble(&self, path: Option<&Path>) {
        self.state.lock().garbled = path.map(Path::to_owned);
    }

    /// From now on syncs say that they are done, and do nothing: a disk on which nothing can be safe. For a test of tests.
    pub fn lie(&self) {
        self.state.lock().lies = true;
    }

    /// Bytes in all files together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.state.lock().used()
    }

    /// The power goes now.
    pub fn power_cut(&self) {
        self.state.lock().off = true;
    }

    /// Has the power gone?
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state.lock().off
    }

    /// The machine starts again: what was not synced is there, torn or gone, file by file, sector by sector. Files that
    /// were open fail from now on, and their locks are free.
    pub fn restart(&self) {
        self.state.lock().restart();
    }

    /// The process died, the machine did not: nothing is lost, files that were open fail, their locks are free.
    pub fn kill(&self) {
        self.state.lock().next_life();
    }

    /// Changes bytes behind everybody's back, durably. False: there is no such file, or it is too short.
    pub fn damage(&self, path: &Path, offset: u64, change: impl FnOnce(&mut [u8])) -> bool {
        self.state.lock().damage(path, offset, change)
    }

    /// Cuts a file short behind everybody's back, durably.
    pub fn truncate(&self, path: &Path, len: usize) -> bool {
        self.state.lock().truncate(path, len)
    }

    /// Every file by name, with its bytes as they are read now.
    #[must_use]
    pub fn contents(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.state.lock();
        state.names.iter().map(|(path, inode)| (path.clone(), state.nodes[inode].now.clone())).collect()
    }

    /// Removes a file behind everybody's back, durably.
    pub fn destroy(&self, path: &Path) -> bool {
        self.state.lock().destroy(path)
    }

    /// The bytes of a file as they are read now.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.names.get(path).map(|inode| state.nodes[inode].now.clone())
    }
}

impl Disk for SimDisk {
    fn refuse_network(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        self.state.lock().step(|_| Ok(()))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut state = self.state.lock();
        let inode = state.step(|state| state.create(path))?;
        Ok(Box::new(SimFile { disk: self.clone(), inode, life: state.life }))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn File>> {
        let mut state = self.state.lock();
        state.powered()?;
        let inode = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        state.nodes.entry(inode).or_default().is_direct = access == Access::Direct;
        Ok(Box::new(SimFile { disk: self.clone(), inode, life: state.life }))
    }

    fn preallocate(&self, path: &Path, len: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        let inode = state.step(|state| state.open_or_create(path))?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
        state.step(|state| state.write(inode, 0, &vec![0; len]))?;
        state.sync(inode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state.lock().step(|state| state.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.lock().step(|state| state.remove(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        state.powered()?;
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside.filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.state.lock().sync_dir(dir)
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        state.powered()?;
        Ok(*state.names.get(path).ok_or(io::ErrorKind::NotFound)?)
    }

    fn free_space(&self, _: &Path) -> io::Result<u64> {
        let state = self.state.lock();
        state.powered()?;
        Ok(state.capacity.saturating_sub(state.used()))
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
    /// Of which process it is: dead ones' files do not work.
    life: u64,
}

impl SimFile {
    fn alive(&self) -> io::Result<parking_lot::MutexGuard<'_, State>> {
        let state = self.disk.state.lock();
        state.powered()?;
        if state.life == self.life { Ok(state) } else { Err(io::Error::other("a file of a process that is gone")) }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state.lock();
        if state.locks.get(&self.inode) == Some(&(std::ptr::from_ref(self) as usize)) {
            state.locks.remove(&self.inode);
        }
    }
}

impl File for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.alive()?.write_step(self.inode, offset, bytes)
    }

    fn write_synced(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.alive()?;
        state.write_step(self.inode, offset, bytes)?;
        state.sync(self.inode)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let state = self.alive()?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let bytes = state.nodes[&self.inode].now.get(start..start + into.len());
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.alive()?.sync(self.inode)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.nodes[&self.inode].now.len() as u64)
    }

    fn inode(&self) -> io::Result<u64> {
        self.alive().map(|_| self.inode)
    }

    fn try_lock(&self) -> io::Result<bool> {
        let mut state = self.alive()?;
        let me = std::ptr::from_ref(self) as usize;
        Ok(*state.locks.entry(self.inode).or_insert(me) == me)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail by panicking
    use super::*;
    use std::collections::BTreeSet;

    fn disk_with(path: &Path, bytes: &[u8], seed: u64) -> (SimDisk, Box<dyn File>) {
        let disk = SimDisk::new(seed);
        let file = disk.create(path).unwrap();
        file.write_at(0, bytes).unwrap();
        file.sync().unwrap();
        disk.sync_dir(path.parent().unwrap()).unwrap();
        (disk, file)
    }

    #[test]
    fn what_was_synced_survives_and_the_rest_is_torn_by_sectors() {
        let path = Path::new("/a");
        let mut outcomes = BTreeSet::new();
        for seed in 0..64 {
            let (disk, file) = disk_with(path, &[1; 1024], seed);
            file.write_at(0, &[2; 1024]).unwrap();
            disk.power_cut();
            assert!(file.read_at(0, &mut [0]).is_err());
            disk.restart();
            assert!(file.read_at(0, &mut [0]).is_err(), "a file of the life before");
            let bytes = disk.bytes(path).unwrap();
            assert!(bytes.chunks(512).all(|sector| sector.iter().all(|&byte| byte == sector[0])));
            outcomes.insert((bytes[0], bytes[512]));
        }
        assert_eq!(outcomes.len(), 4, "each sector is old or new, on its own: {outcomes:?}");
    }

    #[test]
    fn a_name_that_was_not_synced_may_be_gone() {
        let gone = (0..64).filter(|&seed| {
            let (disk, _) = disk_with(Path::new("/a"), b"x", seed);
            disk.rename(Path::new("/a"), Path::new("/b")).unwrap();
            disk.power_cut();
            disk.restart();
            assert!(disk.bytes(Path::new("/a")).is_some() != disk.bytes(Path::new("/b")).is_some());
            disk.bytes(Path::new("/b")).is_none()
        });
        assert!((1..64).contains(&gone.count()));
    }

    #[test]
    fn what_a_failed_sync_left_is_not_made_durable_by_the_next() {
        let lost = (0..64).filter(|&seed| {
            let (disk, file) = disk_with(Path::new("/a"), &[1; 512], seed);
            file.write_at(0, &[2; 512]).unwrap();
            disk.fail_at(disk.steps() + 1, Fault::Broken);
            assert!(file.sync().is_err());
            file.sync().unwrap();
            disk.power_cut();
            disk.restart();
            disk.bytes(Path::new("/a")).unwrap()[0] == 1
        });
        assert!((1..64).contains(&lost.count()));
    }

    #[test]
    fn past_the_page_cache_a_failed_write_is_read_as_it_is_on_the_disk() {
        let mut outcomes = BTreeSet::new();
        for seed in 0..64 {
            let (disk, _) = disk_with(Path::new("/a"), &[1; 1024], seed);
            let file = disk.open(Path::new("/a"), Access::Direct).unwrap();
            disk.fail_at(disk.steps() + 2, Fault::Broken);
            assert!(file.write_synced(0, &[2; 1024]).is_err());
            let read = disk.bytes(Path::new("/a")).unwrap();
            disk.power_cut();
            disk.restart();
            assert_eq!(disk.bytes(Path::new("/a")).unwrap(), read, "nothing of it was in a cache");
            outcomes.insert((read[0], read[512]));
        }
        assert_eq!(outcomes.len(), 4, "each sector is old or new, on its own: {outcomes:?}");
    }

    #[test]
    fn a_disk_that_lies_keeps_nothing_for_certain() {
        let lost = (0..64).filter(|&seed| {
            let (disk, file) = disk_with(Path::new("/a"), &[1; 512], seed);
            disk.lie();
            file.write_synced(0, &[2; 512]).unwrap();
            disk.power_cut();
            disk.restart();
            disk.bytes(Path::new("/a")).unwrap()[0] == 1
        });
        assert!((1..64).contains(&lost.count()));
    }

    #[test]
    fn a_full_disk_refuses_and_the_lock_goes_with_the_process() {
        let (disk, file) = disk_with(Path::new("/a"), &[1; 512], 1);
        disk.set_capacity(1024);
        assert_eq!(file.write_at(512, &[0; 1024]).map_err(|e| e.kind()), Err(io::ErrorKind::StorageFull));
        assert!(file.try_lock().unwrap());
        let other = disk.open(Path::new("/a"), Access::Buffered).unwrap();
        assert!(!other.try_lock().unwrap());
        disk.kill();
        let next = disk.open(Path::new("/a"), Access::Buffered).unwrap();
        assert!(next.try_lock().unwrap());
    }
}
