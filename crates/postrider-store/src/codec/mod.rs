//! How records become bytes: a version, then fields in a fixed order, varints and
//! length-prefixed strings.
//!
//! One blob binds and reads faster than twenty columns, and what no query asks for needs no
//! column. Enum values are stored as small integers by explicit mapping, so reordering an enum
//! changes nothing on disk. Must not know SQL; every SQL store shares it.

mod catalogue;
mod event;
mod history;
mod matching;
mod replay;
mod standing;
mod tally;
mod webhook;
mod wire;

pub(crate) use catalogue::{decode_entry, encode_entry};
pub(crate) use event::{decode_event, encode_event};
pub(crate) use history::{decode_history, encode_history};
pub(crate) use matching::{decode_matching, encode_matching};
pub(crate) use replay::{decode_replay, encode_replay};
pub(crate) use standing::{decode_standing, encode_standing};
pub(crate) use tally::{decode_tally, encode_tally};
pub(crate) use webhook::{decode_webhook, encode_webhook};
pub(crate) use wire::Undecodable;
