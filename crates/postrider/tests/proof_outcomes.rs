//! Proof: what each answer of a receiver leads to, and that a bad receiver costs no more than its
//! deadline and harms nobody else.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "each proof needs a part of what they share")]
mod proof;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use postrider_faults::client::{attempts, ended_ms, time_ms};
use postrider_faults::receiver::{Receiver, Reply, SEND_BUFFER_BYTES};
use postrider_faults::until;
use proof::server::Server;
use serde_json::{Value, json};

const DAY_MS: i64 = 86_400_000;
/// What may lie between the end of an attempt and the moment that its end is read off the clock.
const READING_MS: i64 = 2_000;
/// The shortest deadline that a webhook may have.
const DEADLINE_MS: f64 = 1_000.0;
/// For a machine that is busy at the deadline.
const LATE_MS: f64 = 1_500.0;
/// What an attempt reads of an answer (contract §3).
const READ_BYTES_MAX: u64 = 64 << 10;
/// What the kernel takes in for a socket that nobody reads: Linux's default receive buffer.
const RECEIVE_BUFFER_BYTES: u64 = 128 << 10;

/// A server, and a receiver behind one webhook of it.
struct Scene {
    _dir: tempfile::TempDir,
    server: Server,
    receiver: Receiver,
    webhook: String,
}

impl Scene {
    /// `settings` are those of the webhook beside its URL and events.
    async fn new(reply: Reply, settings: Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(dir.path()).await;
        let receiver = Receiver::start(move |_| reply.clone()).await;
        let mut webhook = settings;
        webhook["url"] = receiver.url().into();
        webhook["events"] = json!(["proof.*"]);
        let webhook = server.api.create_webhook(&webhook).await;
        Self { _dir: dir, server, receiver, webhook }
    }

    /// Publishes an event and returns its delivery's id and how it stands after one attempt.
    async fn first_attempt(&self) -> (String, Value) {
        let event = self.server.api.publish("proof.published").await;
        let id = self.server.api.sole_delivery(&event).await;
        let delivery = self.server.api.delivery_after(&id, 1).await;
        (id, delivery)
    }

    async fn webhook(&self) -> Value {
        self.server.api.get(&format!("/v1/webhooks/{}", self.webhook)).await
    }
}

#[tokio::test]
async fn success_is_200_to_299_and_nothing_else() {
    let trap = Receiver::answering(200).await;
    let scene = Scene::new(Reply::Answer(200), json!({"retry_schedule": [0, 3_600]})).await;
    for status in [200, 201, 204, 299] {
        scene.receiver.behave(move |_| Reply::Answer(status));
        let (_, delivery) = scene.first_attempt().await;
        assert_eq!(delivery["state"], "succeeded", "{status}");
        assert_eq!(attempts(&delivery)[0]["status"], status);
    }
    for status in [301, 302, 303, 307, 308, 400, 401, 403, 404, 429, 500, 502, 503] {
        let location = trap.url();
        scene
            .receiver
            .behave(move |_| Reply::AnswerWith(status, "location".to_owned(), location.clone()));
        let (_, delivery) = scene.first_attempt().await;
        assert_eq!(delivery["state"], "pending", "{status}");
        let attempt = &attempts(&delivery)[0];
        assert_eq!((&attempt["status"], &attempt["is_success"]), (&json!(status), &json!(false)));
        let waits = time_ms(&delivery["next_attempt_at"]).unwrap() - ended_ms(attempt);
        assert!((3_600_000..=3_960_000 + READING_MS).contains(&waits), "{status}: {waits} ms");
    }
    assert_eq!(trap.count(), 0, "a Location was requested");
    assert_eq!(scene.webhook().await["state"], "enabled");
    scene.server.stop().await;
}

#[tokio::test]
async fn gone_disables_the_webhook_and_cancels_what_is_pending() {
    let scene = Scene::new(Reply::Answer(500), json!({"retry_schedule": [0, 3_600]})).await;
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(scene.first_attempt().await.0);
    }
    scene.receiver.behave(|_| Reply::Answer(410));
    let (gone, delivery) = scene.first_attempt().await;
    assert_eq!(delivery["state"], "failed", "{gone}");
    let api = scene.server.api;
    let is_disabled = async || (scene.webhook().await["state"] == "disabled").then_some(());
    until("the webhook is disabled", is_disabled).await;
    assert_eq!(scene.webhook().await["disabled_reason"], "gone");
    for id in &waiting {
        let delivery = api.delivery_in(id, "cancelled").await;
        let last = delivery["history"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["reason"], "webhook_gone", "{delivery}");
    }
    let asked = api.retry(&gone).await;
    assert_eq!(asked.status, 409, "{}", asked.text);

    let requests = scene.receiver.count();
    scene.server.clock.advance(Duration::from_hours(24));
    let event = json!({"type": "proof.published", "data": 1}).to_string();
    let published = api.call("POST", "/v1/events", &event).await;
    assert_eq!(published.json()["matched"], 0);
    assert_eq!(scene.receiver.count(), requests, "a gone receiver was tried again");
    assert_eq!(scene.server.counts().await.deliveries_pending, 0);
    scene.server.stop().await;
}

#[tokio::test]
async fn gone_from_a_former_url_is_a_failure_like_others() {
    let scene = Scene::new(Reply::Held(410), json!({"retry_schedule": [0, 60]})).await;
    let api = scene.server.api;
    let event = api.publish("proof.published").await;
    let delivery = api.sole_delivery(&event).await;
    scene.receiver.request(1).await;
    let present = Receiver::answering(200).await;
    api.patch_webhook(&scene.webhook, &json!({"url": present.url()})).await;
    scene.receiver.release();
    let after = api.delivery_after(&delivery, 1).await;
    assert_eq!((&after["state"], &attempts(&after)[0]["status"]), (&json!("pending"), &json!(410)));
    scene.server.clock.advance(Duration::from_mins(2));
    api.delivery_in(&delivery, "succeeded").await;
    assert_eq!(present.count(), 1, "the second attempt goes to where the webhook leads now");
    assert_eq!(scene.webhook().await["state"], "enabled");
    scene.server.stop().await;
}

#[tokio::test]
async fn retry_after_on_429_and_503_lengthens_the_wait_up_to_a_day_and_never_shortens_it() {
    let scene = Scene::new(Reply::Answer(500), json!({"retry_schedule": [0, 60]})).await;
    let in_an_hour = || http_date(now_ms() + 3_600_000);
    // the schedule's own wait: a minute and up to a tenth more
    let own = 60_000..=66_000;
    for (status, value, expected) in [
        (429, "120".to_owned(), 120_000..=120_000),
        (503, "7200".to_owned(), 7_200_000..=7_200_000),
        (429, "5".to_owned(), own.clone()),
        (503, "0".to_owned(), own.clone()),
        (503, "86400".to_owned(), DAY_MS..=DAY_MS),
        (429, "86401".to_owned(), DAY_MS..=DAY_MS),
        (503, "1e18".to_owned(), DAY_MS..=DAY_MS),
        (429, "99999999999999999999999".to_owned(), DAY_MS..=DAY_MS),
        (429, "-1".to_owned(), own.clone()),
        (503, "soon".to_owned(), own.clone()),
        (429, String::new(), own.clone()),
        (503, in_an_hour(), 3_590_000..=3_600_000),
        (429, in_an_hour(), 3_590_000..=3_600_000),
        (503, http_date(0), own.clone()),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT".to_owned(), DAY_MS..=DAY_MS),
        (500, "7200".to_owned(), own.clone()),
        (404, "7200".to_owned(), own.clone()),
        (302, in_an_hour(), own),
    ] {
        let sent = value.clone();
        scene
            .receiver
            .behave(move |_| Reply::AnswerWith(status, "retry-after".to_owned(), sent.clone()));
        let (_, delivery) = scene.first_attempt().await;
        let due = time_ms(&delivery["next_attempt_at"]).unwrap();
        let waits = due - ended_ms(&attempts(&delivery)[0]);
        let (least, most) = (*expected.start(), *expected.end() + READING_MS);
        assert!((least..=most).contains(&waits), "{status} with {value:?}: {waits} ms");
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_bad_receiver_costs_at_most_its_deadline_and_64_kib() {
    let settings = json!({"retry_schedule": [0, 3_600], "timeout_ms": 1_000});
    let scene = Scene::new(Reply::Silent, settings).await;
    let mut report = Vec::new();
    for (reply, state, class) in [
        (Reply::Reset, "pending", Some("connection")),
        (Reply::CutHead, "pending", Some("truncated")),
        (Reply::Silent, "pending", Some("timeout")),
        (Reply::TrickleHead, "pending", Some("timeout")),
        (Reply::TrickleBody(200), "pending", Some("timeout")),
        (Reply::TrickleBody(503), "pending", Some("timeout")),
        (Reply::EndlessHead, "pending", Some("protocol")),
        // read as far as we read, this is an answer, and its status says which
        (Reply::EndlessBody(200), "succeeded", None),
        (Reply::EndlessBody(500), "pending", Some("server_error")),
    ] {
        let behaviour = reply.clone();
        scene.receiver.behave(move |_| behaviour.clone());
        let written_before = scene.receiver.written_bytes();
        let (_, delivery) = scene.first_attempt().await;
        let attempt = &attempts(&delivery)[0];
        assert_eq!(delivery["state"], state, "{reply:?}: {attempt}");
        assert_eq!(attempt["error"]["class"].as_str(), class, "{reply:?}: {attempt}");
        let took_ms = attempt["timing_ms"]["total"].as_f64().unwrap();
        assert!(took_ms < DEADLINE_MS + LATE_MS, "{reply:?} cost {took_ms} ms");
        // the connection is closed, so this comes to an end
        let closed = async || (scene.receiver.unanswered() == 0).then_some(());
        until("the receiver sees the connection closed", closed).await;
        let written = scene.receiver.written_bytes() - written_before;
        let buffered = RECEIVE_BUFFER_BYTES + SEND_BUFFER_BYTES as u64;
        assert!(written <= READ_BYTES_MAX + buffered, "{reply:?} could write {written} bytes");
        let kept = attempt["response"]["body"].as_str().map_or(0, str::len);
        assert!(kept <= 16 << 10, "{reply:?}: {kept} bytes are kept");
        report.push(format!("{reply:?}: {took_ms:.0} ms, {written} bytes written"));
    }
    println!("what bad receivers cost:\n  {}", report.join("\n  "));
    scene.server.stop().await;
}

#[tokio::test]
async fn hanging_receivers_do_not_delay_a_healthy_one() {
    const EVENTS: usize = 200;
    const HANGING: usize = 20;
    let settings = json!({"timeout_ms": 30_000});
    let scene = Scene::new(Reply::Answer(200), settings).await;
    let (healthy, api) = (&scene.receiver, scene.server.api);
    let events = json!({"type": "proof.published", "data": "to all"});
    let batch = Value::from(vec![events; EVENTS]).to_string();

    let publish = async |wanted: usize| {
        let began = Instant::now();
        let answer = api.call("POST", "/v1/events", &batch).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        let requests = healthy.until(|requests| requests.len() >= wanted).await;
        requests[wanted - 1].at - began
    };
    let alone = publish(EVENTS).await;

    let hanging = Receiver::start(|_| Reply::Silent).await;
    for number in 0..HANGING {
        let url = format!("http://{}/{number}", hanging.address);
        let webhook = json!({"url": url, "events": ["proof.*"], "timeout_ms": 30_000});
        api.create_webhook(&webhook).await;
    }
    let beside = publish(2 * EVENTS).await;
    let is_hit = |number: usize| {
        let path = format!("/{number}");
        hanging.requests().iter().any(|request| request.path == path)
    };
    let all_hang = async || (0..HANGING).all(is_hit).then_some(());
    until("every hanging receiver has a request", all_hang).await;
    assert_eq!(hanging.unanswered(), hanging.count(), "a hanging attempt ended meanwhile");
    let again = publish(3 * EVENTS).await;
    assert_eq!(hanging.unanswered(), hanging.count(), "a hanging attempt ended meanwhile");
    println!(
        "{EVENTS} events to the healthy receiver: alone {alone:?}, beside {HANGING} hanging ones \
         {beside:?}, once more {again:?}; {} requests hang",
        hanging.count()
    );
    // each event is stored for 21 webhooks instead of one, which has its price; waiting for one
    // deadline of one hanging receiver would cost 30 s
    let generous = alone * 20 + Duration::from_secs(3);
    assert!(beside < generous && again < generous, "{alone:?}, then {beside:?} and {again:?}");
    drop(hanging);
    scene.server.stop().await;
}

#[tokio::test]
async fn a_manual_retry_is_one_attempt_at_once_and_the_schedule_goes_on_where_it_was() {
    let scene = Scene::new(Reply::Answer(500), json!({"retry_schedule": [0, 3_600]})).await;
    let api = scene.server.api;
    let retry = async |id: &str| {
        let asked = api.retry(id).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
    };

    let (id, before) = scene.first_attempt().await;
    retry(&id).await;
    let after = api.delivery_after(&id, 2).await;
    assert_eq!(after["state"], "pending");
    assert_eq!(after["next_attempt_at"], before["next_attempt_at"], "it goes on where it was");
    assert_eq!(attempts(&after)[1]["is_manual"], true);

    scene.server.advance_to(time_ms(&after["next_attempt_at"]).unwrap());
    let failed = api.delivery_after(&id, 3).await;
    assert_eq!(failed["state"], "failed", "the manual attempt did not count");
    assert_eq!(attempts(&failed)[2]["is_manual"], false);

    retry(&id).await;
    let failed = api.delivery_after(&id, 4).await;
    assert_eq!(failed["state"], "failed", "a finished schedule stays finished");
    assert_eq!(failed["next_attempt_at"], Value::Null);

    scene.receiver.behave(|_| Reply::Answer(200));
    for made in [5, 6] {
        // of a failed one, then of a succeeded one
        retry(&id).await;
        assert_eq!(api.delivery_after(&id, made).await["state"], "succeeded");
    }
    let (pending, _) = {
        scene.receiver.behave(|_| Reply::Answer(500));
        scene.first_attempt().await
    };
    scene.receiver.behave(|_| Reply::Answer(200));
    retry(&pending).await;
    let done = api.delivery_after(&pending, 2).await;
    assert_eq!((&done["state"], &done["next_attempt_at"]), (&json!("succeeded"), &Value::Null));

    let requests = scene.receiver.requests();
    let (first, second) = requests.split_at(6);
    for attempts in [first, second] {
        assert!(attempts.iter().all(|request| request.id() == attempts[0].id()));
        assert!(attempts.iter().all(|request| request.body == attempts[0].body));
    }
    scene.server.stop().await;
}

#[tokio::test]
async fn a_changed_url_and_secret_are_used_from_the_next_attempt_on() {
    use postrider_signature::{Secret, SigningProfile, Tolerance, verify};
    let settings = json!({"retry_schedule": [0, 60, 60, 60], "secret": "the-first-secret"});
    let scene = Scene::new(Reply::Answer(500), settings).await;
    let api = scene.server.api;
    let (id, delivery) = scene.first_attempt().await;
    let elsewhere = Receiver::answering(500).await;

    let profile = SigningProfile::autonoma();
    let is_signed = |request: &postrider_faults::receiver::Request, secret: &str| {
        let secret = Secret::parse(secret, &profile.secret_format).unwrap();
        let header = |name: &str| request.header(name);
        let now = scene.server.now();
        let age = Tolerance::danger_any_age();
        verify(&profile, &[(&secret).into()], header, &request.body, now, age).is_ok()
    };
    let first = scene.receiver.request(1).await;
    assert!(is_signed(&first, "the-first-secret") && !is_signed(&first, "the-second-secret"));

    api.patch_webhook(&scene.webhook, &json!({"url": elsewhere.url()})).await;
    scene.server.advance_to(time_ms(&delivery["next_attempt_at"]).unwrap());
    let moved = elsewhere.request(1).await;
    assert!(is_signed(&moved, "the-first-secret"));

    let delivery = api.delivery_after(&id, 2).await;
    api.patch_webhook(&scene.webhook, &json!({"secret": "the-second-secret"})).await;
    scene.server.advance_to(time_ms(&delivery["next_attempt_at"]).unwrap());
    let resigned = elsewhere.request(2).await;
    let old = first.header("x-autonoma-signature");
    assert_ne!(resigned.header("x-autonoma-signature"), old);
    assert!(is_signed(&resigned, "the-second-secret"));
    assert_eq!(resigned.body, first.body);

    let delivery = api.delivery_after(&id, 3).await;
    let both = json!({"url": scene.receiver.url(), "secret": "the-third-secret"});
    api.patch_webhook(&scene.webhook, &both).await;
    scene.server.advance_to(time_ms(&delivery["next_attempt_at"]).unwrap());
    let back = scene.receiver.request(2).await;
    // The list carries both during the overlap, the one-valued header only the new one.
    assert!(is_signed(&back, "the-third-secret") && is_signed(&back, "the-second-secret"));
    let hex = |request: &postrider_faults::receiver::Request| {
        request.header("x-autonoma-signature").map(str::to_owned)
    };
    assert_ne!(hex(&back), hex(&resigned));
    assert_eq!(elsewhere.count(), 2);
    scene.server.stop().await;
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// The preferred date form of RFC 9110 §5.6.7.
fn http_date(time: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    // YYYY-MM-DDTHH:MM:SS.mmmZ
    let text = postrider_signature::timestamp::format_ms(time);
    let month = MONTHS[text[5..7].parse::<usize>().unwrap() - 1];
    let day = DAYS[usize::try_from(time / DAY_MS % 7).unwrap()];
    format!("{day}, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}
