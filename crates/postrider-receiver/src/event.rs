//! A verified event.

/// What arrived, with its signature found to be good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same in every attempt: what tells a repeat.
    pub id: String,
    /// The time that was signed, in seconds since 1970: the event's own or the attempt's.
    pub timestamp_seconds: i64,
    /// The bytes as they came.
    pub body: Vec<u8>,
}

/// A body as Postrider sends it.
#[cfg(feature = "json")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Envelope<T> {
    pub id: String,
    /// The event type, such as `code.generated`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When the event occurred: `YYYY-MM-DDTHH:MM:SS.mmmZ`.
    pub timestamp: String,
    pub data: T,
}

/// A verified body that is not what was asked for.
#[cfg(feature = "json")]
#[derive(Debug, thiserror::Error)]
#[error("the body is not an event with such data: {0}")]
pub struct NotAnEnvelope(#[from] serde_json::Error);

#[cfg(feature = "json")]
impl Event {
    /// Reads the body, with `data` as whatever the handler wants it to be.
    pub fn envelope<'a, T: serde::Deserialize<'a>>(&'a self) -> Result<Envelope<T>, NotAnEnvelope> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}
