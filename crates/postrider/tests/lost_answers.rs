//! A store whose commits take effect and whose answers are lost, or that can't be read: nothing
//! waits for a restart.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postrider::clock::Clock;
use postrider::engine::{
    DEFAULT_TENANT, Engine, EngineParts, NewEvent, PublishError, UnknownEventTypes, WebhookDraft,
};
use postrider::http::state::ServerState;
use postrider::profile::Profiles;
use postrider::send::{Sender, SenderOptions, SystemResolver};
use postrider_core::address::AddressPolicy;
use postrider_core::catalogue::CatalogueEntry;
use postrider_core::delivery::{HistoryEntry, Standing};
use postrider_core::event::Event;
use postrider_core::event_type::{EventType, Patterns};
use postrider_core::health::{Health, HealthPolicy};
use postrider_core::id::{
    ApiKeyKey, DeliveryKey, EventKey, HistoryKey, MatchingKey, ReplayKey, TenantKey, UnixMs,
    WebhookKey,
};
use postrider_core::matching::Matching;
use postrider_core::schedule::{Jitter, RetrySchedule};
use postrider_core::target::TargetPolicy;
use postrider_core::webhook::Webhook;
use postrider_signature::seal::{SealingKey, SealingKeys};
use postrider_store::{
    AccessStore, ApiKey, Backlog, Batch, CancelRequest, Cancelled, Cancelling, Committed, Counts,
    DeliveryPage, DeliverySearch, DeliveryStanding, DeliveryStore, DuePage, DueQuery, EventPage,
    EventSearch, EventStore, EventTypeStore, HealthStore, LaneStart, MaintenanceStore, MemoryStore,
    Replay, ReplayState, ReplayStep, ReplayStepped, ReplayStore, RetryRequest, Slot, Span,
    Statistics, StoreError, Swept, Tenant, TenantEnding, WebhookStore,
};

/// Nobody listens there: every attempt ends at once.
const NOBODY: &str = "http://127.0.0.1:9/in";

const ADMIN_KEY: &str = "the-admin-key-of-these-tests";

type Answer<T> = Result<T, StoreError>;

/// A memory store that loses an answer now and then.
#[derive(Default)]
struct LosesAnswers {
    inner: MemoryStore,
    /// That of the next commit with events.
    of_events: AtomicBool,
    /// That of the next commit with outcomes.
    of_outcomes: AtomicBool,
    /// What it can't do, by its name.
    cannot: Mutex<Option<&'static str>>,
}

#[tokio::test]
async fn an_event_whose_answer_was_lost_is_delivered_all_the_same() {
    let store = Arc::new(LosesAnswers::default());
    let (engine, webhook) = start(&store).await;
    store.of_events.store(true, Ordering::Relaxed);
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let refused = engine.publish(tenant, event()).await.unwrap_err();
    assert!(matches!(refused, PublishError::Store(StoreError::Unavailable(_))), "{refused}");
    let stored = store.inner.events(tenant, None, 1).await.unwrap();
    until_failed(&store, DeliveryKey { event: stored[0].key, webhook }).await;
    engine.stop(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn after_an_outcome_whose_answer_was_lost_the_next_attempt_is_made() {
    let store = Arc::new(LosesAnswers::default());
    let (engine, webhook) = start(&store).await;
    store.of_outcomes.store(true, Ordering::Relaxed);
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let published = engine.publish(tenant, event()).await.unwrap();
    until_failed(&store, DeliveryKey { event: published.event.key, webhook }).await;
    assert!(!store.of_outcomes.load(Ordering::Relaxed), "an answer was lost");
    engine.stop(Duration::from_secs(10)).await;
}

#[tokio::test]
async fn a_webhook_is_enabled_though_what_it_missed_cannot_be_counted() {
    let store = Arc::new(LosesAnswers::default());
    let (engine, webhook) = start(&store).await;
    let state = ServerState::new(engine.clone(), 1 << 20);
    let mut router = postrider::api::router(state, axum::Router::new());
    let mut post = async |action: &str| {
        let request = http::Request::post(format!("/v1/webhooks/{webhook}/{action}"))
            .header("authorization", format!("Bearer {ADMIN_KEY}"))
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = tower::Service::call(&mut router, request).await.unwrap();
        assert_eq!(answer.status(), 200, "{action}");
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()
    };
    post("disable").await;
    *store.cannot.lock().unwrap() = Some("find_deliveries");
    let enabled = post("enable").await;
    assert_eq!((&enabled["state"], &enabled["missed"]), (&"enabled".into(), &().into()));
    engine.stop(Duration::ZERO).await;
}

/// An engine, and a webhook with two attempts, one right after the other.
async fn start(store: &Arc<LosesAnswers>) -> (Engine, WebhookKey) {
    let policy = TargetPolicy {
        allow_http: true,
        networks: AddressPolicy {
            danger_allow_networks: vec!["127.0.0.0/8".parse().unwrap()],
            ..AddressPolicy::default()
        },
        ..TargetPolicy::default()
    };
    let resolver = Arc::new(SystemResolver::new().unwrap());
    let engine = Engine::start(EngineParts {
        store: store.clone(),
        clock: Clock::system(),
        profiles: Profiles::new("standard", Vec::new()).unwrap(),
        sealing: SealingKeys::new(SealingKey::from_bytes(&[7; 32])),
        sender: Sender::new(SenderOptions::new(policy.clone(), resolver)).unwrap(),
        policy,
        admin_key: Some(ADMIN_KEY.to_owned()),
        public_url: "http://127.0.0.1:8080".to_owned(),
        attempt_timeout: Duration::from_secs(5),
        webhooks_per_tenant_max: 10,
        retention: Duration::from_hours(24),
        health: HealthPolicy::default(),
        unknown_event_types: UnknownEventTypes::Accept,
    });
    let engine = engine.await.unwrap();
    let draft = WebhookDraft {
        schedule: Some(RetrySchedule::list(&[0, 0], Jitter::None).unwrap()),
        ..WebhookDraft::new(NOBODY.to_owned(), Patterns::all())
    };
    let tenant = engine.tenant(DEFAULT_TENANT).unwrap().key;
    let live = engine.create_webhook(tenant, draft).await.unwrap();
    (engine, live.webhook.key)
}

fn event() -> NewEvent {
    NewEvent {
        id: Some("order-7".to_owned()),
        event_type: "code.generated".parse().unwrap(),
        occurred_at: None,
        data: b"{}".to_vec(),
    }
}

/// Waits until both attempts of a delivery are recorded.
async fn until_failed(store: &LosesAnswers, delivery: DeliveryKey) {
    let failed = async {
        loop {
            let stands = store.inner.delivery(delivery).await.unwrap().unwrap().standing;
            if let Standing::Final { progress, .. } = stands {
                assert_eq!(progress.attempts, 2);
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), failed).await.unwrap();
}

#[async_trait]
impl EventStore for LosesAnswers {
    async fn commit(&self, batch: &Batch) -> Answer<Committed> {
        let committed = self.inner.commit(batch).await;
        let lost = |flag: &AtomicBool, count| count > 0 && flag.swap(false, Ordering::Relaxed);
        if lost(&self.of_events, batch.accepts.len())
            || lost(&self.of_outcomes, batch.records.len())
        {
            return Err(StoreError::Unavailable("the answer was lost".to_owned()));
        }
        committed
    }
    async fn event(&self, tenant: TenantKey, id: &str) -> Answer<Option<Arc<Event>>> {
        self.inner.event(tenant, id).await
    }
    async fn event_by_key(&self, key: EventKey) -> Answer<Option<Arc<Event>>> {
        self.inner.event_by_key(key).await
    }
    async fn events(
        &self,
        tenant: TenantKey,
        before: Option<EventKey>,
        limit: usize,
    ) -> Answer<Vec<Arc<Event>>> {
        self.inner.events(tenant, before, limit).await
    }
    async fn find_events(&self, search: EventSearch) -> Answer<EventPage> {
        self.inner.find_events(search).await
    }
    async fn matching(&self, key: MatchingKey) -> Answer<Option<Arc<Matching>>> {
        self.inner.matching(key).await
    }
}

/// Everything else is the memory store's.
macro_rules! passed_on {
    ($($trait:ident { $($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)* })*) => {
        $(#[async_trait]
        impl $trait for LosesAnswers {
            $(async fn $name(&self, $($arg: $kind),*) -> Answer<$answer> {
                if *self.cannot.lock().unwrap() == Some(stringify!($name)) {
                    return Err(StoreError::Unavailable("not now".to_owned()));
                }
                self.inner.$name($($arg),*).await
            })*
        })*
    };
}

passed_on! {
    WebhookStore {
        insert_webhook(webhook: Webhook) -> ();
        update_webhook(webhook: Webhook) -> ();
        webhooks(after: Option<WebhookKey>, limit: usize) -> Vec<Webhook>;
    }
    DeliveryStore {
        due(query: DueQuery) -> DuePage;
        lanes(after: Option<WebhookKey>, limit: usize) -> Vec<LaneStart>;
        request_retry(request: RetryRequest) -> Option<DeliveryStanding>;
        request_cancel(request: CancelRequest) -> Option<Cancelled>;
        find_deliveries(search: DeliverySearch) -> DeliveryPage;
        cancel_pending(cancelling: Cancelling) -> usize;
        backlog(webhooks: Vec<WebhookKey>, count_max: usize) -> Backlog;
        deliveries_of_event(event: EventKey, after: Option<WebhookKey>, limit: usize)
            -> Vec<DeliveryStanding>;
        delivery(delivery: DeliveryKey) -> Option<DeliveryStanding>;
        history(delivery: DeliveryKey) -> Vec<HistoryEntry>;
        history_of_webhook(webhook: WebhookKey, before: Option<HistoryKey>, limit: usize)
            -> Vec<HistoryEntry>;
    }
    HealthStore {
        healths(after: Option<WebhookKey>, limit: usize) -> Vec<(WebhookKey, Health)>;
        keep_health(webhook: WebhookKey, health: Health) -> ();
        add_statistics(statistics: Statistics) -> ();
        webhook_slots(webhooks: Vec<WebhookKey>, span: Span) -> Vec<Slot<WebhookKey>>;
        tenant_slots(tenant: TenantKey, span: Span) -> Vec<Slot<TenantKey>>;
    }
    EventTypeStore {
        put_event_type(entry: CatalogueEntry) -> ();
        event_types(after: Option<(TenantKey, EventType)>, limit: usize) -> Vec<CatalogueEntry>;
    }
    ReplayStore {
        insert_replay(replay: Replay) -> ();
        replay(key: ReplayKey) -> Option<Replay>;
        replays(tenant: TenantKey, webhook: Option<WebhookKey>, before: Option<ReplayKey>,
            limit: usize) -> Vec<Replay>;
        running_replays(after: Option<ReplayKey>, limit: usize) -> Vec<Replay>;
        step_replay(step: ReplayStep) -> ReplayStepped;
        end_replay(key: ReplayKey, state: ReplayState, at: UnixMs) -> Option<Replay>;
    }
    AccessStore {
        insert_tenant(tenant: Tenant) -> ();
        tenants() -> Vec<Tenant>;
        delete_tenant(ending: TenantEnding) -> bool;
        insert_api_key(key: ApiKey) -> ();
        api_keys() -> Vec<ApiKey>;
        revoke_api_key(key: ApiKeyKey, at: UnixMs) -> bool;
    }
}

#[async_trait]
impl MaintenanceStore for LosesAnswers {
    fn is_broken(&self) -> bool {
        false
    }
    async fn newest_key_ms(&self) -> Answer<UnixMs> {
        self.inner.newest_key_ms().await
    }
    async fn sweep(&self, keep_from: UnixMs) -> Answer<Swept> {
        self.inner.sweep(keep_from).await
    }
    async fn counts(&self) -> Answer<Counts> {
        self.inner.counts().await
    }
}
