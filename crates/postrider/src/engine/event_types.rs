//! Each tenant's catalogue of event types, held in memory so that publishing costs no query.
//!
//! A tenant has the built-in types, changed or not, and its own. What it changed of a built-in
//! one stands in the store; the rest is as built in.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

use postrider_core::catalogue::{CatalogueEntry, EVENT_TYPES_PER_TENANT_MAX, Validation};
use postrider_core::event_type::EventType;
use postrider_core::id::{TenantKey, UnixMs};
use postrider_signature::NumberPolicy;
use postrider_store::{Store, StoreError};

use super::{Engine, lock};
use crate::catalogue::{BuiltinType, builtin_types};
use crate::schema::{Schema, SchemaFault};

/// Entries read at once when the table is filled.
const PAGE: usize = 500;

/// An event type of a tenant, built in or its own.
#[derive(Debug)]
pub struct KnownType {
    pub name: EventType,
    builtin: Option<&'static BuiltinType>,
    /// What the tenant keeps about it; a built-in type that was not changed has none.
    entry: Option<CatalogueEntry>,
    compiled: OnceLock<Result<Schema, SchemaFault>>,
}

/// An event type to be created.
#[derive(Clone, Debug)]
pub struct EventTypeDraft {
    pub name: EventType,
    pub description: Option<String>,
    /// JSON Schema of `data`, as checked and minified JSON text.
    pub schema: Option<String>,
    /// An example of `data`, likewise.
    pub example: Option<String>,
    pub validation: Validation,
    pub large_integers: NumberPolicy,
}

/// What to change: `None` leaves alone; `Some(None)` clears, or goes back to what is built in.
#[derive(Clone, Debug, Default)]
pub struct EventTypePatch {
    pub description: Option<Option<String>>,
    pub schema: Option<Option<String>>,
    pub example: Option<Option<String>>,
    pub validation: Option<Validation>,
    pub large_integers: Option<NumberPolicy>,
    pub is_archived: Option<bool>,
}

/// Why an event type can't be created or changed.
#[derive(Debug, thiserror::Error)]
pub enum EventTypeError {
    #[error("there is an event type of this name already")]
    Taken,
    #[error("there is no such event type")]
    NotFound,
    #[error("this tenant keeps {0} event types already, the most that it may")]
    Quota(usize),
    #[error(transparent)]
    Schema(#[from] SchemaFault),
    #[error("the example is not what the schema asks for, and validation is `reject`: {0}")]
    Example(SchemaFault),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is done with events whose type is in no catalogue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownEventTypes {
    #[default]
    Refuse,
    Accept,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Catalogues {
    tenants: Mutex<HashMap<TenantKey, Catalogue>>,
}

/// Types of which a tenant keeps something.
type Catalogue = BTreeMap<EventType, Arc<KnownType>>;

impl KnownType {
    fn of(name: EventType, entry: Option<CatalogueEntry>) -> Self {
        let builtin = builtin_types().iter().find(|builtin| builtin.name == name);
        Self { name, builtin, entry, compiled: OnceLock::new() }
    }

    pub fn is_builtin(&self) -> bool {
        self.builtin.is_some()
    }

    pub fn description(&self) -> Option<&str> {
        let own = self.entry.as_ref().and_then(|entry| entry.description.as_deref());
        own.or(self.builtin.map(|builtin| builtin.description.as_str()))
    }

    /// JSON Schema of `data`.
    pub fn schema(&self) -> Option<&str> {
        let own = self.entry.as_ref().and_then(|entry| entry.schema.as_deref());
        own.or(self.builtin.map(|builtin| builtin.schema.as_str()))
    }

    /// An example of `data`, as JSON text.
    pub fn example(&self) -> Option<&str> {
        let own = self.entry.as_ref().and_then(|entry| entry.example.as_deref());
        own.or(self.builtin.map(|builtin| builtin.example.as_str()))
    }

    pub fn validation(&self) -> Validation {
        self.entry.as_ref().map_or(Validation::Off, |entry| entry.validation)
    }

    pub fn large_integers(&self) -> NumberPolicy {
        self.entry.as_ref().map_or(NumberPolicy::Refuse, |entry| entry.large_integers)
    }

    pub fn archived_at(&self) -> Option<UnixMs> {
        self.entry.as_ref()?.archived_at
    }

    /// `None` for a built-in one.
    pub fn created_at(&self) -> Option<UnixMs> {
        self.entry.as_ref().filter(|_| !self.is_builtin()).map(|entry| entry.created_at)
    }

    /// `None` for a built-in one that was not changed.
    pub fn updated_at(&self) -> Option<UnixMs> {
        self.entry.as_ref().map(|entry| entry.updated_at)
    }

    /// Where data is not what the schema asks for.
    pub(super) fn check(&self, data: &[u8]) -> Vec<SchemaFault> {
        let Some(text) = self.schema() else { return Vec::new() };
        match self.compiled.get_or_init(|| Schema::compile(text)) {
            Ok(schema) => schema.check(data),
            // only where a later version reads schemas more strictly
            Err(fault) => vec![SchemaFault {
                pointer: String::new(),
                message: format!("the schema of its type can't be used: {fault}"),
            }],
        }
    }
}

impl Catalogues {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let catalogues = Self::default();
        let mut after = None;
        loop {
            let page = store.event_types(after, PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|entry| (entry.tenant, entry.name.clone()));
            for entry in page {
                catalogues.put(entry);
            }
            if is_last {
                return Ok(catalogues);
            }
        }
    }

    pub(super) fn forget(&self, tenant: TenantKey) {
        lock(&self.tenants).remove(&tenant);
    }

    fn put(&self, entry: CatalogueEntry) -> Arc<KnownType> {
        let (tenant, name) = (entry.tenant, entry.name.clone());
        let known = Arc::new(KnownType::of(name.clone(), Some(entry)));
        lock(&self.tenants).entry(tenant).or_default().insert(name, known.clone());
        known
    }

    fn get(&self, tenant: TenantKey, name: &EventType) -> Option<Arc<KnownType>> {
        let kept = lock(&self.tenants).get(&tenant).and_then(|types| types.get(name).cloned());
        kept.or_else(|| {
            let builtin = KnownType::of(name.clone(), None);
            builtin.is_builtin().then(|| Arc::new(builtin))
        })
    }

    fn all(&self, tenant: TenantKey) -> Catalogue {
        let builtin = builtin_types().iter().map(|builtin| builtin.name.clone());
        let mut all: Catalogue =
            builtin.map(|name| (name.clone(), Arc::new(KnownType::of(name, None)))).collect();
        if let Some(kept) = lock(&self.tenants).get(&tenant) {
            all.extend(kept.iter().map(|(name, known)| (name.clone(), known.clone())));
        }
        all
    }

    fn kept(&self, tenant: TenantKey) -> usize {
        lock(&self.tenants).get(&tenant).map_or(0, BTreeMap::len)
    }
}

impl Engine {
    /// An event type of a tenant, archived or not.
    pub fn event_type(&self, tenant: TenantKey, name: &EventType) -> Option<Arc<KnownType>> {
        self.inner.catalogues.get(tenant, name)
    }

    /// All event types of a tenant, archived ones too, in the order of their names.
    pub fn event_types(&self, tenant: TenantKey) -> Vec<Arc<KnownType>> {
        self.inner.catalogues.all(tenant).into_values().collect()
    }

    pub async fn create_event_type(
        &self,
        tenant: TenantKey,
        draft: EventTypeDraft,
    ) -> Result<Arc<KnownType>, EventTypeError> {
        let engine = self.clone();
        let created = async move {
            let _changing = engine.inner.changing.lock().await;
            if engine.event_type(tenant, &draft.name).is_some() {
                return Err(EventTypeError::Taken);
            }
            let now = engine.now();
            let entry = CatalogueEntry {
                tenant,
                name: draft.name,
                version: 1,
                description: draft.description,
                schema: draft.schema,
                example: draft.example,
                validation: draft.validation,
                large_integers: draft.large_integers,
                archived_at: None,
                created_at: now,
                updated_at: now,
            };
            check_example(&entry)?;
            engine.store_event_type(entry).await
        };
        self.to_the_end(created).await
    }

    /// Changes an event type. Events that are published after this returns go by it.
    pub async fn patch_event_type(
        &self,
        tenant: TenantKey,
        name: EventType,
        patch: EventTypePatch,
    ) -> Result<Arc<KnownType>, EventTypeError> {
        let engine = self.clone();
        let changed = async move {
            let _changing = engine.inner.changing.lock().await;
            let before = engine.event_type(tenant, &name).ok_or(EventTypeError::NotFound)?;
            let concerns_example =
                patch.schema.is_some() || patch.example.is_some() || patch.validation.is_some();
            let entry = changed(tenant, &before, patch, engine.now());
            if concerns_example {
                check_example(&entry)?;
            }
            engine.store_event_type(entry).await
        };
        self.to_the_end(changed).await
    }

    /// Stores an entry and goes by it from now on. The caller holds `changing`.
    async fn store_event_type(
        &self,
        entry: CatalogueEntry,
    ) -> Result<Arc<KnownType>, EventTypeError> {
        let catalogues = &self.inner.catalogues;
        if entry.version == 1 && catalogues.kept(entry.tenant) >= EVENT_TYPES_PER_TENANT_MAX {
            return Err(EventTypeError::Quota(EVENT_TYPES_PER_TENANT_MAX));
        }
        entry.schema.as_deref().map(Schema::compile).transpose()?;
        self.store().put_event_type(entry.clone()).await?;
        Ok(catalogues.put(entry))
    }
}

/// Refuses an example that could not be published.
fn check_example(entry: &CatalogueEntry) -> Result<(), EventTypeError> {
    let Some(example) = entry.example.as_deref() else { return Ok(()) };
    if entry.validation != Validation::Reject {
        return Ok(());
    }
    // one that is no schema is refused as such, not by what it says of the example
    entry.schema.as_deref().map(Schema::compile).transpose()?;
    let known = KnownType::of(entry.name.clone(), Some(entry.clone()));
    match known.check(example.as_bytes()).into_iter().next() {
        Some(fault) => Err(EventTypeError::Example(fault)),
        None => Ok(()),
    }
}

/// The entry that a patch makes of what a tenant has.
fn changed(
    tenant: TenantKey,
    before: &KnownType,
    patch: EventTypePatch,
    now: UnixMs,
) -> CatalogueEntry {
    let mut entry = before.entry.clone().unwrap_or_else(|| CatalogueEntry {
        tenant,
        name: before.name.clone(),
        version: 0,
        description: None,
        schema: None,
        example: None,
        validation: Validation::Off,
        large_integers: NumberPolicy::Refuse,
        archived_at: None,
        created_at: now,
        updated_at: now,
    });
    entry.version += 1;
    entry.updated_at = now;
    entry.description = patch.description.unwrap_or(entry.description);
    entry.schema = patch.schema.unwrap_or(entry.schema);
    entry.example = patch.example.unwrap_or(entry.example);
    entry.validation = patch.validation.unwrap_or(entry.validation);
    entry.large_integers = patch.large_integers.unwrap_or(entry.large_integers);
    entry.archived_at = match patch.is_archived {
        None => entry.archived_at,
        Some(true) => entry.archived_at.or(Some(now)),
        Some(false) => None,
    };
    entry
}
