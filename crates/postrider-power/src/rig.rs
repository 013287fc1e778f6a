//! Cuts the power, opens the store on what is left, compares, goes on.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail, ensure};
use postrider_store::{MemoryStore, SqliteOptions, SqliteStore, StoreError};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::dice::Dice;
use crate::image::Image;
use crate::machine::{Faults, Machine};
use crate::step::Step;
use crate::vfs::mount;
use crate::workload::{BUCKET_MS, Workload};

/// Cuts of one file, one after the other; then a new file is begun.
pub const CUTS_OF_FILE: usize = 50;

/// A fault that has not shown by then never will.
const STEPS_UNTIL_REFUSED_MAX: usize = 2_000;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub cuts: usize,
    /// Cuts that came while something was being written, of which it was then not known whether
    /// it had been.
    pub cuts_in_writes: usize,
    /// Of those, how often it had been.
    pub found_written: usize,
    /// Cuts while the store was being opened.
    pub cuts_at_opening: usize,
    /// What was acknowledged before a cut and compared after it.
    pub acknowledged: usize,
}

impl Report {
    pub fn add(&mut self, other: &Self) {
        self.cuts += other.cuts;
        self.cuts_in_writes += other.cuts_in_writes;
        self.found_written += other.found_written;
        self.cuts_at_opening += other.cuts_at_opening;
        self.acknowledged += other.acknowledged;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} power cuts, {} of them in the midst of a write (found written: {}), {} of an \
             opening; {} acknowledged writes, none lost",
            self.cuts,
            self.cuts_in_writes,
            self.found_written,
            self.cuts_at_opening,
            self.acknowledged
        )
    }
}

/// Makes a file from this seed and cuts the power so many times. Fails with what was found.
pub fn run(seed: u64, cuts: usize) -> anyhow::Result<Report> {
    Rig::new(seed)?.cut(seed, cuts)
}

/// The same on a disk with these faults, once there is a whole file on it.
pub fn run_with(seed: u64, cuts: usize, faults: Faults) -> anyhow::Result<Report> {
    let mut rig = Rig::new(seed)?;
    let store = rig.open()?;
    rig.work(&store, 40)?;
    drop(store);
    rig.faults = faults;
    rig.cut(seed, cuts)
}
/// A store on a machine, and what it was told.
#[derive(Debug)]
pub struct Rig {
    dice: Dice,
    faults: Faults,
    folder: TempDir,
    runtime: Runtime,
    machine: Arc<Machine>,
    told: Told,
    report: Report,
}

/// What the store was told, as the memory store keeps it.
#[derive(Debug)]
struct Told {
    model: MemoryStore,
    workload: Workload,
    /// Told, but not acknowledged before the power went.
    unsure: Option<Unsure>,
}

#[derive(Debug)]
struct Unsure {
    step: Step,
    before: Image,
}

impl Rig {
    pub fn new(seed: u64) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(Self {
            dice: Dice::new(!seed),
            faults: Faults::default(),
            folder: TempDir::new()?,
            runtime,
            machine: Machine::new(),
            told: Told {
                model: MemoryStore::with_bucket_ms(BUCKET_MS),
                workload: Workload::new(seed),
                unsure: None,
            },
            report: Report::default(),
        })
    }

    fn cut(mut self, seed: u64, cuts: usize) -> anyhow::Result<Report> {
        while self.report.cuts < cuts {
            self.live_once()
                .with_context(|| format!("seed {seed}, after cut {}", self.report.cuts))?;
        }
        Ok(self.report)
    }

    /// Where the store's file is.
    fn path(&self) -> PathBuf {
        self.folder.path().join("postrider.db")
    }

    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Opens the store as the server does, but with small numbers.
    pub fn open(&self) -> Result<SqliteStore, StoreError> {
        mount(self.folder.path(), &self.machine);
        let options = SqliteOptions {
            bucket_ms: BUCKET_MS,
            index_rows: 12,
            readers: 2,
            checkpoint_pages: 30,
            ..SqliteOptions::default()
        };
        SqliteStore::open(self.path(), options)
    }

    /// From one power cut to the next.
    fn live_once(&mut self) -> anyhow::Result<()> {
        self.machine.set_faults(self.faults.clone());
        let Some(store) = self.open_or_cut()? else {
            return Ok(());
        };
        // looking, and doing again what was not done, is not cut short
        self.machine.cut_after(usize::MAX);
        self.look(&store).context("after a power cut")?;
        let operations = self.operations();
        self.machine.cut_after(operations);
        let steps = if self.dice.once_in(4) { self.dice.below(12) } else { usize::MAX };
        if !self.work(&store, steps)? {
            self.power_cycle();
            return Ok(());
        }
        // an orderly end, and on with it; the power may go in the midst of either
        drop(store);
        if let Some(store) = self.open_or_cut()? {
            self.work(&store, usize::MAX)?;
            self.power_cycle();
        }
        Ok(())
    }

    /// `None` when the power went while it was being opened.
    fn open_or_cut(&mut self) -> anyhow::Result<Option<SqliteStore>> {
        match self.open() {
            Ok(store) => Ok(Some(store)),
            Err(_) if self.machine.is_off() => {
                self.report.cuts_at_opening += 1;
                self.power_cycle();
                Ok(None)
            }
            Err(error) => bail!("can't be opened: {error}"),
        }
    }

    /// The power goes, if it hasn't, and comes back.
    pub fn power_cycle(&mut self) {
        let seed = u64::try_from(self.dice.below(usize::MAX)).unwrap_or(0);
        self.machine = self.machine.after_cut(seed);
        self.report.cuts += 1;
        if self.dice.once_in(4) {
            // in the middle of the next opening
            self.machine.cut_after(self.dice.below(12));
        }
    }

    /// How many operations to let pass: often few, sometimes enough to fill and move the log.
    fn operations(&mut self) -> usize {
        match self.dice.below(4) {
            0 => self.dice.below(8),
            1 => self.dice.below(60),
            2 => self.dice.below(300),
            _ => self.dice.below(900),
        }
    }

    /// Tells the store up to so many things; `false` once the power has gone.
    pub fn work(&mut self, store: &SqliteStore, steps: usize) -> anyhow::Result<bool> {
        for _ in 0..steps {
            let step = self.runtime.block_on(self.told.workload.step(&self.told.model))?;
            if !self.tell(store, step)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells both stores the same, which must answer alike; `false` when the power went.
    fn tell(&mut self, store: &SqliteStore, step: Step) -> anyhow::Result<bool> {
        let found = self.runtime.block_on(step.apply(store));
        if self.machine.is_off() && found.is_err() {
            let before = self.expected()?;
            self.told.unsure = Some(Unsure { step, before });
            self.report.cuts_in_writes += 1;
            return Ok(false);
        }
        let expected = self.runtime.block_on(step.apply(&self.told.model));
        ensure!(expected == found, "{step:?}\nexpected {expected:?}\nfound    {found:?}");
        self.report.acknowledged += 1;
        Ok(true)
    }

    /// Tells the store one more thing, which may fail; whether it was done is looked at later.
    pub fn work_unsure(&mut self, store: &SqliteStore) -> anyhow::Result<()> {
        let step = match &self.told.unsure {
            Some(unsure) => unsure.step.clone(),
            None => self.runtime.block_on(self.told.workload.step(&self.told.model))?,
        };
        match self.runtime.block_on(step.apply(store)) {
            Err(StoreError::Unavailable(text)) => {
                if self.told.unsure.is_none() {
                    let before = self.expected()?;
                    self.told.unsure = Some(Unsure { step, before });
                }
                bail!("{text}")
            }
            found => {
                let expected = self.runtime.block_on(step.apply(&self.told.model));
                ensure!(expected == found, "{step:?}\nexpected {expected:?}\nfound    {found:?}");
                Ok(())
            }
        }
    }

    /// Tells the store more until it refuses; says why.
    pub fn work_until_refused(&mut self, store: &SqliteStore) -> anyhow::Result<String> {
        for _ in 0..STEPS_UNTIL_REFUSED_MAX {
            if let Err(refused) = self.work_unsure(store) {
                return Ok(format!("{refused:#}"));
            }
        }
        bail!("nothing was refused")
    }

    /// Whether everything could be read; then it was as it should be.
    pub fn answers_right_or_not_at_all(&self, store: &SqliteStore) -> anyhow::Result<bool> {
        let Ok(found) = self.image_of(store) else {
            return Ok(false);
        };
        self.expected()?.expect(&found)?;
        Ok(true)
    }

    /// Compares all that the store says with what it was told.
    pub fn look(&mut self, store: &SqliteStore) -> anyhow::Result<()> {
        if let Some(unsure) = self.told.unsure.take() {
            self.make_sure(store, unsure)?;
        }
        self.expected()?.expect(&self.image_of(store)?)?;
        verify(&self.path())
    }

    /// What was not acknowledged is there or not, whole; what is not is done again.
    fn make_sure(&mut self, store: &SqliteStore, unsure: Unsure) -> anyhow::Result<()> {
        let Unsure { step, before } = unsure;
        let answer = self.runtime.block_on(step.apply(&self.told.model));
        let after = self.expected()?;
        let found = self.image_of(store)?;
        if found == after {
            self.report.found_written += 1;
            return Ok(());
        }
        if !step.is_in_parts() {
            before.expect(&found).with_context(|| format!("{step:?} is there in part"))?;
        }
        let again = self.runtime.block_on(step.apply(store));
        ensure!(again == answer, "{step:?} again\nexpected {answer:?}\nfound    {again:?}");
        Ok(())
    }

    fn expected(&self) -> anyhow::Result<Image> {
        let Workload { tenants, webhooks, .. } = &self.told.workload;
        Ok(self.runtime.block_on(Image::of(&self.told.model, tenants, webhooks))?)
    }

    fn image_of(&self, store: &SqliteStore) -> anyhow::Result<Image> {
        let Workload { tenants, webhooks, .. } = &self.told.workload;
        let image = self.runtime.block_on(Image::of(store, tenants, webhooks));
        image.map_err(|error| anyhow!("can't be read: {error}"))
    }
}

/// What looking through the file finds: nothing.
fn verify(path: &Path) -> anyhow::Result<()> {
    let mut found = Vec::new();
    SqliteStore::verify(path, &mut |violation| found.push(violation.to_string()))
        .context("can't be looked through")?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}
