//! Every row of `hostile.tsv` that concerns these routes, over a raw socket.
//!
//! A row that leaves a choice is pinned in [`PINNED`]; where its code can't be had, [`BARE`] and
//! [`OTHER_CODE`] say why; rows that belong to other tests are in [`ELSEWHERE`]. No row may be
//! missing from all of that, and nothing may answer 5xx.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use postrider::http::limits::HttpLimits;

use crate::support::{ADMIN_KEY, Options, Reply, Server, bearer, request};
use crate::table::{Row, expand, expand_text, refused_urls, rows};

const EVENT: &str = r#"{"type":"a.b","data":{}}"#;
const BODY_MAX: usize = 1 << 20;

/// Where a row allows several answers, ours. `close` means that the connection ends.
const PINNED: &[(&str, &str)] = &[
    ("H003", "400"),
    ("H005", "close"),
    // served by its chunks, as RFC 9112 §6.1 allows, and the connection closed after it
    ("H008", "close"),
    ("H015", "400"),
    ("H017", "400"),
    ("H020", "202"),
    ("H025", "405"),
    ("H027", "400"),
    ("H028", "400"),
    ("H033", "close"),
    ("H034", "413"),
    ("H046", "404"),
    ("H066", "400"),
    ("H068", "422"),
    ("H069", "422"),
    ("H070", "202"),
    ("H087", "422"),
    ("H091", "422"),
    ("H131", "414"),
    ("H135", "422"),
    ("H139", "401"),
    ("H140", "400"),
    ("H149", "404"),
    ("H171", "409"),
];

/// Answered by hyper before any of our code runs: the right status, but no document.
const BARE: &[&str] = &["H010", "H011", "H018", "H021", "H023", "H027", "H028", "H131"];

/// Rows whose code is another one here, and why.
const OTHER_CODE: &[(&str, &str, &str)] = &[
    ("H003", "invalid_json", "the first 100 bytes are a body, and not JSON"),
    ("H046", "not_found", "there is no dashboard yet, so no path below it means anything"),
    ("H135", "validation", "the parameter is not known; nothing is searched"),
    ("H149", "not_found", "there is no dashboard yet, so no path below it means anything"),
];

/// Rows that other tests hold, and which.
const ELSEWHERE: &[(&str, &str)] = &[
    ("H147", "dashboard: comes with it; the API has no cookies to abuse"),
    ("H148", "dashboard: comes with it; the API has no cookies to abuse"),
    ("H175", "the test that kills the real binary at random moments"),
    ("response", "what receivers answer: the tests of the sender and of retries"),
];

#[derive(Debug)]
enum Outcome {
    Answered(Reply),
    Closed,
}

#[tokio::test]
async fn every_row_gets_the_answer_it_names() {
    let server = Server::start().await;
    let impatient = Server::start_with(impatient()).await;
    let mut seen = 0;
    for row in rows() {
        if ELSEWHERE.iter().any(|(which, _)| *which == row.id || *which == row.area) {
            continue;
        }
        let quick = matches!(row.id, "H004" | "H005" | "H006" | "H007");
        for outcome in play(&row, if quick { &impatient } else { &server }).await {
            judge(&row, &outcome);
            seen += 1;
        }
    }
    assert!(seen >= 100, "only {seen} cases were played");
}

#[test]
fn lists_of_exceptions_name_rows_that_exist() {
    let ids: HashSet<_> = rows().iter().flat_map(|row| [row.id, row.area]).collect();
    let named = PINNED.iter().map(|(id, _)| *id).chain(BARE.iter().copied());
    let named = named.chain(OTHER_CODE.iter().map(|(id, ..)| *id));
    for id in named.chain(ELSEWHERE.iter().map(|(id, _)| *id)) {
        assert!(ids.contains(id), "{id}");
    }
}

fn judge(row: &Row, outcome: &Outcome) {
    let pinned = PINNED.iter().find(|(id, _)| *id == row.id).map(|(_, answer)| *answer);
    let wanted = pinned.unwrap_or(row.status);
    assert!(row.status.split('|').any(|allowed| allowed == wanted), "{row:?} pinned {wanted}");
    let Outcome::Answered(reply) = outcome else {
        assert_eq!(wanted, "close", "{row:?}");
        return;
    };
    assert_eq!(wanted, reply.status.to_string(), "{row:?} {reply:?}");
    assert!(reply.status < 500, "{row:?}");
    if reply.status < 400 {
        return;
    }
    if BARE.contains(&row.id) {
        assert!(reply.body.is_empty(), "{row:?}: no longer bare");
        return;
    }
    let other = OTHER_CODE.iter().find(|(id, ..)| *id == row.id).map(|(_, code, _)| *code);
    assert_eq!(reply.code(), other.unwrap_or(row.code), "{row:?}");
}

fn impatient() -> Options {
    let limits = HttpLimits {
        connections_max: 64,
        head_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_secs(20),
        body_grace: Duration::from_millis(200),
        sweep_every: Duration::from_millis(20),
        ..HttpLimits::default()
    };
    Options { limits, ..Options::default() }
}

/// Plays a row; most have one case, some several.
async fn play(row: &Row, server: &Server) -> Vec<Outcome> {
    match row.area {
        "http" => vec![play_http(row, server).await],
        "json" => vec![publish(server, &json_body(row)).await],
        "id" | "idem" => play_id(row, server).await,
        "page" | "csrf" => {
            let (method, path) = row.request.split_once(' ').unwrap();
            vec![raw(server, &head(method, &expand_text(path), "")).await]
        }
        "auth" => vec![play_auth(row, server).await],
        "webhook" => play_webhook(row, server).await,
        other => panic!("{other}: rows of a new area"),
    }
}

async fn play_http(row: &Row, server: &Server) -> Outcome {
    let post = |headers: &str, body: &[u8]| {
        let head = format!("POST /v1/events HTTP/1.1\r\nHost: localhost\r\n{}", bearer(ADMIN_KEY));
        [head.as_bytes(), headers.as_bytes(), b"\r\n", body].concat()
    };
    let sized = |headers: &str| {
        post(&format!("{headers}Content-Length: {}\r\n", EVENT.len()), EVENT.as_bytes())
    };
    let chunked = |body: &str| post("Transfer-Encoding: chunked\r\n", body.as_bytes());
    match row.id {
        "H003" => {
            let more = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n".repeat(BODY_MAX / 36);
            only_answer(server, &post("Content-Length: 100\r\n", more.as_bytes())).await
        }
        "H004" => raw(server, &post("Content-Length: 1000000\r\n", &[b' '; 10])).await,
        "H005" => play_slow_heads(server).await,
        "H006" => play_slow_body(server, &post("Content-Length: 1000000\r\n", b"")).await,
        "H007" => play_silent_sockets(server).await,
        "H008" => {
            let body = format!(
                "{:x}\r\n{EVENT}\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
                EVENT.len()
            );
            let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
            match only_answer(server, &post(both, body.as_bytes())).await {
                Outcome::Answered(reply) if reply.status == 202 => Outcome::Closed,
                other => other,
            }
        }
        "H010" => raw(server, &post("Content-Length: +5\r\n", b"12345")).await,
        "H011" => raw(server, &post("Content-Length: 5, 5\r\n", b"12345")).await,
        "H014" => raw(server, &chunked("FFFFFFFFFFFFFFFFF\r\n")).await,
        "H015" => raw(server, &chunked(&format!("5;{}\r\n", "a".repeat(BODY_MAX)))).await,
        "H017" => {
            let length = EVENT.len();
            let trailers = format!("a: {}\r\n\r\n", "b".repeat(BODY_MAX));
            raw(server, &chunked(&format!("{length:x}\r\n{EVENT}\r\n0\r\n{trailers}"))).await
        }
        "H018" => raw(server, &sized("X-A: 1\r\n 2\r\n")).await,
        "H020" => {
            let text = String::from_utf8(sized("")).unwrap();
            raw(server, text.replace("\r\n", "\n").as_bytes()).await
        }
        "H021" => {
            let many = (0..200).fold(String::new(), |mut all, n| {
                let _ = write!(all, "X-{n}: a\r\n");
                all
            });
            raw(server, &sized(&many)).await
        }
        "H023" | "H045" | "H046" => {
            let path = expand_text(row.request.split_once(' ').unwrap().1);
            raw(server, &head("GET", &path, "")).await
        }
        "H025" => {
            let connect = "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n";
            raw(server, connect.as_bytes()).await
        }
        "H027" => raw(server, b"POST /v1/events\r\n\r\n").await,
        "H028" => raw(server, b"POST /v1/events HTTP/3.7\r\nHost: a\r\n\r\n").await,
        "H030" | "H031" | "H032" | "H033" => {
            let frames = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0; 4_096]].concat();
            raw(server, &frames).await
        }
        "H034" => {
            let headers = "Content-Length: 104857600\r\nExpect: 100-continue\r\n";
            raw(server, &post(headers, b"")).await
        }
        "H037" => raw(server, &sized("Range: bytes=0-1\r\nIf-Range: \"a\"\r\n")).await,
        "H038" => raw(server, &sized("")).await,
        "H039" => raw(server, &sized("Content-Type: text/plain\r\n")).await,
        "H040" => raw(server, &sized("Content-Type: application/x-www-form-urlencoded\r\n")).await,
        "H043" => raw(server, &sized("X-Forwarded-For: 127.0.0.1\r\n")).await,
        other => panic!("{other}: a new row"),
    }
}

/// Fifty half-sent heads; a healthy client is served meanwhile, and then all are cut.
async fn play_slow_heads(server: &Server) -> Outcome {
    let mut slow = Vec::new();
    for _ in 0..50 {
        let mut connection = server.connect().await;
        connection.send(b"POST /v1/events HTTP/1.1\r\nHo").await;
        slow.push(connection);
    }
    assert_eq!(server.call("GET", "/healthz", "").await.status, 200);
    for connection in &mut slow {
        assert!(connection.closed().await.is_empty());
    }
    Outcome::Closed
}

/// One byte for each answer that another client gets.
async fn play_slow_body(server: &Server, head: &[u8]) -> Outcome {
    let mut connection = server.connect().await;
    connection.send(head).await;
    let mut other = server.connect().await;
    let mut sent = 0;
    loop {
        if sent < 20 {
            connection.send(b" ").await;
            sent += 1;
        }
        other.send(&self::head("GET", "/healthz", "")).await;
        tokio::select! {
            biased;
            reply = connection.reply() => return Outcome::Answered(reply.unwrap()),
            reply = other.reply() => assert_eq!(reply.unwrap().status, 200),
        }
    }
}

/// More silent sockets than connections are served: they wait, are cut in turn, and a client
/// that comes after them is served. What happens without file descriptors is a test of its own.
async fn play_silent_sockets(server: &Server) -> Outcome {
    let mut silent = Vec::new();
    for _ in 0..150 {
        silent.push(server.connect().await);
    }
    assert_eq!(server.call("GET", "/healthz", "").await.status, 200);
    for connection in &mut silent {
        assert!(connection.closed().await.is_empty());
    }
    Outcome::Closed
}

async fn play_id(row: &Row, server: &Server) -> Vec<Outcome> {
    let event = |id: &str, data: &str| format!(r#"{{"type":"a.b","data":{data},"id":"{id}"}}"#);
    let other = bearer(&server.key("other", "manage").await);
    let length = |body: &str| format!("Content-Length: {}\r\n", body.len());
    match row.id {
        "H110" | "H111" => {
            vec![raw(server, &head("GET", row.request.split_once(' ').unwrap().1, "")).await]
        }
        "H112" => {
            let made = server.call("POST", "/v1/events", EVENT).await.json();
            let path = format!("/v1/events/{}", made["id"].as_str().unwrap());
            let reply = server.call_with("GET", &path, &other, b"").await;
            let unknown = server.call("GET", "/v1/events/not-an-id", "").await;
            assert_eq!(reply.body, unknown.body, "no oracle");
            vec![Outcome::Answered(reply)]
        }
        "H116" => {
            publish(server, event("msg_abc", "1").as_bytes()).await;
            vec![raw(server, &head("GET", "/v1/events/msg_ABC", "")).await]
        }
        "H117" => vec![publish(server, event("a.b", "1").as_bytes()).await],
        "H118" => vec![
            publish(server, event("a\\nb", "1").as_bytes()).await,
            publish(server, event(&"a".repeat(129), "1").as_bytes()).await,
        ],
        "H120" => {
            publish(server, event("once", "1").as_bytes()).await;
            let again = publish(server, event("once", "2").as_bytes()).await;
            let first = server.call("GET", "/v1/events/once", "").await.json();
            assert_eq!(first["data"], 1, "the first is kept");
            vec![again]
        }
        "H121" => {
            publish(server, event("shared", "1").as_bytes()).await;
            let body = event("shared", "2");
            let reply = server.call_with("POST", "/v1/events", &other, body.as_bytes()).await;
            vec![Outcome::Answered(reply)]
        }
        "H177" => {
            let own = format!("{}Idempotency-Key: k\r\n{}", bearer(ADMIN_KEY), length(EVENT));
            let mut connection = server.connect().await;
            connection.send(&with_head(&own, EVENT)).await;
            assert_eq!(connection.reply().await.unwrap().status, 202);
            let others = format!("{other}Idempotency-Key: k\r\n{}", length(EVENT));
            vec![raw(server, &with_head(&others, EVENT)).await]
        }
        other => panic!("{other}: a new row"),
    }
}

async fn play_auth(row: &Row, server: &Server) -> Outcome {
    let with = |headers: &str| request("POST", "/v1/events", headers, EVENT.as_bytes());
    match row.id {
        "H138" => {
            let mut key = server.key("auth", "publish").await;
            let last = if key.pop() == Some('0') { '1' } else { '0' };
            key.push(last);
            raw(server, &with(&bearer(&key))).await
        }
        "H139" => raw(server, &with(&bearer(&"a".repeat(100_000)))).await,
        "H140" => raw(server, &with(&bearer(ADMIN_KEY).repeat(2))).await,
        "H141" => {
            let path = format!("/v1/events?api_key={ADMIN_KEY}");
            raw(server, &request("POST", &path, "", EVENT.as_bytes())).await
        }
        "H142" => {
            let made = server.call("POST", "/v1/keys", r#"{"scope":"publish"}"#).await.json();
            let key = bearer(made["key"].as_str().unwrap());
            let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
            let before = server.call_with("POST", "/v1/events", &key, EVENT.as_bytes()).await;
            assert_eq!(before.status, 202);
            assert_eq!(server.call("DELETE", &path, "").await.status, 204);
            raw(server, &with(&key)).await
        }
        "H143" => raw(server, &with(&bearer(&server.key("auth", "read").await))).await,
        "H146" => {
            let mut connection = server.connect().await;
            let mut last = None;
            for _ in 0..1_000 {
                connection.send(&with(&bearer("wrong"))).await;
                last = connection.reply().await;
            }
            let last = last.unwrap();
            assert_eq!(last.header("retry-after"), Some("10"));
            let right = server.call("POST", "/v1/events", EVENT).await;
            assert_eq!(right.status, 202, "a right key is never slowed down");
            Outcome::Answered(last)
        }
        other => panic!("{other}: a new row"),
    }
}

async fn play_webhook(row: &Row, server: &Server) -> Vec<Outcome> {
    let settings: Vec<String> = match row.id {
        "H163" => {
            let many: Vec<_> = (0..65).map(|n| format!(r#""X-{n}":"a""#)).collect();
            let long = "a".repeat(8 << 10);
            vec![
                format!(r#""headers":{{{}}}"#, many.join(",")),
                format!(r#""headers":{{"X-A":"{long}"}}"#),
            ]
        }
        "H165" => vec![r#""secret":"whsec_AAAAAAAAAAA=""#.to_owned()],
        "H166" => vec![r#""secret":"whsec_!!!!""#.to_owned()],
        "H167" => vec![r#""description":"<script>alert(1)</script>""#.to_owned()],
        "H168" => ["0", "-1", "1e9"].map(|rate| format!(r#""rate_limit":{rate}"#)).to_vec(),
        "H169" => {
            let many = vec!["1"; 101].join(",");
            ["", &many, "-1", "34560000"]
                .map(|delays| format!(r#""retry_schedule":[{delays}]"#))
                .to_vec()
        }
        "H170" => {
            let many: Vec<_> = (0..10_000).map(|n| format!(r#""t{n}""#)).collect();
            let body = format!(r#"{{"url":"https://example.com","events":[{}]}}"#, many.join(","));
            return vec![answered(server.call("POST", "/v1/webhooks", &body).await)];
        }
        "H171" => return vec![play_quota().await],
        "H172" => return play_urls(server).await,
        _ => vec![format!(r#""headers":{}"#, row.input.strip_prefix("headers ").unwrap())],
    };
    let mut outcomes = Vec::new();
    for setting in settings {
        let body = format!(r#"{{"url":"https://example.com/a","events":["x.y"],{setting}}}"#);
        outcomes.push(answered(server.call("POST", "/v1/webhooks", &body).await));
    }
    outcomes
}

/// The bound is configured; here it is small.
async fn play_quota() -> Outcome {
    let options = Options { webhooks_per_tenant_max: 3, ..Options::default() };
    let server = Server::start_with(options).await;
    let body = r#"{"url":"https://example.com/a","events":["*"]}"#;
    for _ in 0..3 {
        assert_eq!(server.call("POST", "/v1/webhooks", body).await.status, 201);
    }
    answered(server.call("POST", "/v1/webhooks", body).await)
}

/// Each URL of the table of addresses that is refused by its text, on creating and on changing.
/// What names resolve to is judged at each attempt, which the sender's tests hold.
async fn play_urls(server: &Server) -> Vec<Outcome> {
    let good = r#"{"url":"https://example.com/a","events":["x.y"]}"#;
    let made = server.call("POST", "/v1/webhooks", good).await.json();
    let path = format!("/v1/webhooks/{}", made["id"].as_str().unwrap());
    let mut outcomes = Vec::new();
    for url in refused_urls() {
        let url = serde_json::to_string(&url).unwrap();
        let create = format!(r#"{{"url":{url},"events":["*"]}}"#);
        outcomes.push(answered(server.call("POST", "/v1/webhooks", &create).await));
        let change = format!(r#"{{"url":{url}}}"#);
        outcomes.push(answered(server.call("PATCH", &path, &change).await));
    }
    outcomes
}

fn json_body(row: &Row) -> Vec<u8> {
    let padded = |length: usize| {
        let frame = r#"{"type":"a.b","data":""}"#.len();
        format!(r#"{{"type":"a.b","data":"{}"}}"#, "a".repeat(length - frame)).into_bytes()
    };
    match row.id {
        "H047" => Vec::new(),
        "H099" => {
            let text = format!("\u{feff}{EVENT}");
            text.encode_utf16().flat_map(u16::to_le_bytes).collect()
        }
        "H105" => padded(BODY_MAX),
        "H106" => padded(BODY_MAX + 1),
        "H107" => format!("[{}]", vec![EVENT; 1_001].join(",")).into_bytes(),
        "H108" => {
            let mut items = vec![EVENT; 1_000];
            items[500] = r#"{"type":"a..b","data":{}}"#;
            format!("[{}]", items.join(",")).into_bytes()
        }
        _ => expand(row.input),
    }
}

fn head(method: &str, path: &str, headers: &str) -> Vec<u8> {
    request(method, path, &format!("{}{headers}", bearer(ADMIN_KEY)), b"")
}

fn with_head(headers: &str, body: &str) -> Vec<u8> {
    format!("POST /v1/events HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}").into_bytes()
}

async fn publish(server: &Server, body: &[u8]) -> Outcome {
    raw(server, &request("POST", "/v1/events", &bearer(ADMIN_KEY), body)).await
}

async fn raw(server: &Server, bytes: &[u8]) -> Outcome {
    let mut connection = server.connect().await;
    connection.send(bytes).await;
    connection.reply().await.map_or(Outcome::Closed, Outcome::Answered)
}

/// The answer, after which the connection must end without another one.
async fn only_answer(server: &Server, bytes: &[u8]) -> Outcome {
    let mut connection = server.connect().await;
    connection.send(bytes).await;
    let reply = connection.reply().await;
    assert!(connection.closed().await.is_empty(), "what followed was read as a request");
    reply.map_or(Outcome::Closed, Outcome::Answered)
}

fn answered(reply: Reply) -> Outcome {
    Outcome::Answered(reply)
}
