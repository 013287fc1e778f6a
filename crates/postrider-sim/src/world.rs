//! One world: clients, receivers, a store, and a process that lives and dies between them, in
//! virtual time. True time moves only from one planned thing to the next.

use std::collections::BTreeMap;

use postrider_core::id::{TenantKey, UnixMs, WebhookKey};
use postrider_store::MemoryStore;

use crate::agenda::Agenda;
use crate::attempts::Sending;
use crate::books::Books;
use crate::checker::Moment;
use crate::operators::Operation;
use crate::plan::{Plan, START};
use crate::process::{Process, Work};
use crate::publishers::Request;
use crate::random::Random;
use crate::rare::{Rare, Tally};
use crate::receivers::Mood;
use crate::trace::Trace;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) trace: Trace,
    pub(crate) rare: Tally,
    /// True time, from 0.
    pub(crate) now: i64,
    /// How far the server's clock is off.
    pub(crate) skew: i64,
    /// The latest that the server's clock ever showed.
    pub(crate) wall_max: UnixMs,
    pub(crate) jumped_forwards_ms: i64,
    moment: Moment,
    pub(crate) agenda: Agenda<Action>,
    pub(crate) store: MemoryStore,
    pub(crate) process: Option<Process>,
    /// How many processes have died.
    pub(crate) generation: u64,
    pub(crate) tenants: Vec<TenantKey>,
    pub(crate) moods: BTreeMap<WebhookKey, Mood>,
    pub(crate) books: Books,
    /// When everything must have settled, by true time; set once faults have stopped.
    pub(crate) quiet: Option<Quiet>,
    /// The first invariant that was broken; nothing goes on after it.
    pub(crate) broken: Option<String>,
}

/// Faults have stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quiet {
    /// From this on, by the server's clock, attempts are made when they are due.
    pub(crate) from: UnixMs,
    /// Everything has settled by then, by true time.
    pub(crate) until: i64,
}

/// What can happen.
#[derive(Debug)]
pub(crate) enum Action {
    Publish(Request),
    /// Somebody does something to some webhook, or just this.
    Operate(Option<Operation>),
    /// A request reaches its receiver, or not.
    Arrive(Box<Sending>),
    /// Some receiver changes its mood.
    Mood,
    Jump,
    Restart,
    Quiet,
    /// Something in the process of this generation; void in a later one.
    InProcess {
        generation: u64,
        work: Work,
    },
}

impl World {
    pub(crate) fn new(seed: u64, keeps_lines: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let mut world = Self {
            plan,
            random,
            trace: Trace::new(keeps_lines),
            rare: Tally::default(),
            now: 0,
            skew: 0,
            wall_max: START,
            jumped_forwards_ms: 0,
            moment: 0,
            agenda: Agenda::default(),
            store: MemoryStore::default(),
            process: None,
            generation: 0,
            tenants: Vec::new(),
            moods: BTreeMap::new(),
            books: Books::default(),
            quiet: None,
            broken: None,
        };
        world.note(format_args!("seed {seed}: {:?}", world.plan.clone()));
        world.set_up();
        world
    }

    /// Plays everything that is planned, until nothing is, everything must have settled, or something
    /// is broken.
    pub(crate) fn play(&mut self) {
        while self.broken.is_none() {
            let Some((at, action)) = self.agenda.next() else { break };
            self.now = self.now.max(at);
            self.wall_max = self.wall_max.max(self.wall());
            if self.quiet.is_some_and(|quiet| self.now > quiet.until) {
                // At most a timer that somebody set before the clock jumped.
                break;
            }
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Publish(request) => self.publish(request),
            Action::Operate(operation) => self.operate(operation),
            Action::Arrive(sending) => self.arrive(*sending),
            Action::Mood => self.change_mood(),
            Action::Jump => self.jump(),
            Action::Restart => self.start_process(),
            Action::Quiet => self.begin_quiet(),
            Action::InProcess { generation, work } if generation == self.generation => {
                self.work(work);
            }
            Action::InProcess { .. } => {}
        }
    }

    /// What the server's clock shows.
    pub(crate) fn wall(&self) -> UnixMs {
        START + self.now + self.skew
    }

    /// A moment after all before.
    pub(crate) fn tick(&mut self) -> Moment {
        self.moment += 1;
        self.moment
    }

    pub(crate) fn note(&mut self, step: std::fmt::Arguments<'_>) {
        self.trace.note(self.now, step);
    }

    pub(crate) fn meet(&mut self, rare: Rare) {
        self.rare.meet(rare);
    }

    pub(crate) fn break_off(&mut self, why: String) {
        self.note(format_args!("BROKEN: {why}"));
        self.broken.get_or_insert(why);
    }

    pub(crate) fn plan_after(&mut self, after_ms: i64, action: Action) {
        self.agenda.plan(self.now + after_ms, action);
    }

    /// Plans something that dies with the process.
    pub(crate) fn plan_work(&mut self, after_ms: i64, work: Work) {
        let generation = self.generation;
        self.plan_after(after_ms, Action::InProcess { generation, work });
    }
}
