//! Row H007, the rest: accepting outlives a lack of file descriptors. It takes them away from the
//! whole process, so it is alone in this one.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "api_http/support.rs"]
#[allow(dead_code, reason = "this test needs little of what the others share")]
mod support;

use std::fs::File;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Connection, Server, patiently, request};
use tokio::net::TcpSocket;

#[tokio::test]
async fn accepting_outlives_a_lack_of_file_descriptors() {
    let server = Server::start().await;
    // the client's descriptor is taken first, so that only the server lacks one
    let socket = TcpSocket::new_v4().unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: Some(96), maximum }).unwrap();
    let taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(taken.len() > 16, "only {} were left", taken.len());

    let mut waiting = Connection::over(patiently(socket.connect(server.address)).await.unwrap());
    waiting.send(&request("GET", "/healthz", "", b"")).await;
    // the server finds the connection, and that it can't have it
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(taken);
    assert_eq!(waiting.reply().await.unwrap().status, 200);
    assert_eq!(server.call("GET", "/healthz", "").await.status, 200);
}
