//! A machine whose power can be cut: its disk, and what goes wrong with it.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::dice::Dice;
use crate::disk::{Disk, FileId};
use crate::locks::{Code, Held, Locks};

/// A machine from when its power came on until it goes. Then everything that runs on it fails, and
/// [`Machine::after_cut`] is the next one, with what is left on the disk.
#[derive(Debug, Default)]
pub struct Machine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    disk: Disk,
    is_off: bool,
    /// Writes, syncs and the like until the power goes.
    until_cut: Option<usize>,
    faults: Faults,
    locks: BTreeMap<FileId, Locks>,
}

/// What a file is to SQLite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Database,
    /// The write-ahead log.
    Log,
    /// A rollback journal: written while a new file turns to a write-ahead log.
    Journal,
}

/// What goes wrong, as long as it is set.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Files of these kinds are said to be synced and are not.
    pub unsynced: Vec<Kind>,
    /// The sync after so many fails; and what could not be written counts as written, as on Linux.
    pub sync_fails_after: Option<usize>,
    /// Files can't grow over so many bytes together.
    pub room_bytes: Option<usize>,
    /// Reads after so many fail.
    pub read_fails_after: Option<usize>,
    /// Every read gives less than was asked for.
    pub reads_fall_short: bool,
}

/// An open file.
#[derive(Debug)]
pub(crate) struct Handle {
    machine: Arc<Machine>,
    file: FileId,
    kind: Kind,
    /// Like SQLite on Unix: with a new journal or log its folder is synced too, the first time.
    syncs_names: bool,
    held: Held,
}

impl Machine {
    /// With an empty disk.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Lets the power go in the middle of an operation that changes the disk: the one after
    /// `operations` more.
    pub fn cut_after(&self, operations: usize) {
        self.state().until_cut = Some(operations);
    }

    /// Cuts the power now.
    pub fn cut(&self) {
        self.state().is_off = true;
    }

    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    pub fn used_bytes(&self) -> usize {
        self.state().disk.used_bytes()
    }

    /// The machine that comes up after the power went. `seed` decides what is left.
    pub fn after_cut(&self, seed: u64) -> Arc<Self> {
        let mut state = self.state();
        state.is_off = true;
        let disk = state.disk.after_cut(&mut Dice::new(seed));
        Arc::new(Self { state: Mutex::new(State { disk, ..State::default() }) })
    }

    pub(crate) fn open(
        self: &Arc<Self>,
        name: &str,
        kind: Kind,
        may_make: bool,
    ) -> Result<Handle, Code> {
        let mut state = self.state();
        state.is_on()?;
        let mut syncs_names = false;
        let file = match state.disk.named(name) {
            Some(file) => file,
            None if may_make => {
                let file = state.disk.make(name);
                syncs_names = kind != Kind::Database;
                state.stays_on()?;
                file
            }
            None => return Err(ffi::SQLITE_CANTOPEN),
        };
        let held = Held::default();
        Ok(Handle { machine: Arc::clone(self), file, kind, syncs_names, held })
    }

    pub(crate) fn remove(&self, name: &str, syncs_names: bool) -> Result<(), Code> {
        let mut state = self.state();
        state.is_on()?;
        if !state.disk.remove(name) {
            return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        state.stays_on()?;
        if syncs_names {
            state.stays_on()?;
            state.disk.sync_names();
        }
        Ok(())
    }

    /// Whether there is such a file with anything in it, as SQLite asks on Unix.
    pub(crate) fn has(&self, name: &str) -> Result<bool, Code> {
        let state = self.state();
        state.is_on()?;
        Ok(state.disk.named(name).is_some_and(|file| state.disk.len(file) > 0))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_on(&self) -> Result<(), Code> {
        if self.is_off { Err(ffi::SQLITE_IOERR) } else { Ok(()) }
    }

    /// Counts an operation; in the middle of the last one the power goes.
    fn stays_on(&mut self) -> Result<(), Code> {
        match &mut self.until_cut {
            Some(0) => self.is_off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.is_on()
    }

    fn has_room(&self, file: FileId, upto: usize) -> bool {
        let grown = upto.saturating_sub(self.disk.len(file));
        let used = self.disk.used_bytes() + grown;
        grown == 0 || self.faults.room_bytes.is_none_or(|room| used <= room)
    }
}

impl Handle {
    pub(crate) fn read(&self, at: usize, into: &mut [u8]) -> Result<(), Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        if count_down(&mut state.faults.read_fails_after) {
            return Err(ffi::SQLITE_IOERR_READ);
        }
        let mut count = state.disk.read(self.file, at, into);
        if state.faults.reads_fall_short {
            count /= 2;
        }
        if count == into.len() {
            return Ok(());
        }
        into[count..].fill(0);
        Err(ffi::SQLITE_IOERR_SHORT_READ)
    }

    pub(crate) fn write(&self, at: usize, bytes: &[u8]) -> Result<(), Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        if !state.has_room(self.file, at + bytes.len()) {
            return Err(ffi::SQLITE_FULL);
        }
        state.disk.write(self.file, at, bytes);
        state.stays_on()
    }

    pub(crate) fn resize(&self, len: usize) -> Result<(), Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        state.disk.resize(self.file, len);
        state.stays_on()
    }

    pub(crate) fn sync(&mut self) -> Result<(), Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        state.stays_on()?;
        if state.faults.unsynced.contains(&self.kind) {
            return Ok(());
        }
        if count_down(&mut state.faults.sync_fails_after) {
            state.faults.sync_fails_after = None;
            state.disk.forget_unsynced(self.file);
            return Err(ffi::SQLITE_IOERR_FSYNC);
        }
        state.disk.sync(self.file);
        if std::mem::take(&mut self.syncs_names) {
            state.stays_on()?;
            state.disk.sync_names();
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> Result<usize, Code> {
        let state = self.machine.state();
        state.is_on()?;
        Ok(state.disk.len(self.file))
    }

    pub(crate) fn lock(&mut self, level: Code) -> Result<(), Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        state.locks.entry(self.file).or_default().lock(&mut self.held, level)
    }

    pub(crate) fn unlock(&mut self, to: Code) {
        let mut state = self.machine.state();
        state.locks.entry(self.file).or_default().unlock(&mut self.held, to);
    }

    pub(crate) fn is_reserved(&self) -> bool {
        let state = self.machine.state();
        state.locks.get(&self.file).is_some_and(Locks::is_reserved)
    }

    pub(crate) fn map(
        &mut self,
        region: usize,
        bytes: usize,
        may_make: bool,
    ) -> Result<Option<*const AtomicU64>, Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        let locks = state.locks.entry(self.file).or_default();
        Ok(locks.map(&mut self.held, region, bytes, may_make))
    }

    pub(crate) fn unmap(&mut self, is_last_use: bool) {
        let mut state = self.machine.state();
        state.locks.entry(self.file).or_default().unmap(&mut self.held, is_last_use);
    }

    pub(crate) fn lock_shm(
        &mut self,
        places: std::ops::Range<usize>,
        is_exclusive: bool,
    ) -> Result<(), Code> {
        let mut state = self.machine.state();
        state.is_on()?;
        state.locks.entry(self.file).or_default().lock_shm(&mut self.held, places, is_exclusive)
    }

    pub(crate) fn unlock_shm(&mut self, places: std::ops::Range<usize>) {
        let mut state = self.machine.state();
        state.locks.entry(self.file).or_default().unlock_shm(&mut self.held, places);
    }
}

/// Whether what is counted down has come to its end; it stays there.
fn count_down(left: &mut Option<usize>) -> bool {
    match left {
        Some(0) => true,
        Some(left) => {
            *left -= 1;
            false
        }
        None => false,
    }
}
