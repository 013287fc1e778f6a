//! A client of the API.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::{LOOK_EVERY, until};

/// The admin key that servers under proof are given.
pub const ADMIN_KEY: &str = "proof-admin-key-0123456789abcdef";

/// The API of one server; each call takes a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Api {
    pub address: SocketAddr,
}

/// A connection to the API that is kept.
#[derive(Debug)]
pub struct Line {
    stream: BufReader<TcpStream>,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Line {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Tries again until the server listens.
    pub async fn open_once_reachable(address: SocketAddr) -> Self {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if let Ok(line) = Self::open(address).await {
                return line;
            }
        }
    }

    /// Fails when the connection breaks before the whole answer is there.
    pub async fn call(&mut self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: proof\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status =
            line.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or_else(broken)?;
        let mut length = 0;
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(broken());
            }
            match line.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().map_err(|_| broken())?,
                Some(_) => {}
                None => break,
            }
        }
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).await?;
        Ok(Answer { status, text: String::from_utf8(text).map_err(|_| broken())? })
    }
}

impl Api {
    pub async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        Line::open(self.address).await.unwrap().call(method, path, body).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.call("GET", path, "").await;
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.text);
        answer.json()
    }

    /// Registers a webhook and returns its id.
    pub async fn create_webhook(&self, webhook: &Value) -> String {
        let answer = self.call("POST", "/v1/webhooks", &webhook.to_string()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Changes a webhook; when this returns, the change was acknowledged.
    pub async fn patch_webhook(&self, id: &str, change: &Value) {
        let path = format!("/v1/webhooks/{id}");
        let answer = self.call("PATCH", &path, &change.to_string()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// Publishes an event of type `event_type` and returns its id.
    pub async fn publish(&self, event_type: &str) -> String {
        let event = json!({"type": event_type, "data": {"is": "a proof"}});
        let answer = self.call("POST", "/v1/events", &event.to_string()).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// The id of the only delivery of an event.
    pub async fn sole_delivery(&self, event: &str) -> String {
        let page = self.get(&format!("/v1/events/{event}/deliveries")).await;
        let deliveries = page["data"].as_array().unwrap();
        assert_eq!(deliveries.len(), 1, "{page}");
        deliveries[0]["id"].as_str().unwrap().to_owned()
    }

    pub async fn delivery(&self, id: &str) -> Value {
        self.get(&format!("/v1/deliveries/{id}")).await
    }

    /// The delivery once so many attempts of it are recorded.
    pub async fn delivery_after(&self, id: &str, attempts: u64) -> Value {
        let what = format!("{attempts} attempts of {id}");
        let look = async || {
            let delivery = self.delivery(id).await;
            let made = delivery["attempts"].as_u64().unwrap();
            assert!(made <= attempts, "too many attempts: {delivery}");
            (made == attempts).then_some(delivery)
        };
        until(&what, look).await
    }

    /// The delivery once it is in `state`.
    pub async fn delivery_in(&self, id: &str, state: &str) -> Value {
        let look = async || {
            let delivery = self.delivery(id).await;
            (delivery["state"] == state).then_some(delivery)
        };
        until(&format!("{id} is {state}"), look).await
    }

    /// Asks for a manual retry.
    pub async fn retry(&self, delivery: &str) -> Answer {
        self.call("POST", &format!("/v1/deliveries/{delivery}/retry"), "").await
    }

    /// Everything on all pages of a list.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("{path}?limit=250{cursor}")).await;
            found.extend(page["data"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }
}

/// The attempts in a delivery's history, oldest first.
pub fn attempts(delivery: &Value) -> Vec<Value> {
    let history = delivery["history"].as_array().unwrap().iter();
    history.filter(|entry| entry["kind"] == "attempt").cloned().collect()
}

/// A time as the API writes it, in milliseconds since 1970; `None` for null.
pub fn time_ms(value: &Value) -> Option<i64> {
    Some(postrider_signature::timestamp::parse(value.as_str()?).unwrap())
}

/// When an attempt ended, to the millisecond.
pub fn ended_ms(attempt: &Value) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "some seconds in milliseconds")]
    let took_ms = attempt["timing_ms"]["total"].as_f64().unwrap() as i64;
    time_ms(&attempt["started_at"]).unwrap() + took_ms
}
