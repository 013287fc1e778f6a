//! Fills a data folder with three months of believable history, for looking at the dashboard and
//! for measuring it.
//!
//! `cargo run --release --example seed_dashboard -- --data-dir FOLDER [--attempts 20000] [--seed 1]`
//!
//! Three tenants, forty webhooks (most well, some failing in different ways, some disabled, one
//! behind), events of the built-in types, every attempt signed as a server would have signed it, and
//! what a server would have counted. Everything is written through the store. The same seed and
//! `--until` give the same history. Not part of what is shipped.

mod counted;
mod dice;
mod history;
mod payloads;
mod receivers;
mod temper;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use postrider::clock::Clock;
use postrider::config::{Config, Keys};
use postrider::profile::Profile;
use postrider::serve::DATABASE_FILE;
use postrider_core::delivery::DeliveryState;
use postrider_core::event_type::Patterns;
use postrider_core::id::{ApiKeyKey, Key, KeyMaker, ReplayKey, TenantKey, UnixMs};
use postrider_core::webhook::{StoredSecret, Webhook, WebhookKind, WebhookState};
use postrider_signature::Secret;
use postrider_signature::seal::{NONCE_BYTES, SealingKey, SealingKeys};
use postrider_store::{
    AccessStore, ApiKey, DeliveryFilter, Replay, ReplayState, ReplayStore, Scope, SqliteOptions,
    SqliteStore, Tenant, WebhookStore,
};
use sha2::{Digest, Sha256};

use self::dice::Dice;
use self::history::{HISTORY_MS, History, Receiver};
use self::receivers::{TENANTS, WEBHOOKS, WebhookPlan};
use self::temper::{HOUR_MS, MINUTE_MS, Temper};

/// Fill a data folder with three months of believable history.
#[derive(Parser)]
struct Args {
    /// Made if need be; must not hold a database.
    #[arg(long)]
    data_dir: PathBuf,
    /// About how many attempts.
    #[arg(long, default_value_t = 20_000)]
    attempts: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// When the history ends, in Unix milliseconds; by default now.
    #[arg(long)]
    until: Option<UnixMs>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let clock = Instant::now();
    let sealing = sealing_keys(&args.data_dir)?;
    let path = args.data_dir.join(DATABASE_FILE);
    anyhow::ensure!(!path.exists(), "{} is there already", path.display());
    let options = SqliteOptions { danger_skip_sync: true, ..SqliteOptions::default() };
    let store = SqliteStore::open(&path, options)?;

    let now = args.until.unwrap_or_else(|| Clock::system().now());
    let begin = now - HISTORY_MS;
    let mut dice = Dice::new(args.seed);
    let mut maker = KeyMaker::new(0, begin - 24 * HOUR_MS);
    let mut tenants = Vec::new();
    for plan in &TENANTS {
        let key: TenantKey = maker.next(begin - HOUR_MS);
        let tenant = Tenant { key, name: plan.name.to_owned(), created_at: begin - HOUR_MS };
        store.insert_tenant(tenant).await?;
        let text = api_key(&store, key, begin, (&mut dice, &mut maker)).await?;
        eprintln!("tenant {:8} manage key {text}", plan.name);
        tenants.push(key);
    }
    let mut receivers = Vec::new();
    for plan in &WEBHOOKS {
        let made = receiver(plan, tenants[plan.tenant], begin, &sealing, (&mut dice, &mut maker))?;
        store.insert_webhook(made.webhook.clone()).await?;
        receivers.push(made);
    }
    let first_webhook = receivers[0].webhook.clone();

    let mut history = History::new(&store, now, (dice, maker), tenants.clone(), receivers);
    history.live(args.attempts).await?;
    let (events, attempts) = (history.events, history.attempts);
    history.end().await?;
    replays(&store, now, &first_webhook).await?;
    drop(store);
    std::fs::File::open(&path)?.sync_all()?;

    let folder = args.data_dir.display();
    eprintln!("{events} events and {attempts} attempts in {:.1?}", clock.elapsed());
    eprintln!("serve it: POSTRIDER_RETENTION_DAYS=120 postrider serve --dev --data-dir {folder}");
    Ok(())
}

/// The folder's, as a server makes and finds it.
fn sealing_keys(folder: &Path) -> anyhow::Result<SealingKeys> {
    let flags = BTreeMap::from([("data_dir", folder.display().to_string())]);
    let keys = Keys::settle(&Config::load(flags)?)?;
    Ok(SealingKeys::new(SealingKey::from_bytes(keys.sealing.expose())))
}

fn receiver(
    plan: &'static WebhookPlan,
    tenant: TenantKey,
    begin: UnixMs,
    sealing: &SealingKeys,
    (dice, maker): (&mut Dice, &mut KeyMaker),
) -> anyhow::Result<Receiver> {
    let profile = Profile::builtin(plan.profile).context("a built-in profile")?;
    let created_at = begin - MINUTE_MS;
    let secret =
        Secret::generate(&profile.signing.secret_format, &mut |bytes: &mut [u8]| dice.fill(bytes));
    let key = maker.next(created_at);
    let mut nonce = [0; NONCE_BYTES];
    dice.fill(&mut nonce);
    let place = Key::raw(key).to_be_bytes();
    let sealed = sealing.seal(secret.expose().as_bytes(), &place, &nonce)?;
    let webhook = Webhook {
        key,
        tenant,
        version: 1,
        kind: WebhookKind::Url,
        url: plan.url.to_owned(),
        patterns: Patterns::parse(plan.wants)?,
        filter: None,
        profile: plan.profile.to_owned(),
        description: Some(plan.description.to_owned()),
        metadata: BTreeMap::new(),
        headers: Vec::new(),
        timeout_ms: None,
        concurrency: None,
        rate_per_s: matches!(plan.temper, Temper::Busy(_)).then_some(1),
        schedule: None,
        secrets: vec![StoredSecret { sealed, live_until: None }],
        state: WebhookState::Enabled,
        disabled_at: None,
        created_at,
        updated_at: created_at,
    };
    Ok(Receiver { plan, webhook, profile, secret })
}

/// The text of a new key that may do everything in its tenant.
async fn api_key(
    store: &SqliteStore,
    tenant: TenantKey,
    at: UnixMs,
    (dice, maker): (&mut Dice, &mut KeyMaker),
) -> anyhow::Result<String> {
    let key: ApiKeyKey = maker.next(at);
    let id = key.to_string();
    let text = format!("prk_{}_{}", id.trim_start_matches(ApiKeyKey::PREFIX), dice.hex(64));
    let record = ApiKey {
        key,
        tenant: Some(tenant),
        scope: Scope::Manage,
        description: Some("Continuous integration".to_owned()),
        hash: Sha256::digest(&text).into(),
        created_at: at,
        expires_at: None,
        revoked_at: None,
    };
    store.insert_api_key(record).await?;
    Ok(text)
}

/// One that is done, one that somebody ended, and one that goes on when the folder is served.
async fn replays(store: &SqliteStore, now: UnixMs, webhook: &Webhook) -> anyhow::Result<()> {
    let mut maker = KeyMaker::new(1, 0);
    for (hours, state, considered, replayed) in [
        (214, ReplayState::Done, 18_204, 391),
        (96, ReplayState::Cancelled, 2_250, 40),
        (1, ReplayState::Running, 0, 0),
    ] {
        let created_at = now - hours * HOUR_MS;
        let key: ReplayKey = maker.next(created_at);
        let filter = DeliveryFilter {
            webhook: Some(webhook.key),
            states: vec![DeliveryState::Failed],
            ..DeliveryFilter::all()
        };
        let finished_at = (state != ReplayState::Running).then_some(created_at + 4 * MINUTE_MS);
        let replay = Replay {
            key,
            tenant: webhook.tenant,
            filter,
            with_missed: false,
            state,
            position: None,
            considered,
            replayed,
            created_at,
            finished_at,
        };
        store.insert_replay(replay).await?;
    }
    Ok(())
}
