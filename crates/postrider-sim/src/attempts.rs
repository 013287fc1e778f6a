//! One attempt: built with the webhook as it is now, on its way, at its receiver, ended.

use bytes::Bytes;
use postrider_core::delivery::{Answer, Attempt, AttemptResult, ErrorClass, Mode, Timing, Waiting};
use postrider_core::dispatcher::{Ended, Input};
use postrider_core::event::Event;
use postrider_core::id::{DeliveryKey, UnixMs};
use postrider_core::lane::Gate;
use postrider_core::retry_after::RetryAfter;

use crate::books::Known;
use crate::checker::{Arrival, Moment, digest};
use crate::process::Work;
use crate::rare::Rare;
use crate::receivers::{Reaction, TIMEOUT_MS};
use crate::world::{Action, World};

/// An attempt in the process's memory.
#[derive(Debug)]
pub(crate) struct UnderWay {
    waiting: Waiting,
    started_at: UnixMs,
    /// The latest that the clock had shown by then.
    clock_max: UnixMs,
    url: String,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Sending {
    generation: u64,
    delivery: DeliveryKey,
    number: u32,
    started: Moment,
    id: String,
    body: Bytes,
    url: String,
    secret: String,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Refused,
    TimedOut,
    Answered { status: u16, retry_after_s: Option<i64> },
}

impl World {
    pub(crate) fn start_attempt(&mut self, delivery: DeliveryKey, event: &Event, waiting: Waiting) {
        self.check_start(delivery, event, &waiting);
        let Some(live) = self.live(delivery.webhook) else { return };
        let number = waiting.after_attempt().attempts;
        let mut sending = Sending {
            generation: self.generation,
            delivery,
            number,
            started: self.tick(),
            id: event.id().into_owned(),
            body: event.bodies.verbatim.clone(),
            url: live.webhook.url.clone(),
            secret: live.secret(),
        };
        if number > 1 && crate::mutated!("another id for each attempt") {
            sending.id = format!("{}-{number}", sending.id);
        }
        if number > 1 && crate::mutated!("another body for each attempt") {
            sending.body = Bytes::from(format!("{{\"attempt\":{number}}}"));
        }
        if crate::mutated!("signed with the first secret for ever") {
            sending.secret = self.books.first_secret(delivery.webhook);
        }
        self.note(format_args!(
            "attempt {number} of {delivery} as {} {}",
            sending.url, sending.secret
        ));
        let started_at = self.wall();
        if let Some(process) = &mut self.process {
            let clock_max = self.wall_max;
            let url = sending.url.clone();
            process.under_way.insert(delivery, UnderWay { waiting, started_at, clock_max, url });
        }
        let latency = self.random.between(0, 20);
        self.plan_after(latency, Action::Arrive(Box::new(sending)));
        if !crate::mutated!("no deadline") {
            self.plan_work(
                TIMEOUT_MS,
                Work::EndAttempt { delivery, number, reply: Reply::TimedOut },
            );
        }
    }

    /// A request reaches its receiver; one whose process has died meanwhile may be lost.
    pub(crate) fn arrive(&mut self, sending: Sending) {
        let Sending { delivery, number, .. } = sending;
        if sending.generation != self.generation {
            if self.random.percent(50) {
                self.meet(Rare::SendLost);
                return;
            }
            self.meet(Rare::SendSurvived);
        }
        let mood = self.moods.get(&delivery.webhook).copied();
        let mood = mood.unwrap_or(crate::receivers::Mood::Healthy);
        let reaction = mood.react(&mut self.random);
        self.note(format_args!("arrives {delivery} {number}: {reaction:?}"));
        let (answered, reply) = match reaction {
            Reaction::Refuses => (None, Some((1, Reply::Refused))),
            Reaction::Hangs => (None, None),
            Reaction::Answers { status, after_ms, retry_after_s } => {
                (Some(status), Some((after_ms, Reply::Answered { status, retry_after_s })))
            }
        };
        if !matches!(reaction, Reaction::Refuses) {
            self.books.ledger.arrivals.push(Arrival {
                webhook: delivery.webhook.to_string(),
                event: sending.id,
                started: sending.started,
                url: sending.url,
                secret: sending.secret,
                body: digest(&sending.body),
                content: digest(&sending.body),
                answered,
            });
        }
        if let Some((after_ms, reply)) = reply
            && sending.generation == self.generation
        {
            self.plan_work(after_ms, Work::EndAttempt { delivery, number, reply });
        }
    }

    pub(crate) fn end_attempt(&mut self, delivery: DeliveryKey, number: u32, reply: Reply) {
        let Some(process) = &mut self.process else { return };
        let is_this = |attempt: &UnderWay| attempt.waiting.after_attempt().attempts == number;
        if !process.under_way.get(&delivery).is_some_and(is_this) {
            if matches!(reply, Reply::Answered { .. }) {
                self.meet(Rare::AnsweredTooLate);
            }
            return;
        }
        let Some(UnderWay { waiting, started_at, clock_max, url }) =
            process.under_way.remove(&delivery)
        else {
            return;
        };
        let others = process.under_way.keys().filter(|d| d.webhook == delivery.webhook).count();
        let (result, asked_s) = result(reply);
        let is_closed = self
            .live(delivery.webhook)
            .is_some_and(|live| matches!(live.lane.gate, Gate::Closed(_)));
        let is_of_former_url = self.url_of(delivery.webhook).is_some_and(|now| now != url);
        match (&result, result.status()) {
            (_, Some(410)) if is_of_former_url => self.meet(Rare::FormerGone),
            (_, Some(410)) if others > 0 => self.meet(Rare::GoneWithOthers),
            (result, _) if is_closed && !result.is_success() => self.meet(Rare::EndedAfterClosing),
            _ => {}
        }
        if matches!(reply, Reply::TimedOut) {
            self.meet(Rare::TimedOut);
        }
        let ended_at = self.wall();
        let retry_after =
            asked_s.and_then(|seconds| RetryAfter::parse(&seconds.to_string(), ended_at));
        let known = Known {
            started_at: clock_max,
            ended_at,
            retry_after_ms: retry_after.map_or(0, RetryAfter::wait_ms),
        };
        self.books.ended(delivery, number, known);
        self.watch_end(delivery.webhook, matches!(result, AttemptResult::Answered(_)));
        self.note(format_args!("ended {delivery} {number}: {reply:?}"));
        let attempt = Attempt {
            number,
            is_manual: matches!(waiting.mode, Mode::Manual { .. }),
            started_at,
            timing: Timing::default(),
            address: None,
            outline: None,
            signed_headers: Vec::new(),
            result,
        };
        let random = self.random.next();
        let ended = Ended { attempt, ended_at, retry_after, random, is_of_former_url };
        let ended = Box::new(ended);
        if let Some(process) = &mut self.process {
            process.said_last = Some(url);
        }
        self.tell(Input::AttemptEnded { delivery, ended });
    }
}

fn result(reply: Reply) -> (AttemptResult, Option<i64>) {
    let broke = |class| AttemptResult::Broke { class, detail: String::new(), answer: None };
    match reply {
        Reply::Refused => (broke(ErrorClass::ConnectRefused), None),
        Reply::TimedOut => (broke(ErrorClass::Timeout), None),
        Reply::Answered { status, retry_after_s } => {
            let answer =
                Answer { status, headers: Vec::new(), body: Bytes::new(), is_body_cut: false };
            (AttemptResult::Answered(answer), retry_after_s)
        }
    }
}
