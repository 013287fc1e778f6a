//! What is on a disk, what only seems to be, and what is left of that when the power goes.
//!
//! Pessimistic: whatever was not synced may be there or not, sector by sector and byte by byte, in
//! no order. A file's name lives apart from its content, and is durable once its folder is synced.
//! But a write touches no byte outside its range, which SQLite takes for granted on Linux too.

use std::collections::BTreeMap;

use crate::dice::Dice;

/// Names a file's content, whatever it is called.
pub(crate) type FileId = usize;

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<FileId, File>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    unsynced_names: Vec<Naming>,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// What a process reads.
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// What leads from `durable` to `seen`, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Resize { len: usize },
}

#[derive(Clone, Debug)]
enum Naming {
    Made { name: String, file: FileId },
    Removed { name: String },
}

impl Disk {
    pub(crate) fn named(&self, name: &str) -> Option<FileId> {
        self.names.get(name).copied()
    }

    pub(crate) fn make(&mut self, name: &str) -> FileId {
        let file = self.files.keys().next_back().map_or(0, |last| last + 1);
        self.files.insert(file, File::default());
        self.names.insert(name.to_owned(), file);
        self.unsynced_names.push(Naming::Made { name: name.to_owned(), file });
        file
    }

    /// Takes a name away; who has the file open goes on with it.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        let was_there = self.names.remove(name).is_some();
        if was_there {
            self.unsynced_names.push(Naming::Removed { name: name.to_owned() });
        }
        was_there
    }

    pub(crate) fn len(&self, file: FileId) -> usize {
        self.files.get(&file).map_or(0, |file| file.seen.len())
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.names.values().map(|&file| self.len(file)).sum()
    }

    /// Fills `into` from `at` on as far as the file goes; says how far that was.
    pub(crate) fn read(&self, file: FileId, at: usize, into: &mut [u8]) -> usize {
        let seen = self.files.get(&file).and_then(|file| file.seen.get(at..)).unwrap_or_default();
        let count = seen.len().min(into.len());
        into[..count].copy_from_slice(&seen[..count]);
        count
    }

    pub(crate) fn write(&mut self, file: FileId, at: usize, bytes: &[u8]) {
        self.change(file, Change::Write { at, bytes: bytes.to_vec() });
    }

    pub(crate) fn resize(&mut self, file: FileId, len: usize) {
        self.change(file, Change::Resize { len });
    }

    fn change(&mut self, file: FileId, change: Change) {
        let file = self.files.entry(file).or_default();
        change.apply(&mut file.seen);
        file.unsynced.push(change);
    }

    pub(crate) fn sync(&mut self, file: FileId) {
        let file = self.files.entry(file).or_default();
        for change in file.unsynced.drain(..) {
            change.apply(&mut file.durable);
        }
    }

    /// What a failed sync does on Linux: what could not be written counts as written from then on.
    pub(crate) fn forget_unsynced(&mut self, file: FileId) {
        self.files.entry(file).or_default().unsynced.clear();
    }

    pub(crate) fn sync_names(&mut self) {
        for naming in self.unsynced_names.drain(..) {
            naming.apply(&mut self.durable_names);
        }
    }

    /// What is left when the power goes now.
    pub(crate) fn after_cut(&self, dice: &mut Dice) -> Self {
        let names = self.names_left(dice);
        let loss = Loss::any(dice);
        let left = |file: &FileId| {
            let content = self.files.get(file)?.left(&loss, dice);
            Some((*file, File { seen: content.clone(), durable: content, unsynced: Vec::new() }))
        };
        let files = names.values().filter_map(left).collect();
        Self { files, durable_names: names.clone(), names, unsynced_names: Vec::new() }
    }

    fn names_left(&self, dice: &mut Dice) -> BTreeMap<String, FileId> {
        let mut names = self.durable_names.clone();
        let kept_percent = dice.pick(&[0, 50, 100]);
        for naming in &self.unsynced_names {
            if dice.percent(kept_percent) {
                naming.apply(&mut names);
            }
        }
        names
    }
}

impl File {
    fn left(&self, loss: &Loss, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.durable.clone();
        let reached = match loss.order {
            Order::None => self.unsynced.len(),
            Order::UpTo => dice.below(self.unsynced.len() + 1),
        };
        for change in &self.unsynced[..reached] {
            match change {
                Change::Write { at, bytes } => loss.write(&mut content, *at, bytes, dice),
                Change::Resize { .. } if dice.percent(loss.kept_percent) => {
                    change.apply(&mut content);
                }
                Change::Resize { .. } => {}
            }
        }
        content
    }
}

/// How much is lost in one cut.
struct Loss {
    order: Order,
    kept_percent: usize,
    sector_bytes: usize,
    /// What stands where a file has grown but what should be there is lost.
    unwritten: u8,
}

/// Whether what comes after something lost can be there.
#[derive(Clone, Copy)]
enum Order {
    None,
    UpTo,
}

impl Loss {
    fn any(dice: &mut Dice) -> Self {
        Self {
            order: dice.pick(&[Order::None, Order::None, Order::UpTo]),
            kept_percent: dice.pick(&[0, 10, 50, 90, 100]),
            sector_bytes: dice.pick(&[512, 4096]),
            unwritten: dice.pick(&[0, 0, 0x5a]),
        }
    }

    fn write(&self, content: &mut Vec<u8>, at: usize, bytes: &[u8], dice: &mut Dice) {
        let mut from = 0;
        while from < bytes.len() {
            let sector_end = ((at + from) / self.sector_bytes + 1) * self.sector_bytes;
            let upto = bytes.len().min(sector_end - at);
            if dice.percent(self.kept_percent) {
                let (from, upto) = torn(from, upto, dice);
                if content.len() < at + from {
                    content.resize(at + from, self.unwritten);
                }
                put(content, at + from, &bytes[from..upto]);
            }
            from = upto;
        }
    }
}

/// A sector as it got onto the disk: whole, or now and then a part of it.
fn torn(from: usize, upto: usize, dice: &mut Dice) -> (usize, usize) {
    let middle = from + dice.below(upto - from);
    match dice.below(12) {
        0 => (from, middle),
        1 => (middle, upto),
        _ => (from, upto),
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => put(content, *at, bytes),
            Self::Resize { len } => content.resize(*len, 0),
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Made { name, file } => names.insert(name.clone(), *file),
            Self::Removed { name } => names.remove(name),
        };
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let upto = at + bytes.len();
    if content.len() < upto {
        content.resize(upto, 0);
    }
    content[at..upto].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &Disk, name: &str) -> Option<Vec<u8>> {
        let file = disk.named(name)?;
        let mut bytes = vec![0; disk.len(file)];
        disk.read(file, 0, &mut bytes);
        Some(bytes)
    }

    fn synced(bytes: &[u8]) -> (Disk, FileId) {
        let mut disk = Disk::default();
        let file = disk.make("a");
        disk.write(file, 0, bytes);
        disk.sync(file);
        disk.sync_names();
        (disk, file)
    }

    fn after_many_cuts(disk: &Disk) -> Vec<Option<Vec<u8>>> {
        let mut dice = Dice::new(1);
        (0..500).map(|_| read(&disk.after_cut(&mut dice), "a")).collect()
    }

    #[test]
    fn what_was_synced_survives_every_cut() {
        let (disk, _) = synced(b"kept");
        assert!(after_many_cuts(&disk).iter().all(|left| left.as_deref() == Some(b"kept")));
    }

    #[test]
    fn what_was_not_synced_is_there_or_not_or_torn() {
        let (mut disk, file) = synced(&[0; 1024]);
        disk.write(file, 0, &[1; 1024]);
        let left: Vec<_> = after_many_cuts(&disk).into_iter().flatten().collect();
        let is = |bytes: &[u8]| left.iter().any(|left| left == bytes);
        assert!(is(&[0; 1024]) && is(&[1; 1024]), "all and nothing");
        assert!(is(&[[0; 512], [1; 512]].concat()), "one sector without the one before it");
        let torn = |left: &&Vec<u8>| left[..512].contains(&0) && left[..512].contains(&1);
        assert!(left.iter().any(|left| torn(&left)), "a part of a sector");
    }

    #[test]
    fn a_file_whose_folder_was_not_synced_may_be_gone() {
        let mut disk = Disk::default();
        let file = disk.make("a");
        disk.write(file, 0, b"x");
        disk.sync(file);
        let left = after_many_cuts(&disk);
        assert!(left.contains(&None) && left.contains(&Some(b"x".to_vec())));
        disk.sync_names();
        disk.remove("a");
        assert!(after_many_cuts(&disk).contains(&Some(b"x".to_vec())), "it may be back");
    }

    #[test]
    fn a_failed_sync_makes_nothing_durable_and_neither_does_the_next() {
        let (mut disk, file) = synced(b"old");
        disk.write(file, 0, b"new");
        disk.forget_unsynced(file);
        disk.sync(file);
        assert_eq!(read(&disk, "a").as_deref(), Some(&b"new"[..]));
        assert!(after_many_cuts(&disk).iter().all(|left| left.as_deref() == Some(b"old")));
    }
}
