//! The API over real TCP: its routes, its isolation, its connections, and hostile requests.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod connections;
mod deliveries;
mod docs;
mod document;
mod event_types;
mod every_route;
mod filters;
mod hostile;
mod isolation;
mod listen;
mod replays;
mod routes;
mod statistics;
mod support;
mod table;
mod tenants;
mod webhooks;
