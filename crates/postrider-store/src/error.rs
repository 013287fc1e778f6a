//! What can go wrong in a store, by what the caller can do about it.

/// Any store verb's failure. Bad input never shows here: it can't be expressed in the arguments.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Something else got there first: a name that is taken, a version that has moved on.
    /// Read again and decide anew.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// The store can't be reached or written now. Whether a write took effect is unknown; doing
    /// it again with the same ids is harmless.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The caller no longer owns the shard it wrote for.
    #[error("another node owns this shard now")]
    StaleOwner,
    /// What was read can't be what was written. Stop and look; don't go on.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}
