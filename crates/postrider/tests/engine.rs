//! The engine against a real receiver over loopback, without the API.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::Arc;
use std::time::Duration;

use postrider::clock::Clock;
use postrider::engine::{
    DEFAULT_TENANT, Engine, EngineParts, NewEvent, RetryError, UnknownEventTypes, WantedState,
    WebhookDraft, WebhookError, WebhookPatch,
};
use postrider::profile::{Profile, Profiles};
use postrider::send::{Sender, SenderOptions, SystemResolver};
use postrider_core::address::AddressPolicy;
use postrider_core::delivery::DeliveryState;
use postrider_core::event_type::Patterns;
use postrider_core::health::HealthPolicy;
use postrider_core::id::DeliveryKey;
use postrider_core::target::TargetPolicy;
use postrider_signature::seal::{SealingKey, SealingKeys};
use postrider_signature::{Secret, SigningProfile, Tolerance, verify};
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
