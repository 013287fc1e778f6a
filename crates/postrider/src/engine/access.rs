//! Tenants and API keys, held in memory so that a request costs no query.

use std::collections::HashMap;
use std::sync::Mutex;

use postrider_core::id::{ApiKeyKey, Key, TenantKey, UnixMs};
use postrider_store::{ApiKey, Scope, Store, StoreError, Tenant, TenantEnding};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::live::fill_random;
use super::webhooks::tombstone;
use super::{DEFAULT_TENANT, Engine, lock};

/// Longest text that is looked at as a key: nothing unbounded is hashed.
pub(crate) const KEY_TEXT_BYTES_MAX: usize = 256;
/// What stands before a made key's id, so that scanners for leaked keys find it.
const KEY_PREFIX: &str = "prk_";
/// Random bytes of a made key.
const KEY_SECRET_BYTES: usize = 32;
/// Enough of a hash to tell whether the configured key is still the same one.
const CONFIGURED_BYTES: usize = 8;
/// Longest name of a tenant.
const TENANT_NAME_BYTES_MAX: usize = 64;

/// What the holder of a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// `None` for an admin key, which names a tenant with each request.
    pub tenant: Option<TenantKey>,
    pub scope: Scope,
}

/// Which key it was that let somebody in, for whoever lets them in again without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyIdentity {
    /// The configured admin key, by the start of its hash.
    Configured([u8; CONFIGURED_BYTES]),
    /// One that is in the store, by its raw key.
    Made(u64),
}

/// Why a tenant can't be created or deleted.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    #[error("there is a tenant of this name already; choose another")]
    Taken,
    #[error("a tenant's name has 1 to 64 of a–z, 0–9, _ and -")]
    InvalidName,
    #[error("there is no such tenant")]
    NotFound,
    #[error("the tenant `{DEFAULT_TENANT}` is always there; delete its webhooks instead")]
    IsDefault,
    #[error(transparent)]
    Store(StoreError),
}

impl Access {
    fn admin() -> Self {
        Self { tenant: None, scope: Scope::Admin }
    }

    fn of(key: &ApiKey) -> Self {
        Self { tenant: key.tenant, scope: key.scope }
    }
}

impl KeyIdentity {
    fn configured(hash: &[u8; 32]) -> Self {
        let mut start = [0; CONFIGURED_BYTES];
        start.copy_from_slice(&hash[..CONFIGURED_BYTES]);
        Self::Configured(start)
    }
}

/// See the module's text.
pub(super) struct AccessTable {
    admin_hash: Option<[u8; 32]>,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    tenants: HashMap<String, Tenant>,
    keys: HashMap<ApiKeyKey, ApiKey>,
}

impl AccessTable {
    pub(super) async fn load(
        store: &dyn Store,
        admin_key: Option<&str>,
    ) -> Result<Self, StoreError> {
        let tenants = store.tenants().await?.into_iter();
        let keys = store.api_keys().await?.into_iter();
        let tables = Tables {
            tenants: tenants.map(|tenant| (tenant.name.clone(), tenant)).collect(),
            keys: keys.map(|key| (key.key, key)).collect(),
        };
        Ok(Self { admin_hash: admin_key.map(hash), tables: Mutex::new(tables) })
    }

    pub(super) fn tenant(&self, name: &str) -> Option<Tenant> {
        lock(&self.tables).tenants.get(name).cloned()
    }

    fn forget(&self, tenant: TenantKey) {
        let mut tables = lock(&self.tables);
        tables.tenants.retain(|_, known| known.key != tenant);
        tables.keys.retain(|_, key| key.tenant != Some(tenant));
    }
}

impl Engine {
    /// Whose key this is. `None` for what is no key, and for one that expired or was revoked.
    pub fn authenticate(&self, bearer: &str) -> Option<Access> {
        self.identify(bearer).map(|(_, access)| access)
    }

    /// The same, and which key it is.
    pub fn identify(&self, bearer: &str) -> Option<(KeyIdentity, Access)> {
        if bearer.len() > KEY_TEXT_BYTES_MAX {
            return None;
        }
        let given = hash(bearer);
        let access = &self.inner.access;
        if access.admin_hash.is_some_and(|admin| given.ct_eq(&admin).into()) {
            return Some((KeyIdentity::configured(&given), Access::admin()));
        }
        let (id, _) = bearer.strip_prefix(KEY_PREFIX)?.split_once('_')?;
        let key = ApiKeyKey::parse(&format!("{}{id}", ApiKeyKey::PREFIX))?;
        let known = self.valid_key(key)?;
        let is_valid = bool::from(given.ct_eq(&known.hash));
        let found = (KeyIdentity::Made(key.raw()), Access::of(&known));
        is_valid.then_some(found)
    }

    /// What the holder of a key that was right before may do now. `None` once it has expired, was
    /// revoked, or is configured no longer.
    pub fn access_of(&self, identity: KeyIdentity) -> Option<Access> {
        match identity {
            KeyIdentity::Configured(_) => {
                let admin = KeyIdentity::configured(&self.inner.access.admin_hash?);
                (admin == identity).then(Access::admin)
            }
            KeyIdentity::Made(raw) => {
                self.valid_key(ApiKeyKey::from_raw(raw)).map(|known| Access::of(&known))
            }
        }
    }

    fn valid_key(&self, key: ApiKeyKey) -> Option<ApiKey> {
        let known = lock(&self.inner.access.tables).keys.get(&key).cloned()?;
        let is_valid =
            known.revoked_at.is_none() && known.expires_at.is_none_or(|at| self.now() < at);
        is_valid.then_some(known)
    }

    pub async fn create_tenant(&self, name: &str) -> Result<Tenant, TenantError> {
        let (engine, name) = (self.clone(), name.to_owned());
        self.to_the_end(async move { engine.store_tenant(&name).await }).await
    }

    async fn store_tenant(&self, name: &str) -> Result<Tenant, TenantError> {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
        if !(1..=TENANT_NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(TenantError::InvalidName);
        }
        let now = self.now();
        let tenant = Tenant { key: self.next_key(now), name: name.to_owned(), created_at: now };
        match self.store().insert_tenant(tenant.clone()).await {
            Ok(()) => {}
            Err(StoreError::Conflict(_)) => return Err(TenantError::Taken),
            Err(error) => return Err(TenantError::Store(error)),
        }
        lock(&self.inner.access.tables).tenants.insert(tenant.name.clone(), tenant.clone());
        Ok(tenant)
    }

    /// Deletes a tenant with its keys, webhooks and event types: none of its keys is let in after this, no attempt
    /// for its webhooks starts, and what is pending for them is cancelled. Its name is free again.
    pub async fn delete_tenant(&self, name: &str) -> Result<(), TenantError> {
        let (engine, name) = (self.clone(), name.to_owned());
        self.to_the_end(async move { engine.end_tenant(&name).await }).await
    }

    async fn end_tenant(&self, name: &str) -> Result<(), TenantError> {
        if name == DEFAULT_TENANT {
            return Err(TenantError::IsDefault);
        }
        let _changing = self.inner.changing.lock().await;
        let tenant = self.tenant(name).ok_or(TenantError::NotFound)?.key;
        let webhooks = self.webhooks(tenant, None, usize::MAX, |_| true);
        let tombstones: Vec<_> = webhooks
            .iter()
            .map(|live| {
                let mut webhook = tombstone(&live.webhook);
                self.stamp(&mut webhook);
                webhook
            })
            .collect();
        let ending = TenantEnding { tenant, at: self.now(), tombstones: tombstones.clone() };
        let deleted = self.store().delete_tenant(ending).await.map_err(TenantError::Store)?;
        self.inner.access.forget(tenant);
        self.inner.catalogues.forget(tenant);
        if !deleted {
            return Err(TenantError::NotFound);
        }
        for (tombstone, live) in tombstones.into_iter().zip(webhooks) {
            self.put_to_use(tombstone, live.profile.clone());
        }
        Ok(())
    }

    /// Whether there is a tenant of this key: it may have been deleted since it was looked up.
    pub(super) fn has_tenant(&self, tenant: TenantKey) -> bool {
        lock(&self.inner.access.tables).tenants.values().any(|known| known.key == tenant)
    }

    /// The tenant of this key; `None` once it was deleted.
    pub fn tenant_of_key(&self, key: TenantKey) -> Option<Tenant> {
        lock(&self.inner.access.tables).tenants.values().find(|known| known.key == key).cloned()
    }

    /// Every tenant, in the order of their names.
    pub fn tenants(&self) -> Vec<Tenant> {
        let mut tenants: Vec<_> =
            lock(&self.inner.access.tables).tenants.values().cloned().collect();
        tenants.sort_by(|a, b| a.name.cmp(&b.name));
        tenants
    }

    /// Makes a key. Its text is shown this once; only its hash is kept.
    pub async fn create_api_key(
        &self,
        tenant: Option<TenantKey>,
        scope: Scope,
        description: Option<String>,
        expires_at: Option<UnixMs>,
    ) -> Result<(ApiKey, String), StoreError> {
        let engine = self.clone();
        let stored =
            async move { engine.store_api_key(tenant, scope, description, expires_at).await };
        self.to_the_end(stored).await
    }

    async fn store_api_key(
        &self,
        tenant: Option<TenantKey>,
        scope: Scope,
        description: Option<String>,
        expires_at: Option<UnixMs>,
    ) -> Result<(ApiKey, String), StoreError> {
        let _changing = self.inner.changing.lock().await;
        if tenant.is_some_and(|tenant| !self.has_tenant(tenant)) {
            return Err(StoreError::Conflict("the tenant was deleted meanwhile"));
        }
        let now = self.now();
        let key: ApiKeyKey = self.next_key(now);
        let text = key_text(key);
        let record = ApiKey {
            key,
            tenant,
            scope,
            description,
            hash: hash(&text),
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        self.store().insert_api_key(record.clone()).await?;
        lock(&self.inner.access.tables).keys.insert(key, record.clone());
        Ok((record, text))
    }

    /// Revokes a key; `false` when there is none. No request is let in by it after this.
    pub async fn revoke_api_key(&self, key: ApiKeyKey) -> Result<bool, StoreError> {
        let engine = self.clone();
        let revoked = async move {
            let is_revoked = engine.store().revoke_api_key(key, engine.now()).await?;
            lock(&engine.inner.access.tables).keys.remove(&key);
            Ok(is_revoked)
        };
        self.to_the_end(revoked).await
    }

    /// Every key that was not revoked, newest first.
    pub fn api_keys(&self) -> Vec<ApiKey> {
        let mut keys: Vec<_> = lock(&self.inner.access.tables).keys.values().cloned().collect();
        keys.sort_by_key(|key| std::cmp::Reverse(key.key));
        keys
    }
}

/// `prk_`, the key's id and 256 random bits in hexadecimal.
fn key_text(key: ApiKeyKey) -> String {
    let mut secret = [0; KEY_SECRET_BYTES];
    fill_random(&mut secret);
    let id = key.to_string();
    let mut text = format!("{KEY_PREFIX}{}_", &id[ApiKeyKey::PREFIX.len()..]);
    text.extend(
        secret
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])),
    );
    text
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
