//! A bot that counts what was generated: verifies, and handles each event once.
//!
//! `WEBHOOK_SECRET` holds its secret, or two with a comma between them while one is rotated;
//! `DATABASE` names its SQLite file. It prints the address that it listens on.

#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::env;
use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::routing::post;
use postrider_receiver::axum::Verified;
use postrider_receiver::inbox::sqlite::SqliteInbox;
use postrider_receiver::inbox::{Answer, Scope};
use postrider_receiver::{Envelope, Profile, Verifier};
use rusqlite::Connection;
use serde::Deserialize;

#[derive(Clone)]
struct Bot {
    verifier: Arc<Verifier>,
    inbox: SqliteInbox,
    scope: Scope,
}

impl FromRef<Bot> for Arc<Verifier> {
    fn from_ref(bot: &Bot) -> Self {
        Self::clone(&bot.verifier)
    }
}

/// The data of `code.generated`, as far as the bot cares.
#[derive(Deserialize)]
struct Generated {
    repository: String,
    files: u32,
}

/// The inbox's row and the count are one transaction: both or neither.
async fn handle(State(bot): State<Bot>, Verified(event): Verified) -> Result<Answer, StatusCode> {
    let counted = bot.inbox.process(&bot.scope, &event, |transaction, event| {
        let generated: Envelope<Generated> = event.envelope()?;
        let Generated { repository, files } = generated.data;
        transaction.execute(
            "INSERT INTO generated (repository, files) VALUES (?1, ?2) \
             ON CONFLICT (repository) DO UPDATE SET files = files + excluded.files",
            (repository, files),
        )?;
        Ok::<_, Box<dyn Error + Send + Sync>>(204)
    });
    // 500: the sender tries again
    counted.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut verifier = Verifier::new(Profile::standard());
    for secret in env::var("WEBHOOK_SECRET")?.split(',') {
        verifier = verifier.with_secret(secret)?;
    }
    let connection = Connection::open(env::var("DATABASE").unwrap_or("bot.db".to_owned()))?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS generated (repository TEXT PRIMARY KEY, files INTEGER)",
    )?;
    let bot = Bot {
        verifier: Arc::new(verifier),
        inbox: SqliteInbox::on(connection)?,
        scope: Scope::new("acme", "count-files")?,
    };
    let port = env::var("PORT").unwrap_or("3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("http://{}/", listener.local_addr()?);
    let app = Router::new().route("/", post(handle)).with_state(bot);
    axum::serve(listener, app).await?;
    Ok(())
}
