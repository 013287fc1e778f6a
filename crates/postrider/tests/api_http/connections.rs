//! Connections: kept alive, closed in doubt, drained at the end.

use std::time::Duration;

use postrider::http::limits::HttpLimits;

use crate::support::{ADMIN_KEY, Options, Server, bearer, request};

const EVENT: &[u8] = br#"{"type":"a.b","data":{}}"#;

#[tokio::test]
async fn a_connection_serves_one_request_after_another() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    for _ in 0..3 {
        connection.send(&request("POST", "/v1/events", &bearer(ADMIN_KEY), EVENT)).await;
        assert_eq!(connection.reply().await.unwrap().status, 202);
    }
    // two at once, and a request that is wrong but whole leaves the connection as it is
    let wrong = request("POST", "/v1/events", &bearer(ADMIN_KEY), b"{}");
    let right = request("POST", "/v1/events", &bearer(ADMIN_KEY), EVENT);
    connection.send(&[wrong, right].concat()).await;
    assert_eq!(connection.reply().await.unwrap().status, 422);
    assert_eq!(connection.reply().await.unwrap().status, 202);
}

#[tokio::test]
async fn a_body_may_come_in_pieces_or_chunks() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let whole = request("POST", "/v1/events", &bearer(ADMIN_KEY), EVENT);
    for piece in whole.chunks(7) {
        connection.send(piece).await;
    }
    assert_eq!(connection.reply().await.unwrap().status, 202);
    let mut head =
        String::from_utf8(request("GET", "/v1/events", &bearer(ADMIN_KEY), b"")).unwrap();
    head =
        head.replacen("GET", "POST", 1).replacen("\r\n", "\r\nTransfer-Encoding: chunked\r\n", 1);
    connection.send(head.as_bytes()).await;
    for piece in EVENT.chunks(5) {
        connection.send(format!("{:x}\r\n", piece.len()).as_bytes()).await;
        connection.send(piece).await;
        connection.send(b"\r\n").await;
    }
    connection.send(b"0\r\n\r\n").await;
    let reply = connection.reply().await.unwrap();
    assert_eq!((reply.status, reply.header("connection")), (202, Some("close")));
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let headers = format!("{}Expect: 100-continue\r\n", bearer(ADMIN_KEY));
    let whole = request("POST", "/v1/events", &headers, EVENT);
    let (head, body) = whole.split_at(whole.len() - EVENT.len());
    connection.send(head).await;
    assert_eq!(connection.reply().await.unwrap().status, 100);
    connection.send(body).await;
    assert_eq!(connection.reply().await.unwrap().status, 202);
}

#[tokio::test]
async fn a_client_without_a_key_is_told_so_before_its_body() {
    let server = Server::start().await;
    let mut connection = server.connect().await;
    let headers = "Expect: 100-continue\r\n";
    let whole = request("POST", "/v1/events", headers, EVENT);
    connection.send(&whole[..whole.len() - EVENT.len()]).await;
    assert_eq!(connection.reply().await.unwrap().status, 401);
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_and_its_sender_sees_it() {
    let server = Server::start().await;
    let body = vec![b' '; (2 << 20) + 1];
    let reply = server.call_with("POST", "/v1/events", &bearer(ADMIN_KEY), &body).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn exactly_one_host_is_wanted() {
    let server = Server::start().await;
    for hosts in ["", "Host: a\r\nHost: b\r\n"] {
        let mut connection = server.connect().await;
        connection.send(format!("GET /healthz HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await;
        let reply = connection.reply().await.unwrap();
        assert_eq!((reply.status, reply.code().as_str()), (400, "bad_request"), "{hosts:?}");
    }
    let mut connection = server.connect().await;
    connection.send(b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
}

#[tokio::test]
async fn a_silent_connection_is_closed_in_time() {
    let limits = HttpLimits {
        idle_timeout: Duration::from_millis(60),
        sweep_every: Duration::from_millis(20),
        ..HttpLimits::default()
    };
    let server = Server::start_with(Options { limits, ..Options::default() }).await;
    let mut connection = server.connect().await;
    connection.send(&request("GET", "/healthz", "", b"")).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);
    assert!(connection.closed().await.is_empty());
}

#[tokio::test]
async fn stopping_lets_a_request_in_hand_end_and_closes_the_rest() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send(&request("GET", "/healthz", "", b"")).await;
    assert_eq!(idle.reply().await.unwrap().status, 200);
    let mut busy = server.connect().await;
    let headers = format!("{}Expect: 100-continue\r\n", bearer(ADMIN_KEY));
    let whole = request("POST", "/v1/events", &headers, EVENT);
    let (head, body) = whole.split_at(whole.len() - EVENT.len());
    busy.send(head).await;
    assert_eq!(busy.reply().await.unwrap().status, 100, "its handler waits for the body");

    server.stop();
    assert!(idle.closed().await.is_empty());
    busy.send(body).await;
    assert_eq!(busy.reply().await.unwrap().status, 202);
    assert!(busy.closed().await.is_empty());
    server.stopped().await;
}
