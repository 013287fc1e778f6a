//! SQLite's way to a [`Machine`]: a file system of its own kind that is the default one.
//!
//! Files in a mounted folder are the machine's; every other goes to the file system that was the
//! default before. So the real store runs on it and knows nothing. Invariants that the `unsafe`
//! blocks rest on: SQLite calls a file's functions only between a successful `xOpen` and `xClose`,
//! one at a time for each file, with the pointers and lengths that its documentation promises; and
//! both file systems live as long as the process.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_vfs};

use crate::locks::Code;
use crate::machine::{Handle, Kind, Machine};

static MOUNTED: Mutex<BTreeMap<PathBuf, Arc<Machine>>> = Mutex::new(BTreeMap::new());
/// The file system that was the default, as an address: pointers are not `Sync`.
static BENEATH: OnceLock<usize> = OnceLock::new();

/// Puts a machine's disk in the place of a folder, which must be named as the store will name it.
/// Whoever has files of the machine before it open keeps to that one.
pub fn mount(folder: &Path, machine: &Arc<Machine>) {
    BENEATH.get_or_init(register);
    let mut mounted = MOUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    mounted.insert(folder.to_owned(), Arc::clone(machine));
}

fn register() -> usize {
    // SAFETY: both functions may be called at any time; NULL asks for the default file system,
    // which there is on every platform that this is built for. It is never unregistered, and
    // neither is ours, which is leaked.
    unsafe {
        let beneath = ffi::sqlite3_vfs_find(std::ptr::null());
        let ours = sqlite3_vfs {
            zName: c"postrider-power".as_ptr(),
            pNext: std::ptr::null_mut(),
            szOsFile: (*beneath).szOsFile.max(size_of_c_int::<File>()),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            // the rest has to do with time, chance and libraries, and takes no file; it finds
            // what it needs beside its functions, in what is copied here
            ..*beneath
        };
        let code = ffi::sqlite3_vfs_register(Box::into_raw(Box::new(ours)), 1);
        assert_eq!(code, ffi::SQLITE_OK, "the file system can't be registered");
        beneath as usize
    }
}

fn size_of_c_int<T>() -> c_int {
    c_int::try_from(size_of::<T>()).expect("a small size")
}

fn beneath() -> *mut sqlite3_vfs {
    *BENEATH.get().expect("set before ours is registered") as *mut sqlite3_vfs
}

/// A file as SQLite holds it: its functions first.
#[repr(C)]
struct File {
    base: sqlite3_file,
    handle: *mut Handle,
}

static FUNCTIONS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // 2: with shared memory, without mapped files
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The machine that a path leads to, and the file's name on it.
///
/// # Safety
/// `name` is NULL or a C string.
unsafe fn found(name: *const c_char) -> Option<(Arc<Machine>, String)> {
    if name.is_null() {
        return None;
    }
    // SAFETY: it is a C string, which lives for the call
    let path = Path::new(unsafe { CStr::from_ptr(name) }.to_str().ok()?);
    let mounted = MOUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let machine = mounted.get(path.parent()?)?;
    Some((Arc::clone(machine), path.file_name()?.to_str()?.to_owned()))
}

fn code(done: Result<(), Code>) -> c_int {
    done.err().unwrap_or(ffi::SQLITE_OK)
}

fn size(given: i64) -> usize {
    usize::try_from(given).expect("sizes and places are not negative")
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives NULL or a C string
    let Some((machine, name)) = (unsafe { found(name) }) else {
        // SAFETY: the same arguments as ours; `file` has room for the files of both
        return unsafe {
            (*beneath()).xOpen.expect("every file system opens files")(
                beneath(),
                name,
                file,
                flags,
                out_flags,
            )
        };
    };
    let kind = if flags & ffi::SQLITE_OPEN_WAL != 0 {
        Kind::Log
    } else if flags & ffi::SQLITE_OPEN_MAIN_JOURNAL != 0 {
        Kind::Journal
    } else {
        Kind::Database
    };
    let opened = machine.open(&name, kind, flags & ffi::SQLITE_OPEN_CREATE != 0);
    // SAFETY: `file` points to room for a `File`, which SQLite asked us the size of; after a
    // failure its functions must be NULL. `out_flags` is NULL or a place to write to.
    unsafe {
        let file = file.cast::<File>();
        match opened {
            Ok(handle) => {
                (*file).handle = Box::into_raw(Box::new(handle));
                (*file).base.pMethods = &raw const FUNCTIONS;
                if let Some(out_flags) = out_flags.as_mut() {
                    *out_flags = flags;
                }
                ffi::SQLITE_OK
            }
            Err(code) => {
                (*file).base.pMethods = std::ptr::null();
                code
            }
        }
    }
}

unsafe extern "C" fn delete(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    syncs_folder: c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string
    match unsafe { found(name) } {
        Some((machine, name)) => code(machine.remove(&name, syncs_folder != 0)),
        // SAFETY: the same arguments as ours
        None => unsafe {
            (*beneath()).xDelete.expect("every file system deletes files")(
                beneath(),
                name,
                syncs_folder,
            )
        },
    }
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string
    let Some((machine, name)) = (unsafe { found(name) }) else {
        // SAFETY: the same arguments as ours
        return unsafe {
            (*beneath()).xAccess.expect("every file system finds files")(
                beneath(),
                name,
                flags,
                result,
            )
        };
    };
    let has = machine.has(&name);
    // SAFETY: SQLite gives a place for the answer
    unsafe { *result = c_int::from(has == Ok(true)) };
    code(has.map(drop))
}

unsafe extern "C" fn full_path(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    into: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a C string
    if unsafe { found(name) }.is_none() {
        // SAFETY: the same arguments as ours
        return unsafe {
            (*beneath()).xFullPathname.expect("every file system names files")(
                beneath(),
                name,
                room,
                into,
            )
        };
    }
    // SAFETY: `name` is a C string, and `into` has `room` bytes, which are enough for it
    unsafe {
        let bytes = CStr::from_ptr(name).to_bytes_with_nul();
        if bytes.len() > size(room.into()) {
            return ffi::SQLITE_CANTOPEN;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), into, bytes.len());
    }
    ffi::SQLITE_OK
}

/// The handle of an open file.
///
/// # Safety
/// `file` was opened by [`open`] and not closed, and nobody else uses it meanwhile.
unsafe fn handle<'a>(file: *mut sqlite3_file) -> &'a mut Handle {
    // SAFETY: `open` put a box there, which only `close` takes away
    unsafe { &mut *(*file.cast::<File>()).handle }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: as for `handle`; SQLite closes once and then no longer knows the file
    let mut handle = unsafe { Box::from_raw((*file.cast::<File>()).handle) };
    handle.unlock(ffi::SQLITE_LOCK_NONE);
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    into: *mut c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see the module's text; `into` has room for so many bytes, which SQLite has
    // allocated and which any value fits
    let (handle, into) = unsafe {
        (handle(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), size(bytes.into())))
    };
    code(handle.read(size(at), into))
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    bytes: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: see the module's text; `from` has so many bytes
    let (handle, from) = unsafe {
        (handle(file), std::slice::from_raw_parts(from.cast::<u8>(), size(bytes.into())))
    };
    code(handle.write(size(at), from))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    // SAFETY: see the module's text
    code(unsafe { handle(file) }.resize(size(len)))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see the module's text
    code(unsafe { handle(file) }.sync())
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, into: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: see the module's text
    match unsafe { handle(file) }.len() {
        Ok(len) => {
            // SAFETY: SQLite gives a place for the answer
            unsafe { *into = i64::try_from(len).expect("a file in memory") };
            ffi::SQLITE_OK
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see the module's text
    code(unsafe { handle(file) }.lock(level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    // SAFETY: see the module's text
    unsafe { handle(file) }.unlock(level);
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, into: *mut c_int) -> c_int {
    // SAFETY: see the module's text; SQLite gives a place for the answer
    unsafe { *into = c_int::from(handle(file).is_reserved()) };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut sqlite3_file) -> c_int {
    4096
}

unsafe extern "C" fn device_characteristics(_: *mut sqlite3_file) -> c_int {
    // as SQLite says of every disk on Unix
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    region: c_int,
    bytes: c_int,
    may_make: c_int,
    into: *mut *mut c_void,
) -> c_int {
    // SAFETY: see the module's text
    let handle = unsafe { handle(file) };
    let mapped = handle.map(size(region.into()), size(bytes.into()), may_make != 0);
    let (region, code) = match mapped {
        Ok(region) => (region.unwrap_or(std::ptr::null()), ffi::SQLITE_OK),
        Err(code) => (std::ptr::null(), code),
    };
    // SAFETY: SQLite gives a place for the answer. It may write to the region, which is made of
    // atomics, and holds no pointer to it after it has unmapped it.
    unsafe { *into = region.cast_mut().cast() };
    code
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: see the module's text
    let handle = unsafe { handle(file) };
    let places = size(first.into())..size((first + count).into());
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        handle.unlock_shm(places);
        return ffi::SQLITE_OK;
    }
    code(handle.lock_shm(places, flags & ffi::SQLITE_SHM_EXCLUSIVE != 0))
}

unsafe extern "C" fn shm_barrier(_: *mut sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, is_last_use: c_int) -> c_int {
    // SAFETY: see the module's text
    unsafe { handle(file) }.unmap(is_last_use != 0);
    ffi::SQLITE_OK
}
