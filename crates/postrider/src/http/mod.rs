//! The HTTP side of the server, below any particular route: the accept loop and its time-outs,
//! errors as problem documents, authentication, strict reading of JSON and queries, cursors.
//!
//! HTTP/1.1 only, by decision: TLS and HTTP/2 end at the operator's proxy, proxies speak 1.1 to
//! what stands behind them, and a protocol that isn't spoken can't be attacked. An HTTP/2 preface
//! is answered by closing. What isn't HTTP at all (a bad header, a bad version, a head beyond the
//! limits) is answered by hyper with a bare 400, 414 or 431 before any of our code runs.
//!
//! It must not know what the routes do, nor SQL.

pub mod auth;
pub mod body;
mod connection;
pub mod cursor;
pub(crate) mod encoding;
pub mod fields;
pub mod json;
pub mod limits;
pub mod problem;
pub mod query;
pub mod serve;
pub mod state;
mod throttle;

pub use connection::Peer;
