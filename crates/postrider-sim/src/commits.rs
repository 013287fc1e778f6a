//! Group commit as `engine/commit.rs` does it: one batch is written while the next one gathers.

use postrider_core::dispatcher::Input;
use postrider_store::{
    Accept, Accepted, Batch, Committed, EventStore as _, Record, Recorded, StoreError,
};

use crate::checker::Answer;
use crate::process::{RETRY_PAUSE_MS, Work};
use crate::publishers::Asked;
use crate::rare::Rare;
use crate::store_calls::{Fault, at_once};
use crate::world::World;

/// What waits for the next commit.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) accepts: Vec<(Accept, Asked)>,
    pub(crate) records: Vec<Record>,
}

/// The batch that is being written.
#[derive(Debug)]
pub(crate) struct Writing {
    pub(crate) batch: Batch,
    pub(crate) asked: Vec<Asked>,
    pub(crate) is_written: bool,
    result: Result<Committed, StoreError>,
}

impl World {
    pub(crate) fn accept(&mut self, accept: Accept, asked: Asked) {
        if crate::mutated!("handed over before the commit") {
            let inputs = self.hand_on_event(&accept);
            self.tell_all(inputs);
        }
        let Some(process) = &mut self.process else { return };
        let id = accept.event.given_id.clone();
        let repeats = |(queued, _): &(Accept, Asked)| {
            id.is_some()
                && queued.event.given_id == id
                && queued.event.tenant == accept.event.tenant
        };
        let is_repeat_in_batch = process.queue.accepts.iter().any(repeats);
        process.queue.accepts.push((accept, asked));
        if is_repeat_in_batch {
            self.meet(Rare::RepeatInBatch);
        }
        self.plan_commit(0);
    }

    pub(crate) fn record(&mut self, record: Record) {
        let Some(process) = &mut self.process else { return };
        process.queue.records.push(record);
        self.plan_commit(0);
    }

    fn plan_commit(&mut self, pause_ms: i64) {
        let gather_ms = self.random.between(0, 50);
        let Some(process) = &mut self.process else { return };
        let is_empty = process.queue.accepts.is_empty() && process.queue.records.is_empty();
        if process.is_commit_planned || process.writing.is_some() || is_empty {
            return;
        }
        process.is_commit_planned = true;
        self.plan_work(pause_ms + gather_ms, Work::TakeBatch);
    }

    pub(crate) fn take_batch(&mut self) {
        let max = self.plan.batch_max;
        let Some(process) = &mut self.process else { return };
        process.is_commit_planned = false;
        let queue = &mut process.queue;
        let accepts = queue.accepts.drain(..queue.accepts.len().min(max));
        let (accepts, asked) = accepts.unzip();
        let records = queue.records.drain(..queue.records.len().min(max)).collect();
        let batch = Batch { accepts, records };
        let result = Err(StoreError::Unavailable("it was not asked".to_owned()));
        process.writing = Some(Writing { batch, asked, is_written: false, result });
        let after = self.store_delay();
        self.plan_work(after, Work::Write);
    }

    pub(crate) fn write(&mut self) {
        if self.dies() {
            return;
        }
        let fault = self.fault();
        let Some(writing) = self.process.as_mut().and_then(|process| process.writing.as_mut())
        else {
            return;
        };
        let (accepts, records) = (writing.batch.accepts.len(), writing.batch.records.len());
        if fault != Fault::Fails {
            writing.result = at_once(self.store.commit(&writing.batch));
            writing.is_written = true;
        }
        if let (Ok(committed), true) = (&writing.result, writing.is_written) {
            self.books.committed(&writing.batch, committed);
        }
        self.note(format_args!("commit {accepts} accepts, {records} outcomes: {fault:?}"));
        match fault {
            Fault::None => {}
            Fault::Fails => self.meet(Rare::CommitFailed),
            Fault::Unknown => {
                if accepts > 0 {
                    self.meet(Rare::CommitUnknownAccepts);
                }
                if records > 0 {
                    self.meet(Rare::CommitUnknownOutcomes);
                }
                let error = Err(StoreError::Unavailable("its answer was lost".to_owned()));
                if let Some(process) = &mut self.process
                    && let Some(writing) = &mut process.writing
                {
                    writing.result = error;
                }
            }
        }
        if self.dies() {
            return;
        }
        self.plan_answer(Work::HandOver);
    }

    /// Answers publishers, and hands the work to the dispatcher.
    pub(crate) fn hand_over(&mut self) {
        let Some(writing) = self.process.as_mut().and_then(|process| process.writing.take()) else {
            return;
        };
        let Writing { batch, asked, result, .. } = writing;
        if let Ok(committed) = result {
            self.plan_commit(0);
            self.committed(batch, asked, committed);
            return;
        }
        if !batch.records.is_empty() {
            self.meet(Rare::OutcomeLate);
        }
        self.not_committed(batch, asked);
    }

    fn committed(&mut self, batch: Batch, asked: Vec<Asked>, committed: Committed) {
        let mut inputs = Vec::new();
        for ((accept, asked), accepted) in
            batch.accepts.into_iter().zip(asked).zip(committed.accepts)
        {
            let matched = accept.matching.matched.len();
            let answer = match accepted {
                Accepted::New => {
                    inputs.extend(self.hand_on_event(&accept));
                    Answer::Accepted { id: accept.event.id().into(), is_repeat: false, matched }
                }
                Accepted::Repeat { first, matched } => {
                    self.meet(Rare::Repeat);
                    Answer::Accepted { id: first.id().into(), is_repeat: true, matched }
                }
                Accepted::IdConflict => {
                    self.meet(Rare::IdConflict);
                    Answer::Conflict
                }
            };
            self.answer(asked, answer);
        }
        for (record, recorded) in batch.records.into_iter().zip(committed.records) {
            let delivery = record.entry.delivery;
            if recorded == Recorded::NotPending {
                self.break_off(format!("an outcome came for {delivery}, which was not pending"));
            }
            inputs.push(Input::Settled { delivery, due: record.entry.standing.due() });
        }
        if self.dies() {
            return;
        }
        self.tell_all(inputs);
    }

    /// Whether it took effect is not known: outcomes go into the next batch again, publishers hear
    /// that they don't know, and the lanes are told to look.
    fn not_committed(&mut self, batch: Batch, asked: Vec<Asked>) {
        let found = batch.accepts.iter().flat_map(|accept| self.look_for(accept)).collect();
        if let Some(process) = &mut self.process
            && !crate::mutated!("outcomes of a failed commit dropped")
        {
            process.queue.records.splice(..0, batch.records);
        }
        for asked in asked {
            self.answer(asked, Answer::Unknown);
        }
        self.plan_commit(RETRY_PAUSE_MS);
        if !crate::mutated!("unknown commits not looked for") {
            self.tell_all(found);
        }
    }

    fn hand_on_event(&mut self, accept: &Accept) -> Vec<Input> {
        let Some(process) = &self.process else { return Vec::new() };
        let matched = accept.matching.matched.iter().filter_map(|key| process.registry.get(key));
        let settings: Vec<_> = matched.map(|live| live.lane.clone()).collect();
        let cancelling =
            settings.iter().filter(|lane| process.dispatcher.is_cancelling(lane.webhook)).count();
        for _ in 0..cancelling {
            self.meet(Rare::AcceptWhileCancelling);
        }
        let event = &accept.event;
        let accepted = |settings| Input::Accepted { settings, event: event.clone() };
        settings.into_iter().map(accepted).collect()
    }

    fn look_for(&self, accept: &Accept) -> Vec<Input> {
        let due = accept.event.accepted_at();
        let matched = accept.matching.matched.iter().filter_map(|&key| self.live(key));
        matched.map(|live| Input::Found { settings: live.lane.clone(), due }).collect()
    }
}
