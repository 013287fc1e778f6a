//! What goes wrong: processes die, clocks jump, receivers change their moods. And the end of it.

use postrider_store::DeliveryStore as _;

use crate::checker::Answer;
use crate::operators::{Operation, Wish};
use crate::rare::Rare;
use crate::receivers::Mood;
use crate::store_calls::at_once;
use crate::world::{Action, Quiet, World};

/// Until what was under way when the faults stopped is over: a process has started again, a hanging
/// attempt has met its deadline, an operator has enabled what is to go on.
const CALM_DOWN_MS: i64 = 60_000;
/// What the issue grants beyond the schedules.
const SETTLE_MS: i64 = 60_000;
/// Events of the last burst, which nothing may disturb.
const LAST_BURST: usize = 30;
/// The longest wait that the receivers here ask for.
const RETRY_AFTER_MAX_MS: i64 = 900_000;

impl World {
    /// Whether the process dies here; if so, it has.
    pub(crate) fn dies(&mut self) -> bool {
        let dies = self.dies_now();
        if dies {
            self.crash();
        }
        dies
    }

    /// Chance alone; the caller lets it happen.
    pub(crate) fn dies_now(&mut self) -> bool {
        let once_in = self.plan.crash_once_in;
        once_in > 0 && self.quiet.is_none() && self.random.once_in(once_in)
    }

    pub(crate) fn crash(&mut self) {
        let Some(process) = self.process.take() else { return };
        self.note(format_args!("crash"));
        self.generation += 1;
        self.agenda.retain(|action| !matches!(action, Action::InProcess { .. }));
        let (mut asked, mut records) = (Vec::new(), process.queue.records.len());
        if !process.queue.accepts.is_empty() {
            self.meet(Rare::CrashBeforeCommit);
        }
        if let Some(writing) = process.writing {
            records += writing.batch.records.len();
            if writing.is_written && !writing.batch.accepts.is_empty() {
                self.meet(Rare::CrashAfterCommit);
            }
            asked.extend(writing.asked);
        }
        asked.extend(process.queue.accepts.into_iter().map(|(_, asked)| asked));
        if !process.under_way.is_empty() {
            self.meet(Rare::CrashInFlight);
        }
        if !process.loads.is_empty() {
            self.meet(Rare::CrashWhileLoading);
        }
        self.books.ledger.cut_off += process.under_way.len() + records;
        for changing in process.changing.iter().chain(&process.unacknowledged) {
            self.note_change(changing, false);
        }
        for asked in asked {
            self.answer(asked, Answer::Unknown);
        }
        let down = self.random.pick(&[0, 10, 1_000, 20_000]);
        self.plan_after(down, Action::Restart);
    }

    pub(crate) fn jump(&mut self) {
        let by = self.random.pick(&[-3_600_000, -3_600_000, -500, 500, 7_200_000]);
        self.skew += by;
        self.wall_max = self.wall_max.max(self.wall());
        self.jumped_forwards_ms += by.max(0);
        self.note(format_args!("the clock jumps by {by}"));
        self.meet(if by > 0 { Rare::ClockForwards } else { Rare::ClockBackwards });
        if let Some(process) = &mut self.process {
            process.watch.clock_jumped();
        }
    }

    pub(crate) fn change_mood(&mut self) {
        if self.quiet.is_some() {
            return;
        }
        let webhooks: Vec<_> = self.moods.keys().copied().collect();
        let webhook = self.random.pick(&webhooks);
        let mood = Mood::any(&mut self.random, self.plan.bad_moods);
        self.note(format_args!("{webhook} becomes {mood:?}"));
        self.moods.insert(webhook, mood);
        if mood == Mood::Gone {
            // It takes few deliveries to notice, and an end to meet anything else.
            self.plan_after(30_000, Action::Mood);
        }
    }

    /// Faults stop. Receivers either work or fail at once; most webhooks are enabled.
    pub(crate) fn begin_quiet(&mut self) {
        let webhooks: Vec<_> = self.moods.keys().copied().collect();
        for webhook in webhooks {
            let is_failing = self.random.percent(25);
            self.moods.insert(webhook, if is_failing { Mood::Failing } else { Mood::Healthy });
            if self.random.percent(80) {
                let operation = Operation { webhook, wish: Wish::Enable, asked: 0 };
                self.plan_after(CALM_DOWN_MS / 2, Action::Operate(Some(operation)));
            }
        }
        self.plan_burst(CALM_DOWN_MS, LAST_BURST);
        let longest = self.process_free_schedules().max().unwrap_or_default();
        let burst = i64::try_from(LAST_BURST * self.plan.webhooks).unwrap_or(i64::MAX);
        let pending: i64 = self.pending().values().sum::<i64>() + burst;
        let ahead = self.wall_max - self.wall();
        let wait = CALM_DOWN_MS + ahead + longest + RETRY_AFTER_MAX_MS + SETTLE_MS;
        let from = self.wall() + CALM_DOWN_MS + self.jumped_forwards_ms;
        self.quiet = Some(Quiet { from, until: self.now + wait + pending * 1_000 });
        self.note(format_args!("quiet with {pending} pending"));
    }

    /// The whole length of every webhook's schedule, with all of its jitter and all attempts.
    fn process_free_schedules(&self) -> impl Iterator<Item = i64> {
        let webhooks = postrider_store::WebhookStore::webhooks(&self.store, None, usize::MAX);
        let webhooks = at_once(webhooks).unwrap_or_default();
        webhooks.into_iter().filter_map(|webhook| webhook.schedule).map(|schedule| {
            let delays: u64 =
                schedule.delays_ms().iter().map(|delay| delay + delay / 5 + 1_000).sum();
            i64::try_from(delays).unwrap_or(i64::MAX)
        })
    }

    /// How many deliveries are pending, by webhook.
    pub(crate) fn pending(
        &self,
    ) -> std::collections::BTreeMap<postrider_core::id::WebhookKey, i64> {
        let mut pending = std::collections::BTreeMap::new();
        for &webhook in self.moods.keys() {
            let query = postrider_store::DueQuery {
                webhook,
                until: i64::MAX,
                limit: usize::MAX,
                bytes_max: usize::MAX,
                except: Vec::new(),
            };
            let count = at_once(self.store.due(query)).map_or(0, |page| page.deliveries.len());
            pending.insert(webhook, i64::try_from(count).unwrap_or(i64::MAX));
        }
        pending
    }
}
