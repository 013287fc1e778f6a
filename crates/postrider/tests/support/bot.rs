//! A bot of `examples/`, as its users run it, and the story that each of them is told.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::server::TestServer;

/// How a bot is started; it gets `WEBHOOK_SECRET`, `DATABASE` and `PORT` besides, and prints its
/// address when it listens.
pub(crate) struct Bot<'a> {
    pub(crate) command: &'a dyn Fn() -> Command,
    pub(crate) profile: &'a str,
    pub(crate) event_type: &'a str,
    pub(crate) data: &'a Value,
    /// How often the bot's database says that it did what an event asks for.
    pub(crate) effects: &'a dyn Fn() -> i64,
}

/// Killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // it may have ended by itself; then there is nothing to kill
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Bot<'_> {
    /// A first attempt, a duplicate, an attempt that meets nobody and its retry, and a rotation:
    /// each event's effect happens once.
    pub(crate) fn lives_through_everything(&self) {
        let server = TestServer::start();
        let port = free_port();
        let draft = json!({
            "url": format!("http://127.0.0.1:{port}/"),
            "events": [self.event_type],
            "profile": self.profile,
        });
        let webhook = server.create_webhook(&draft);
        let old = webhook["secret"].as_str().expect("a secret is made").to_owned();
        let running = self.start(port, &old);

        let first = self.publish(&server);
        let delivery = server.deliveries(&first, is_succeeded).remove(0);
        assert_eq!((self.effects)(), 1);
        retry(&server, &delivery);
        server.delivery(&first, 2);
        assert_eq!((self.effects)(), 1, "a duplicate has no effect of its own");

        drop(running);
        let missed = self.publish(&server);
        let met_nobody = |delivery: &Value| delivery["attempts"] == 1;
        let delivery = server.deliveries(&missed, met_nobody).remove(0);
        let running = self.start(port, &old);
        retry(&server, &delivery);
        server.deliveries(&missed, is_succeeded);
        assert_eq!((self.effects)(), 2);

        let id = webhook["id"].as_str().expect("a webhook has an id");
        let rotated = server.request("POST", &format!("/v1/webhooks/{id}/secret/rotate"), b"");
        assert_eq!(rotated.status(), 200, "{}", rotated.text());
        let new = rotated.json()["secret"].as_str().expect("a secret is made").to_owned();
        server.deliveries(&self.publish(&server), is_succeeded);
        assert_eq!((self.effects)(), 3, "the old secret verifies in its overlap");
        drop(running);
        let _both = self.start(port, &format!("{new},{old}"));
        server.deliveries(&self.publish(&server), is_succeeded);
        assert_eq!((self.effects)(), 4);
    }

    fn publish(&self, server: &TestServer) -> String {
        server.publish(self.event_type, &self.data.to_string())
    }

    fn start(&self, port: u16, secrets: &str) -> Running {
        let mut process = (self.command)()
            .env("WEBHOOK_SECRET", secrets)
            .env("PORT", port.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the bot starts");
        let output = process.stdout.take().expect("stdout is piped");
        let running = Running(process);
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("the bot prints its address");
        assert!(line.starts_with("http://127.0.0.1:"), "the bot printed {line:?}");
        running
    }
}

fn is_succeeded(delivery: &Value) -> bool {
    delivery["state"] == "succeeded"
}

fn retry(server: &TestServer, delivery: &Value) {
    let id = delivery["id"].as_str().expect("a delivery has an id");
    let answer = server.request("POST", &format!("/v1/deliveries/{id}/retry"), b"");
    assert_eq!(answer.status(), 202, "{}", answer.text());
}

/// One that nobody listened at a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
