//! Names that can't be looked up, or lead elsewhere than they did.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use postrider::faults::NAMES_VARIABLE;
use serde_json::json;

use crate::client::attempts;
use crate::figures::Figures;
use crate::name_server::{NameServer, Names};
use crate::rig::{Rig, STEADY};
use crate::until;

const PUBLISHERS: u64 = 2;
const PAUSE: Duration = Duration::from_millis(5);
/// A receiver that goes by a name; the others go by their address.
const NAMED: &str = "/named";
/// No network that receivers are allowed in; nothing is dialled there.
const PRIVATE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Each kind of trouble in turn, with the class that attempts record for it; then all is well.
pub async fn run(program: &Path, seed: u64) -> Figures {
    let server = NameServer::start(Names::Failing).await;
    let mut rig = Rig::new(program, seed).await;
    rig.launch = rig
        .launch
        .clone()
        .variable(NAMES_VARIABLE, &server.address.to_string())
        .flags(&["--attempt-timeout-seconds", "2"]);
    let process = rig.launch.start_reachable().await;
    let port = rig.receiver.address.port();
    let url = format!("http://receiver.example.org:{port}{NAMED}");
    // each event on a connection of its own, or nothing would be looked up
    let more = json!({"url": url, "concurrency": 1});
    let api = process.api;
    let webhook = rig.register(api, NAMED, &["named.happened"], more).await;
    let publishers = rig.publishers(PUBLISHERS, PAUSE);
    for (names, expected) in [
        (Names::Failing, "dns_failure"),
        (Names::Unknown, "dns_failure"),
        (Names::Stalling, "dns_timeout"),
        (Names::Garbage, "dns_timeout"),
        (Names::Address(PRIVATE), "not_allowed"),
    ] {
        server.behave(names.clone());
        fails_with(&rig, &webhook, expected).await;
        // the others get theirs meanwhile
        rig.delivered(STEADY, 10).await;
    }
    flips(&server, &rig).await;
    server.behave(Names::Address(Ipv4Addr::LOCALHOST));
    rig.conclude_with(process, publishers, None).await
}

/// An event whose attempt fails in this way, or in the way of a deadline that passed meanwhile.
async fn fails_with(rig: &Rig, webhook: &str, expected: &str) {
    let api = rig.api();
    let event = rig.publish("named.happened").await;
    let what = format!("an attempt of {webhook} ends with {expected}");
    until(&what, async || {
        let delivery = api.sole_delivery(&event).await;
        let classes: Vec<String> = attempts(&api.delivery(&delivery).await)
            .iter()
            .filter_map(|attempt| attempt["error"]["class"].as_str().map(str::to_owned))
            .collect();
        classes.iter().any(|class| class == expected).then_some(())
    })
    .await;
}

/// The name leads here and to a private network by turns: what goes out goes here, and nothing else.
async fn flips(server: &NameServer, rig: &Rig) {
    server.behave(Names::Flipping([PRIVATE, Ipv4Addr::LOCALHOST]));
    for _ in 0..3 {
        rig.publish("named.happened").await;
    }
    rig.delivered(NAMED, 3).await;
    assert!(server.asked() >= 2, "it was looked up again");
}
