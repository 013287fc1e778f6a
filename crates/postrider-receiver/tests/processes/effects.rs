//! Half of the crash test: takes deliveries from its standard input, one `id body` a line, handles
//! each in transactional mode, and says `id status` when it is committed. To be killed at any time.
//!
//! `effects sqlite FILE` or `effects postgres CONFIG`.

#![expect(clippy::unwrap_used, reason = "a panic is how the half of a test fails")]

use std::io::{BufRead as _, Write as _};

use postrider_receiver::Event;
use postrider_receiver::inbox::Scope;
use postrider_receiver::inbox::postgres::PostgresInbox;
use postrider_receiver::inbox::sqlite::SqliteInbox;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let scope = Scope::new("test", "effects").unwrap();
    match &arguments[1..] {
        [store, file] if store == "sqlite" => {
            let inbox = SqliteInbox::open(file).unwrap();
            for event in std::io::stdin().lock().lines().map(|line| event(&line.unwrap())) {
                let answer = inbox
                    .process(&scope, &event, |transaction, event| {
                        transaction.execute("INSERT INTO effect VALUES (?1)", [&event.id])?;
                        Ok::<_, rusqlite::Error>(200)
                    })
                    .await;
                say(&event.id, answer.unwrap().status);
            }
        }
        [store, config] if store == "postgres" => {
            let (client, connection) =
                tokio_postgres::connect(config, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            let inbox = PostgresInbox::on(client);
            for event in std::io::stdin().lock().lines().map(|line| event(&line.unwrap())) {
                let answer = inbox
                    .process(&scope, &event, async |transaction, event| {
                        let insert = "INSERT INTO effect VALUES ($1)";
                        transaction.execute(insert, &[&event.id]).await?;
                        Ok::<_, tokio_postgres::Error>(200)
                    })
                    .await;
                say(&event.id, answer.unwrap().status);
            }
        }
        _ => panic!("usage: effects sqlite FILE | effects postgres CONFIG"),
    }
}

fn event(line: &str) -> Event {
    let (id, body) = line.split_once(' ').unwrap();
    Event { id: id.to_owned(), timestamp_seconds: 0, body: body.as_bytes().to_vec() }
}

fn say(id: &str, status: u16) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{id} {status}").unwrap();
    out.flush().unwrap();
}
