//! Connections are kept and used again, and a closed one never costs an attempt.

use std::io::{Read as _, Write as _};
use std::sync::atomic::Ordering;
use std::time::Duration;

use postrider::send::{Identity, Sender};
use tokio::io::AsyncWriteExt;

use crate::receiver::{Receiver, read_request, reset_on_drop};
use crate::{loopback_sender, options, outcome, request};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn send_ok(sender: &Sender, receiver: &Receiver) {
    let sent = sender.send(request(&receiver.url())).await;
    assert_eq!(outcome(&sent), "answered 200", "{:?}", sent.result);
    assert_eq!(sent.address, Some(receiver.address));
}

#[tokio::test]
async fn one_connection_carries_many_requests() {
    for answer in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ] {
        let receiver = Receiver::answering(answer).await;
        let sender = loopback_sender();
        for _ in 0..300 {
            let sent = sender.send(request(&receiver.url())).await;
            assert!(sent.result.is_success(), "{:?}", sent.result);
        }
        assert_eq!((receiver.accepts(), receiver.requests()), (1, 300), "{answer}");
        assert_eq!(sender.idle_count(), 1);
    }
}

#[tokio::test]
async fn concurrent_requests_use_as_many_connections_and_keep_them() {
    let receiver = Receiver::answering(OK).await;
    let sender = loopback_sender();
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (sender, request) = (sender.clone(), request(&receiver.url()));
        sending.spawn(async move { sender.send(request).await });
    }
    while let Some(sent) = sending.join_next().await {
        assert_eq!(outcome(&sent.unwrap()), "answered 200");
    }
    assert_eq!(sender.idle_count(), receiver.accepts());
    let opened = receiver.accepts();
    send_ok(&sender, &receiver).await;
    assert_eq!(receiver.accepts(), opened);
}

#[tokio::test]
async fn a_connection_that_its_receiver_closed_or_reset_costs_no_attempt() {
    for is_reset in [false, true] {
        let receiver = Receiver::start(move |mut stream, _, _| async move {
            // says nothing of closing, and closes at once
            if read_request(&mut stream).await.is_some() {
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
            if is_reset {
                reset_on_drop(&stream);
            }
        })
        .await;
        let sender = loopback_sender();
        for _ in 0..200 {
            send_ok(&sender, &receiver).await;
            // the receiver's task runs and closes
            tokio::task::yield_now().await;
        }
        assert_eq!(receiver.accepts(), 200);
    }
}

#[tokio::test]
async fn a_close_that_the_runtime_has_not_heard_of_costs_no_attempt() {
    // The receiver has a thread of its own and closes while this one is not polling for events.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (close, closing) = std::sync::mpsc::channel();
    let (closed, done) = std::sync::mpsc::channel();
    let receiver = std::thread::spawn(move || {
        for stream in listener.incoming().take(50) {
            let mut stream = stream.unwrap();
            // the request is one write, so one read takes it
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(OK.as_bytes()).unwrap();
            closing.recv().unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let sender = loopback_sender();
    for _ in 0..50 {
        let sent = sender.send(request(&url)).await;
        assert_eq!(outcome(&sent), "answered 200", "{:?}", sent.result);
        assert_eq!(sender.idle_count(), 1);
        close.send(()).unwrap();
        done.recv().unwrap();
    }
    receiver.join().unwrap();
}

#[tokio::test]
async fn a_receiver_that_says_close_is_not_kept() {
    for answer in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore than it said",
    ] {
        let receiver = Receiver::answering(answer).await;
        let sender = loopback_sender();
        for _ in 0..3 {
            send_ok(&sender, &receiver).await;
        }
        assert_eq!(receiver.accepts(), 3, "{answer}");
    }
}

#[tokio::test]
async fn idle_connections_end_with_their_time_or_their_receiver() {
    let receiver = Receiver::answering(OK).await;
    let mut impatient = options(&["127.0.0.0/8"], &[]);
    impatient.idle_time = Duration::from_nanos(1);
    let sender = Sender::new(impatient).unwrap();
    send_ok(&sender, &receiver).await;
    send_ok(&sender, &receiver).await;
    assert_eq!(receiver.accepts(), 2);
    sender.sweep_idle();
    assert_eq!(sender.idle_count(), 0);

    let sender = loopback_sender();
    send_ok(&sender, &receiver).await;
    sender.sweep_idle();
    assert_eq!(sender.idle_count(), 1);
    drop(receiver);
    while sender.idle_count() > 0 {
        tokio::task::yield_now().await;
        sender.sweep_idle();
    }
}

#[tokio::test]
async fn identities_never_share_a_connection() {
    let receiver = Receiver::answering(OK).await;
    let sender = loopback_sender();
    for identity in [0, 1, 0, 1, 2] {
        let mut request = request(&receiver.url());
        request.identity = Identity(identity);
        assert_eq!(outcome(&sender.send(request).await), "answered 200");
    }
    assert_eq!(receiver.accepts(), 3);
}

#[tokio::test]
async fn idle_connections_to_one_origin_are_bounded() {
    const IN_FLIGHT: usize = 300;
    let (release, released) = tokio::sync::watch::channel(false);
    let receiver = Receiver::start(move |mut stream, _, requests| {
        let mut released = released.clone();
        async move {
            while read_request(&mut stream).await.is_some() {
                requests.fetch_add(1, Ordering::SeqCst);
                released.wait_for(|released| *released).await.unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let sender = loopback_sender();
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..IN_FLIGHT {
        let (sender, mut request) = (sender.clone(), request(&receiver.url()));
        request.deadline = Duration::from_secs(10);
        sending.spawn(async move { sender.send(request).await });
        // in small groups, for a listener's backlog is bounded too
        while number % 50 == 0 && receiver.requests() < number {
            tokio::task::yield_now().await;
        }
    }
    while receiver.requests() < IN_FLIGHT {
        tokio::task::yield_now().await;
    }
    release.send(true).unwrap();
    while let Some(sent) = sending.join_next().await {
        assert_eq!(outcome(&sent.unwrap()), "answered 200");
    }
    assert_eq!(sender.idle_count(), postrider::send::limits::IDLE_PER_ORIGIN_MAX);
}

#[tokio::test]
async fn a_dropped_attempt_leaves_no_connection_behind() {
    let receiver = Receiver::start(|mut stream, number, _| async move {
        while read_request(&mut stream).await.is_some() {
            if number == 0 {
                std::future::pending::<()>().await;
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let sender = loopback_sender();
    let mut hanging = request(&receiver.url());
    hanging.deadline = Duration::from_millis(100);
    assert_eq!(outcome(&sender.send(hanging).await), "Timeout");
    assert_eq!(sender.idle_count(), 0);
    send_ok(&sender, &receiver).await;
    assert_eq!(receiver.accepts(), 2);
}
