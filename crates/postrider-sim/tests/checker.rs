//! The checker sees each kind of broken promise in a ledger that is good but for it.

use postrider_sim::checker::{
    Answer, Arrival, Change, Delivery, Ledger, ListedAttempt, Publish, Retry, Rule, Setting, State,
    check,
};

fn setting() -> Setting {
    Setting {
        tenant: "acme".to_owned(),
        url: "https://r.example/0".to_owned(),
        secret: "first".to_owned(),
        wants: None,
        is_enabled: true,
        is_closed: false,
    }
}

fn change(asked: u64, setting: Setting) -> Change {
    let webhook = "wh".to_owned();
    Change { webhook, asked, ended: asked + 1, is_certain: true, cancels: false, setting }
}

fn arrival(started: u64, answered: u16) -> Arrival {
    Arrival {
        webhook: "wh".to_owned(),
        event: "e".to_owned(),
        started,
        url: "https://r.example/0".to_owned(),
        secret: "first".to_owned(),
        body: 7,
        content: 7,
        answered: Some(answered),
    }
}

fn attempt(number: u32, started_at: i64, status: u16) -> ListedAttempt {
    ListedAttempt {
        number,
        is_manual: false,
        started_at,
        ended_at: started_at + 10,
        status: Some(status),
        retry_after_ms: 0,
    }
}

/// One event that a webhook got at the second attempt.
fn good() -> Ledger {
    Ledger {
        publishes: vec![Publish {
            tenant: "acme".to_owned(),
            given_id: Some("e".to_owned()),
            event_type: "deploy.done".to_owned(),
            content: 7,
            asked: 10,
            ended: 12,
            answer: Answer::Accepted { id: "e".to_owned(), is_repeat: false, matched: 1 },
        }],
        changes: vec![change(0, setting())],
        retries: Vec::new(),
        arrivals: vec![arrival(20, 500), arrival(30, 200)],
        deliveries: vec![Delivery {
            tenant: "acme".to_owned(),
            event: "e".to_owned(),
            webhook: "wh".to_owned(),
            state: State::Succeeded,
            delays_ms: vec![0, 100],
            attempts: vec![attempt(1, 1_000, 500), attempt(2, 1_110, 200)],
        }],
        cut_off: 0,
        slack: 0,
    }
}

fn finds(rule: Rule, spoil: impl FnOnce(&mut Ledger)) {
    let mut ledger = good();
    spoil(&mut ledger);
    let found = check(&ledger);
    assert!(found.iter().any(|violation| violation.rule == rule), "{rule:?} not in {found:#?}");
}

#[test]
fn a_good_ledger_has_no_violations() {
    assert_eq!(check(&good()), []);
}

#[test]
fn a_lost_delivery_is_found() {
    finds(Rule::NothingLost, |ledger| ledger.deliveries.clear());
}

#[test]
fn a_webhook_that_wanted_an_event_and_has_no_delivery_is_found() {
    finds(Rule::NothingLost, |ledger| {
        let other = Change { webhook: "other".to_owned(), ..change(0, setting()) };
        ledger.changes.push(other);
    });
}

#[test]
fn a_delivery_to_another_tenant_is_found() {
    finds(Rule::NothingStray, |ledger| ledger.changes[0].setting.tenant = "else".to_owned());
}

#[test]
fn a_delivery_to_a_webhook_that_was_disabled_is_found() {
    let disabled = Setting { is_enabled: false, ..setting() };
    finds(Rule::NothingStray, |ledger| ledger.changes.push(change(5, disabled)));
}

#[test]
fn an_event_accepted_as_new_twice_is_found() {
    finds(Rule::IdsNameOneEvent, |ledger| ledger.publishes.push(ledger.publishes[0].clone()));
}

#[test]
fn a_conflict_with_nothing_is_found() {
    finds(Rule::IdsNameOneEvent, |ledger| ledger.publishes[0].answer = Answer::Conflict);
}

#[test]
fn another_body_or_content_is_found() {
    finds(Rule::ContentConstant, |ledger| ledger.arrivals[1].body = 8);
    finds(Rule::ContentConstant, |ledger| {
        ledger.arrivals.iter_mut().for_each(|arrival| arrival.content = 8);
    });
}

#[test]
fn gaps_in_the_numbers_are_found() {
    finds(Rule::AttemptsDense, |ledger| ledger.deliveries[0].attempts[1].number = 3);
}

#[test]
fn an_early_attempt_is_found() {
    finds(Rule::NoneEarly, |ledger| ledger.deliveries[0].attempts[1].started_at = 1_109);
    finds(Rule::NoneEarly, |ledger| ledger.deliveries[0].attempts[0].retry_after_ms = 101);
}

#[test]
fn an_attempt_after_a_success_is_found_unless_somebody_asked() {
    finds(Rule::NoneAfterSuccess, |ledger| {
        ledger.deliveries[0].delays_ms.push(100);
        ledger.deliveries[0].attempts.push(attempt(3, 2_000, 200));
        ledger.arrivals.push(arrival(40, 200));
    });
    let mut asked = good();
    let manual = ListedAttempt { is_manual: true, ..attempt(3, 2_000, 200) };
    asked.deliveries[0].attempts.push(manual);
    asked.arrivals.push(arrival(40, 200));
    let (event, webhook) = ("e".to_owned(), "wh".to_owned());
    asked.retries.push(Retry { event, webhook, acknowledged_at: Some(1_900) });
    assert_eq!(check(&asked), []);
}

#[test]
fn a_schedule_cut_short_or_overrun_is_found() {
    finds(Rule::WholeSchedule, |ledger| {
        let row = &mut ledger.deliveries[0];
        row.state = State::Failed;
        row.attempts.pop();
    });
    finds(Rule::WholeSchedule, |ledger| ledger.deliveries[0].delays_ms.truncate(1));
}

#[test]
fn manual_attempts_that_differ_from_what_was_asked_are_found() {
    finds(Rule::ManualAsAsked, |ledger| ledger.deliveries[0].attempts[1].is_manual = true);
    finds(Rule::ManualAsAsked, |ledger| {
        let (event, webhook) = ("e".to_owned(), "wh".to_owned());
        ledger.retries.push(Retry { event, webhook, acknowledged_at: Some(5_000) });
    });
}

#[test]
fn a_recorded_answer_that_nobody_gave_is_found() {
    finds(Rule::RecordsAreTrue, |ledger| ledger.arrivals[1].answered = None);
    finds(Rule::RecordsAreTrue, |ledger| {
        ledger.arrivals.pop();
    });
}

#[test]
fn a_request_that_is_not_recorded_is_found_unless_a_crash_cut_it_off() {
    finds(Rule::RecordsAreTrue, |ledger| ledger.arrivals.push(arrival(40, 500)));
    let mut cut_off = good();
    cut_off.arrivals.push(arrival(25, 200));
    cut_off.cut_off = 1;
    assert_eq!(check(&cut_off), []);
}

#[test]
fn a_cancellation_that_nobody_asked_for_is_found() {
    finds(Rule::CancelledAsAsked, |ledger| ledger.deliveries[0].state = State::Cancelled);
}

#[test]
fn an_attempt_with_what_a_change_replaced_is_found() {
    let rotated = Setting { secret: "second".to_owned(), ..setting() };
    finds(Rule::NothingStale, |ledger| ledger.changes.push(change(25, rotated)));
}

#[test]
fn an_attempt_while_a_change_is_under_way_may_use_either() {
    let mut ledger = good();
    let moved = Setting { url: "https://r.example/1".to_owned(), ..setting() };
    ledger.changes.push(Change { ended: 35, ..change(25, moved) });
    assert_eq!(check(&ledger), []);
}

#[test]
fn a_delivery_that_is_pending_behind_an_open_webhook_is_found() {
    finds(Rule::Settled, |ledger| ledger.deliveries[0].state = State::Pending);
    let mut paused = good();
    paused.deliveries[0].state = State::Pending;
    paused.changes.push(change(40, Setting { is_enabled: false, ..setting() }));
    assert_eq!(check(&paused), []);
}
