//! What connections of one process hold of a file: its locks, and the memory that they share
//! beside a write-ahead log. Semantics as <https://www.sqlite.org/c3ref/io_methods.html> has them.

use std::sync::atomic::AtomicU64;

use rusqlite::ffi;

/// A refusal, as SQLite's result code.
pub(crate) type Code = std::ffi::c_int;

const SHM_LOCKS: usize = 8;

/// The locks of one file, and its shared memory.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    shared: usize,
    is_reserved: bool,
    is_pending: bool,
    is_exclusive: bool,
    memory: Memory,
}

/// What one connection holds of it.
#[derive(Debug, Default)]
pub(crate) struct Held {
    level: Code,
    is_mapped: bool,
    shm_shared: [bool; SHM_LOCKS],
    shm_exclusive: [bool; SHM_LOCKS],
}

#[derive(Debug, Default)]
struct Memory {
    /// Stay where they are until nobody has them mapped.
    regions: Vec<Box<[AtomicU64]>>,
    mapped: usize,
    shared: [usize; SHM_LOCKS],
    is_exclusive: [bool; SHM_LOCKS],
}

impl Locks {
    pub(crate) fn lock(&mut self, held: &mut Held, wanted: Code) -> Result<(), Code> {
        if held.level >= wanted {
            return Ok(());
        }
        match wanted {
            ffi::SQLITE_LOCK_SHARED => {
                free(!self.is_pending && !self.is_exclusive)?;
                self.shared += 1;
            }
            ffi::SQLITE_LOCK_RESERVED => {
                free(!self.is_reserved && !self.is_pending)?;
                self.is_reserved = true;
            }
            _ => {
                if held.level < ffi::SQLITE_LOCK_PENDING {
                    let is_mine = held.level == ffi::SQLITE_LOCK_RESERVED;
                    free(!self.is_pending && (is_mine || !self.is_reserved))?;
                    self.is_reserved = true;
                    self.is_pending = true;
                    held.level = ffi::SQLITE_LOCK_PENDING;
                }
                free(self.shared == 1)?;
                self.is_exclusive = true;
            }
        }
        held.level = wanted;
        Ok(())
    }

    pub(crate) fn unlock(&mut self, held: &mut Held, to: Code) {
        if held.level > ffi::SQLITE_LOCK_SHARED && to <= ffi::SQLITE_LOCK_SHARED {
            self.is_reserved = false;
            self.is_pending = false;
            self.is_exclusive = false;
        }
        if held.level >= ffi::SQLITE_LOCK_SHARED && to == ffi::SQLITE_LOCK_NONE {
            self.shared -= 1;
        }
        held.level = held.level.min(to);
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.is_reserved
    }

    /// A region of shared memory, zeroed when it is new; `None` when it is not there and must
    /// not be made.
    pub(crate) fn map(
        &mut self,
        held: &mut Held,
        region: usize,
        bytes: usize,
        may_make: bool,
    ) -> Option<*const AtomicU64> {
        if !held.is_mapped {
            held.is_mapped = true;
            self.memory.mapped += 1;
        }
        let regions = &mut self.memory.regions;
        while may_make && regions.len() <= region {
            regions.push((0..bytes / size_of::<AtomicU64>()).map(|_| AtomicU64::new(0)).collect());
        }
        regions.get(region).map(|region| region.as_ptr())
    }

    pub(crate) fn unmap(&mut self, held: &mut Held, is_last_use: bool) {
        self.unlock_shm(held, 0..SHM_LOCKS);
        if std::mem::take(&mut held.is_mapped) {
            self.memory.mapped -= 1;
        }
        if is_last_use && self.memory.mapped == 0 {
            self.memory.regions.clear();
        }
    }

    pub(crate) fn lock_shm(
        &mut self,
        held: &mut Held,
        places: std::ops::Range<usize>,
        is_exclusive: bool,
    ) -> Result<(), Code> {
        let memory = &mut self.memory;
        for place in places.clone() {
            let mine = usize::from(held.shm_shared[place]);
            let is_free = !memory.is_exclusive[place] || held.shm_exclusive[place];
            free(is_free && (!is_exclusive || memory.shared[place] == mine))?;
        }
        for place in places {
            if is_exclusive {
                memory.is_exclusive[place] = true;
                held.shm_exclusive[place] = true;
            } else if !held.shm_shared[place] {
                memory.shared[place] += 1;
                held.shm_shared[place] = true;
            }
        }
        Ok(())
    }

    pub(crate) fn unlock_shm(&mut self, held: &mut Held, places: std::ops::Range<usize>) {
        for place in places {
            if std::mem::take(&mut held.shm_exclusive[place]) {
                self.memory.is_exclusive[place] = false;
            }
            if std::mem::take(&mut held.shm_shared[place]) {
                self.memory.shared[place] -= 1;
            }
        }
    }
}

fn free(is_free: bool) -> Result<(), Code> {
    if is_free { Ok(()) } else { Err(ffi::SQLITE_BUSY) }
}
