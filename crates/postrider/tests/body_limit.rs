//! A request is held to the configured limit however its body is framed.

mod support;

use postrider::clock::Clock;
use support::http::send_raw;
use support::server::{KEY, TestServer};

#[test]
fn a_chunked_body_is_held_to_the_limit_too() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let server =
        TestServer::start_in(data.path(), Clock::system(), &[("body_limit_bytes", "1024")]);
    let body = format!(r#"{{"type":"a.b","data":"{}"}}"#, "x".repeat(5_000));
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {KEY}\r\n",
        server.address()
    );
    let framed = [
        format!("{head}content-length: {}\r\n\r\n{body}", body.len()),
        format!("{head}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
    ];
    for request in framed {
        let answer = send_raw(server.address(), request.as_bytes());
        assert_eq!(answer.status(), 413, "{}", answer.text());
    }
}
