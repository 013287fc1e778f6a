//! The engine against a real receiver over loopback, without the API.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use postrider::clock::Clock;
use postrider::engine::{
    DEFAULT_TENANT, Engine, EngineParts, EventTypeDraft, EventTypePatch, NewEvent, PublishError,
    RetryError, UnknownEventTypes, WantedState, WebhookDraft, WebhookError, WebhookPatch,
};
use postrider::profile::{Profile, Profiles};
use postrider::send::{Sender, SenderOptions, SystemResolver};
use postrider_core::address::AddressPolicy;
use postrider_core::catalogue::Validation;
use postrider_core::delivery::DeliveryState;
use postrider_core::event_type::Patterns;
use postrider_core::health::HealthPolicy;
use postrider_core::id::DeliveryKey;
use postrider_core::matching::{Reason, Unmatched};
use postrider_core::target::TargetPolicy;
use postrider_signature::seal::{SealingKey, SealingKeys};
use postrider_signature::{NumberPolicy, Secret, SigningProfile, Tolerance, verify};
use postrider_store::{MemoryStore, SqliteOptions, SqliteStore, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// A receiver that answers with the statuses it is given, in turn, and shows what it got.
struct Receiver {
    url: String,
    requests: mpsc::UnboundedReceiver<String>,
}

impl Receiver {
    async fn start(statuses: Vec<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/in", listener.local_addr().unwrap());
        let (seen, requests) = mpsc::unbounded_channel();
        let mut statuses = statuses.into_iter();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let request = read_request(&mut stream).await;
                let status = statuses.next().unwrap_or(200);
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                if seen.send(request).is_err() {
                    return;
                }
            }
        });
        Self { url, requests }
    }

    async fn next(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(10), self.requests.recv()).await.unwrap().unwrap()
    }
}

async fn read_request(stream: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() == length.unwrap().parse::<usize>().unwrap() {
                return text.into_owned();
            }
        }
        assert!(read > 0, "the request ended early");
    }
}

async fn start(store: Arc<dyn Store>, clock: Clock) -> Engine {
    start_with(store, clock, Profiles::new("standard", Vec::new()).unwrap()).await
}

async fn start_with(store: Arc<dyn Store>, clock: Clock, profiles: Profiles) -> Engine {
    let policy = TargetPolicy {
        allow_http: true,
        networks: AddressPolicy {
            danger_allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..AddressPolicy::default()
        },
        ..TargetPolicy::default()
    };
    let resolver = Arc::new(SystemResolver::new().unwrap());
    Engine::start(EngineParts {
        store,
        clock,
        profiles,
        sealing: SealingKeys::new(SealingKey::from_bytes(&[7; 32])),
        sender: Sender::new(SenderOptions::new(policy.clone(), resolver)).unwrap(),
        policy,
        admin_key: Some("an-admin-key-for-this-test".to_owned()),
        public_url: "http://127.0.0.1:8080".to_owned(),
        attempt_timeout: Duration::from_secs(5),
        webhooks_per_tenant_max: 10,
        unknown_event_types: UnknownEventTypes::Refuse,
        retention: Duration::from_hours(30 * 24),
        health: HealthPolicy::default(),
    })
    .await
    .unwrap()
}

fn draft(url: &str, secret: Option<&str>) -> WebhookDraft {
    WebhookDraft {
        secret: secret.map(str::to_owned),
        headers: vec![("x-team".to_owned(), "blue".to_owned())],
        ..WebhookDraft::new(url.to_owned(), Patterns::parse(&["code.*"]).unwrap())
    }
}

fn event() -> NewEvent {
    NewEvent {
        id: None,
        event_type: "code.generated".parse().unwrap(),
        occurred_at: None,
        data: br#"{"files":3,"ratio":1.50}"#.to_vec(),
    }
}

/// Waits until a delivery stands in a state, watching the store.
async fn until_state(engine: &Engine, delivery: DeliveryKey, state: DeliveryState) {
    let reached = async {
        while engine.store().delivery(delivery).await.unwrap().unwrap().standing.state() != state {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap();
}

#[tokio::test]
async fn a_published_event_arrives_signed() {
    let engine = start(Arc::new(MemoryStore::default()), Clock::system()).await;
    let mut receiver = Receiver::start(vec![]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft(&receiver.url, Some("a-secret"))).await.unwrap();
    assert_eq!(live.webhook.profile, "autonoma", "the secret's format decides");
    let published = engine.publish(tenant, event()).await.unwrap();
    assert_eq!(published.matched, 1);

    let request = receiver.next().await;
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(body.ends_with(r#""data":{"files":3,"ratio":1.5}}"#), "{body}");
    let header =
        |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("x-team"), Some("blue"));
    let profile = SigningProfile::autonoma();
    let secret = Secret::parse("a-secret", &profile.secret_format).unwrap();
    let keys = [(&secret).into()];
    let verified =
        verify(&profile, &keys, header, body.as_bytes(), engine.now(), Tolerance::default());
    assert_eq!(verified.unwrap().id, published.event.id());

    let delivery = DeliveryKey { event: published.event.key, webhook: live.webhook.key };
    until_state(&engine, delivery, DeliveryState::Succeeded).await;
    assert_eq!(engine.stop(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_failed_attempt_is_made_again_when_its_time_has_come_and_not_before() {
    let clock = Clock::system();
    let engine = start(Arc::new(MemoryStore::default()), clock.clone()).await;
    let mut receiver = Receiver::start(vec![500, 503]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft(&receiver.url, None)).await.unwrap();
    let published = engine.publish(tenant, event()).await.unwrap();
    let delivery = DeliveryKey { event: published.event.key, webhook: live.webhook.key };
    let first = receiver.next().await;
    for wait_s in [6, 331] {
        let due = loop {
            let entries = engine.store().history(delivery).await.unwrap();
            match entries.last().and_then(|entry| entry.standing.due()) {
                Some(due) if due > engine.now() => break due,
                _ => tokio::task::yield_now().await,
            }
        };
        assert!(due - engine.now() <= wait_s * 1_000);
        clock.advance(Duration::from_secs(u64::try_from(wait_s).unwrap()));
        let again = receiver.next().await;
        let body = |request: &str| request.split_once("\r\n\r\n").unwrap().1.to_owned();
        assert_eq!(body(&first), body(&again), "the same bytes in every attempt");
    }
    until_state(&engine, delivery, DeliveryState::Succeeded).await;
    assert_eq!(engine.store().history(delivery).await.unwrap().len(), 3);
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn gone_disables_the_webhook_and_a_retry_is_one_attempt() {
    let engine = start(Arc::new(MemoryStore::default()), Clock::system()).await;
    let mut receiver = Receiver::start(vec![410]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft(&receiver.url, None)).await.unwrap();
    let published = engine.publish(tenant, event()).await.unwrap();
    receiver.next().await;
    let delivery = DeliveryKey { event: published.event.key, webhook: live.webhook.key };
    until_state(&engine, delivery, DeliveryState::Failed).await;
    while engine.webhook(tenant, live.webhook.key).unwrap().webhook.version == 1 {
        tokio::task::yield_now().await;
    }
    let refused = engine.retry(tenant, delivery).await.unwrap_err();
    assert!(matches!(refused, RetryError::WebhookDisabled), "{refused}");

    let enable = WebhookPatch { state: Some(WantedState::Enabled), ..WebhookPatch::default() };
    engine.patch_webhook(tenant, live.webhook.key, enable).await.unwrap();
    engine.retry(tenant, delivery).await.unwrap();
    receiver.next().await;
    until_state(&engine, delivery, DeliveryState::Succeeded).await;
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_deleted_webhook_gets_nothing_and_its_pending_work_is_cancelled() {
    let engine = start(Arc::new(MemoryStore::default()), Clock::system()).await;
    let mut receiver = Receiver::start(vec![500]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft(&receiver.url, None)).await.unwrap();
    let published = engine.publish(tenant, event()).await.unwrap();
    receiver.next().await;
    engine.delete_webhook(tenant, live.webhook.key).await.unwrap();
    let delivery = DeliveryKey { event: published.event.key, webhook: live.webhook.key };
    until_state(&engine, delivery, DeliveryState::Cancelled).await;
    assert_eq!(engine.publish(tenant, event()).await.unwrap().matched, 0);
    assert!(engine.webhook(tenant, live.webhook.key).is_none());
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_repeated_id_answers_with_the_first_event() {
    let engine = start(Arc::new(MemoryStore::default()), Clock::system()).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let given = NewEvent { id: Some("order-1".to_owned()), ..event() };
    let first = engine.publish(tenant, given.clone()).await.unwrap();
    let second = engine.publish(tenant, given.clone()).await.unwrap();
    assert!(!first.is_repeat && second.is_repeat);
    assert_eq!(first.event.key, second.event.key);
    let other = NewEvent { data: b"{}".to_vec(), ..given };
    assert!(engine.publish(tenant, other).await.is_err());
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_body_made_later_keeps_to_what_its_type_said_when_it_was_accepted() {
    let engine = start(Arc::new(MemoryStore::default()), Clock::system()).await;
    let mut receiver = Receiver::start(vec![500, 500]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft(&receiver.url, None)).await.unwrap();
    let large = NewEvent { data: br#"{"n":9007199254740993}"#.to_vec(), ..event() };
    let name = &large.event_type;
    let choose = async |numbers| {
        let patch = EventTypePatch { large_integers: Some(numbers), ..EventTypePatch::default() };
        engine.patch_event_type(tenant, name.clone(), patch).await.unwrap();
    };
    choose(NumberPolicy::Stringify).await;
    let published = engine.publish(tenant, large.clone()).await.unwrap();
    let body = |request: &str| request.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert!(body(&receiver.next().await).ends_with(r#"{"n":9007199254740993}}"#), "as published");

    choose(NumberPolicy::Round).await;
    let delivery = DeliveryKey { event: published.event.key, webhook: live.webhook.key };
    let autonoma = WebhookPatch {
        profile: Some("autonoma".to_owned()),
        secret: Some("a-secret".to_owned()),
        ..WebhookPatch::default()
    };
    engine.patch_webhook(tenant, live.webhook.key, autonoma).await.unwrap();
    for _ in 0..2 {
        while engine.retry(tenant, delivery).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert!(body(&receiver.next().await).ends_with(r#"{"n":"9007199254740993"}}"#));
    }
    until_state(&engine, delivery, DeliveryState::Succeeded).await;
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn filters_and_event_types_count_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("postrider.db");
    let open = || -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap())
    };
    let engine = start(open(), Clock::system()).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let filtered = WebhookDraft {
        filter: Some("data.files > 5".to_owned()),
        ..draft("http://127.0.0.1:9/", None)
    };
    engine.create_webhook(tenant, filtered).await.unwrap();
    let paid = EventTypeDraft {
        name: "invoice.paid".parse().unwrap(),
        description: None,
        schema: Some(r#"{"required":["amount"]}"#.to_owned()),
        example: None,
        validation: Validation::Reject,
        large_integers: NumberPolicy::Refuse,
    };
    engine.create_event_type(tenant, paid).await.unwrap();
    let small = engine.publish(tenant, event()).await.unwrap();
    engine.stop(Duration::from_secs(5)).await;
    drop(engine);

    let engine = start(open(), Clock::system()).await;
    let invoice = |data: &str| NewEvent {
        event_type: "invoice.paid".parse().unwrap(),
        data: data.as_bytes().to_vec(),
        ..event()
    };
    let refused = engine.publish(tenant, invoice("{}")).await;
    assert!(matches!(refused, Err(PublishError::Schema(_))), "{refused:?}");
    assert_eq!(engine.publish(tenant, invoice(r#"{"amount":1}"#)).await.unwrap().matched, 0);
    assert_eq!(engine.publish(tenant, event()).await.unwrap().matched, 0);
    let large = NewEvent { data: br#"{"files":6}"#.to_vec(), ..event() };
    assert_eq!(engine.publish(tenant, large).await.unwrap().matched, 1);
    let matching = engine.store().matching(small.event.matching).await.unwrap().unwrap();
    let Unmatched::Named(named) = &matching.unmatched else { panic!("{matching:?}") };
    let filter = Some("data.files > 5".into());
    assert_eq!(named[0].1, Reason::FilterSaidNo { filter });
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn whether_a_webhook_wants_a_past_event_goes_by_what_it_says_now() {
    let engine = start(Arc::new(MemoryStore::default()), Clock::system()).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let published = engine.publish(tenant, event()).await.unwrap();
    // an id and data that look like the frame around the data
    let framed = NewEvent {
        id: Some("data".to_owned()),
        data: br#"{"s":",\"data\":1}","files":3}"#.to_vec(),
        ..event()
    };
    let framed = engine.publish(tenant, framed).await.unwrap();
    let wants = async |events: &str, filter: Option<&str>| {
        let draft = WebhookDraft {
            events: Patterns::parse(&[events]).unwrap(),
            filter: filter.map(str::to_owned),
            ..draft("http://127.0.0.1:9/", None)
        };
        let live = engine.create_webhook(tenant, draft).await.unwrap();
        let answers = [&published, &framed].map(|past| engine.wants(&live, &past.event));
        assert_eq!(answers[0], answers[1]);
        answers[0].clone()
    };
    assert_eq!(wants("code.*", None).await, Ok(()));
    assert_eq!(wants("other", None).await, Err(Reason::TypeNotWanted));
    assert_eq!(wants("*", Some("data.files == 3")).await, Ok(()));
    let filter = || Some("data.files == 4".into());
    let said_no = Reason::FilterSaidNo { filter: filter() };
    assert_eq!(wants("*", Some("data.files == 4")).await, Err(said_no));
    let error = Some("there is no m in it".into());
    let failed = Reason::FilterFailed { filter: Some("data.m".into()), error };
    assert_eq!(wants("*", Some("data.m")).await, Err(failed));
    engine.stop(Duration::from_secs(5)).await;
}

/// Polls a future once and drops it, as a server does whose client hangs up.
async fn hang_up(work: impl Future) {
    tokio::select! {
        biased;
        _ = work => panic!("ended before anybody could hang up"),
        () = std::future::ready(()) => {}
    }
}

fn sqlite(folder: &tempfile::TempDir) -> Arc<dyn Store> {
    let path = folder.path().join("postrider.db");
    Arc::new(SqliteStore::open(&path, SqliteOptions::default()).unwrap())
}

#[tokio::test]
async fn what_was_asked_for_is_done_whole_when_the_client_hangs_up() {
    let folder = tempfile::tempdir().unwrap();
    let engine = start(sqlite(&folder), Clock::system()).await;
    let mut receiver = Receiver::start(vec![]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft(&receiver.url, None)).await.unwrap();
    let key = live.webhook.key;
    let published = engine.publish(tenant, event()).await.unwrap();
    receiver.next().await;
    let delivery = DeliveryKey { event: published.event.key, webhook: key };
    until_state(&engine, delivery, DeliveryState::Succeeded).await;

    hang_up(engine.retry(tenant, delivery)).await;
    receiver.next().await;
    until_state(&engine, delivery, DeliveryState::Succeeded).await;

    let patch =
        WebhookPatch { description: Some(Some("new".to_owned())), ..WebhookPatch::default() };
    hang_up(engine.patch_webhook(tenant, key, patch)).await;
    let changed = async {
        while engine.webhook(tenant, key).unwrap().webhook.version == 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), changed).await.unwrap();
    hang_up(engine.delete_webhook(tenant, key)).await;
    let deleted = async {
        while engine.webhook(tenant, key).is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), deleted).await.unwrap();
    assert_eq!(engine.stop(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_replaced_secret_signs_too_until_its_overlap_ends() {
    let clock = Clock::system();
    let engine = start(Arc::new(MemoryStore::default()), clock.clone()).await;
    let mut receiver = Receiver::start(vec![]).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let old = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let live = engine.create_webhook(tenant, draft(&receiver.url, Some(old))).await.unwrap();
    let patch = WebhookPatch { secret: Some(new.to_owned()), ..WebhookPatch::default() };
    for _ in 0..2 {
        // The second time it is the current one already, and nothing is doubled.
        engine.patch_webhook(tenant, live.webhook.key, patch.clone()).await.unwrap();
    }
    let profile = SigningProfile::standard();
    for (after, expected) in [(0, [true, true]), (25, [true, false])] {
        clock.advance(Duration::from_hours(after));
        engine.publish(tenant, event()).await.unwrap();
        let request = receiver.next().await;
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let header =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        for (secret, is_accepted) in [new, old].into_iter().zip(expected) {
            let secret = Secret::parse(secret, &profile.secret_format).unwrap();
            let keys = [(&secret).into()];
            let tolerance = Tolerance::default();
            let verified =
                verify(&profile, &keys, header, body.as_bytes(), engine.now(), tolerance);
            assert_eq!(verified.is_ok(), is_accepted, "{after} h later");
        }
    }
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_profile_is_not_taken_whose_headers_a_webhook_sets_itself() {
    let mut brand = Profile::builtin("standard").unwrap();
    brand.signing.name = "acme".into();
    brand.signing.server_host_header = Some("x-team".into());
    let profiles = Profiles::new("standard", vec![brand]).unwrap();
    let engine = start_with(Arc::new(MemoryStore::default()), Clock::system(), profiles).await;
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let url = "http://127.0.0.1:9/in";
    let live = engine.create_webhook(tenant, draft(url, None)).await.unwrap();
    let patch = WebhookPatch { profile: Some("acme".to_owned()), ..WebhookPatch::default() };
    let refused = engine.patch_webhook(tenant, live.webhook.key, patch).await.unwrap_err();
    assert!(matches!(refused, WebhookError::Header(_)), "{refused}");
    engine.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_listener_that_a_crash_left_is_deleted_at_the_next_start() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let first = start(store.clone(), Clock::system()).await;
    let tenant = first.tenant(DEFAULT_TENANT).unwrap().key;
    let (live, listening) = first.listen(tenant, draft("", None)).await.unwrap();
    let published = first.publish(tenant, event()).await.unwrap();
    assert_eq!(published.matched, 1);
    // a process that is killed drops nothing
    std::mem::forget(listening);
    drop(first);

    let second = start(store.clone(), Clock::system()).await;
    assert!(second.webhook(tenant, live.webhook.key).is_none());
    second.stop(Duration::from_secs(5)).await;
}
