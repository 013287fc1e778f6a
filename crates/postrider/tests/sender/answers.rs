//! What receivers answer, and what becomes of it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use postrider_core::delivery::AttemptResult;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::receiver::{Ending, Receiver, read_request, reset_on_drop};
use crate::{loopback_sender, outcome, request};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

async fn check(id: &str, answer: impl Into<Vec<u8>>, ending: Ending, expected: &str) {
    let receiver = Receiver::ending(answer, ending).await;
    let mut request = request(&receiver.url());
    if expected.starts_with("Timeout") {
        request.deadline = Duration::from_millis(400);
    }
    let started = Instant::now();
    let sent = loopback_sender().send(request).await;
    assert_eq!(outcome(&sent), expected, "{id}: {:?}", sent.result);
    assert!(started.elapsed() < Duration::from_secs(9), "{id}");
    assert_eq!(receiver.accepts(), 1, "{id}: tried again at once");
}

#[tokio::test]
async fn the_request_on_the_wire_is_exactly_what_was_asked_for() {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream, _, _| {
        let seen = seen.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await {
                stream.write_all(OK.as_bytes()).await.unwrap();
                seen.send(String::from_utf8(request).unwrap()).unwrap();
            }
        }
    })
    .await;
    let authority = receiver.address;
    let mut request = request(&format!("http://{authority}/a%20b?c=d&e=+"));
    for (name, value) in [("webhook-id", "evt_1"), ("host", "evil"), ("content-length", "9")] {
        request.head.put(name, value.as_bytes()).unwrap();
    }
    let sent = loopback_sender().send(request).await;
    assert_eq!(outcome(&sent), "answered 200");
    assert_eq!(sent.address, Some(authority));
    assert_eq!(
        requests.recv().await.unwrap(),
        format!(
            "POST /a%20b?c=d&e=+ HTTP/1.1\r\nhost: {authority}\r\n\
             content-type: application/json\r\nwebhook-id: evt_1\r\n\
             content-length: 14\r\n\r\n{{\"id\":\"evt_1\"}}"
        )
    );
}

#[tokio::test]
async fn only_2xx_succeeds_and_redirects_are_answers_like_others() {
    // H191, H192, H190, and the statuses of contract §3
    for status in [
        200, 201, 204, 299, 300, 301, 302, 304, 307, 308, 399, 400, 401, 404, 410, 429, 500, 503,
        599,
    ] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let sent = loopback_sender().send(request(&receiver.url())).await;
        assert_eq!(outcome(&sent), format!("answered {status}"));
        let is_success = (200..300).contains(&status);
        assert_eq!(sent.result.is_success(), is_success, "{status}");
        assert_eq!(sent.result.is_gone(), status == 410);
    }
}

#[tokio::test]
async fn a_location_is_never_followed_and_refresh_is_ignored() {
    // S196, S199, S200
    let trap = Receiver::answering(OK).await;
    for (status, header) in [(307, "Location"), (308, "Location"), (200, "Refresh")] {
        let value = match header {
            "Refresh" => format!("0;url={}", trap.url()),
            _ => trap.url(),
        };
        let answer =
            format!("HTTP/1.1 {status} X\r\n{header}: {value}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let sent = loopback_sender().send(request(&receiver.url())).await;
        assert_eq!(outcome(&sent), format!("answered {status}"));
        assert_eq!(receiver.requests(), 1);
    }
    assert_eq!(trap.accepts(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_failure() {
    for (id, answer) in [
        ("H193 000", "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n"),
        ("H193 99", "HTTP/1.1 99 X\r\nContent-Length: 0\r\n\r\n"),
        ("H193 600", "HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n"),
        ("H193 999", "HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n"),
        ("H193 1000", "HTTP/1.1 1000 X\r\nContent-Length: 0\r\n\r\n"),
        ("101", "HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"),
        ("banner", "SSH-2.0-OpenSSH_9.6\r\n\r\n"),
        ("0.9", "<html>hello</html>\n\n"),
        ("http/2", "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
        ("binary", "\u{1}\u{2}\u{3}\u{0}\r\n\r\n"),
        ("no colon", "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n"),
        ("NUL", "HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n"),
        ("length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
    ] {
        check(id, answer, Ending::Close, "Protocol").await;
    }
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    check("chunk", chunk, Ending::Hold, "Protocol after 200").await;
}

#[tokio::test]
async fn heads_are_bounded_in_size_and_count() {
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(70 << 10));
    check("long", long, Ending::Hold, "Protocol").await;
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(1_100));
    check("many", many, Ending::Hold, "Protocol").await;
}

#[tokio::test]
async fn a_thousand_cookies_are_no_failure_and_are_kept_only_in_part() {
    // H196
    let cookies = "Set-Cookie: session=0123456789\r\n".repeat(1_000);
    let answer = format!("HTTP/1.1 200 OK\r\n{cookies}Content-Length: 0\r\n\r\n");
    let receiver = Receiver::answering(answer).await;
    let sender = loopback_sender();
    for _ in 0..2 {
        let sent = sender.send(request(&receiver.url())).await;
        let AttemptResult::Answered(answer) = sent.result else { panic!("{:?}", sent.result) };
        let kept: usize = answer.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        assert!((1..=8 << 10).contains(&kept), "{kept}");
    }
}

#[tokio::test]
async fn interim_answers_are_skipped_up_to_eight() {
    let hint = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let with = |count: usize| format!("{}{OK}", hint.repeat(count));
    check("8", with(8), Ending::Hold, "answered 200").await;
    check("9", with(9), Ending::Hold, "Protocol after 200").await;
    // noticed at once, not by the deadline
    check("only 9", hint.repeat(9), Ending::Hold, "Protocol").await;
}

#[tokio::test]
async fn ten_thousand_interim_answers_are_a_failure() {
    // S203
    let receiver = Receiver::start(|mut stream, _, _| async move {
        read_request(&mut stream).await.unwrap();
        for _ in 0..10_000 {
            let hint = b"HTTP/1.1 103 Early Hints\r\n\r\n";
            if stream.write_all(hint).await.is_err() {
                return;
            }
        }
        let _ = stream.write_all(OK.as_bytes()).await;
    })
    .await;
    let sent = loopback_sender().send(request(&receiver.url())).await;
    let AttemptResult::Broke { class, .. } = &sent.result else { panic!("{:?}", sent.result) };
    assert_eq!(format!("{class:?}"), "Protocol");
}

#[tokio::test]
async fn an_answer_that_ends_early_is_truncated_at_every_byte() {
    // H184; a connection that is reset is told apart
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234567890";
    let head = answer.len() - 10;
    for cut in 0..answer.len() {
        let expected = match cut {
            0 => "Reset",
            _ if cut < head => "Truncated",
            _ => "Truncated after 200",
        };
        let part = &answer.as_bytes()[..cut];
        check(&format!("cut {cut}"), part, Ending::Close, expected).await;
        let expected = if cut < head { "Reset" } else { "Reset after 200" };
        check(&format!("RST {cut}"), part, Ending::Reset, expected).await;
    }
}

#[tokio::test]
async fn bodies_without_a_length_end_with_the_connection() {
    let answer = "HTTP/1.1 200 OK\r\n\r\nas long as it lasts";
    check("close", answer, Ending::Close, "answered 200").await;
    check("1.0", "HTTP/1.0 200 OK\r\n\r\n", Ending::Close, "answered 200").await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
    check("chunked", chunked, Ending::Close, "Truncated after 200").await;
}

#[tokio::test]
async fn a_receiver_that_is_silent_or_slow_costs_its_deadline() {
    // H179: a 200 whose body never ends is a failure, because it was not answered in time
    check("silent", "", Ending::Hold, "Timeout").await;
    check("half a head", "HTTP/1.1 200 O", Ending::Hold, "Timeout").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345";
    check("H179", head, Ending::Hold, "Timeout after 200").await;

    let receiver = Receiver::start(|mut stream, _, _| async move {
        read_request(&mut stream).await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        let mut tick = tokio::time::interval(Duration::from_millis(5));
        for byte in answer.iter().chain(std::iter::repeat(&b'.')) {
            tick.tick().await;
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let mut trickled = request(&receiver.url());
    trickled.deadline = Duration::from_millis(600);
    let started = Instant::now();
    let sent = loopback_sender().send(trickled).await;
    assert_eq!(outcome(&sent), "Timeout after 200");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_infinite_answer_is_read_to_64_kib_and_the_connection_closed() {
    // H178
    for (status, kept) in [(200, 1 << 10), (500, 16 << 10)] {
        let (ended, mut ends) = mpsc::unbounded_channel();
        let receiver = Receiver::start(move |mut stream, _, _| {
            let ended = ended.clone();
            async move {
                read_request(&mut stream).await.unwrap();
                let head = format!("HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let chunk = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
                let mut written = 0;
                while stream.write_all(&chunk).await.is_ok() {
                    written += chunk.len();
                }
                ended.send(written).unwrap();
            }
        })
        .await;
        let sender = loopback_sender();
        let sent = sender.send(request(&receiver.url())).await;
        assert_eq!(outcome(&sent), format!("answered {status}"));
        assert_eq!(sent.result.is_success(), status == 200);
        let AttemptResult::Answered(answer) = sent.result else { panic!() };
        assert_eq!((answer.body.len(), answer.is_body_cut), (kept, true));
        // its writes fail only once we have closed; until then the kernels' buffers fill
        let written = ends.recv().await.unwrap();
        assert!(written < 16 << 20, "{written} bytes were taken");
        assert_eq!(sender.idle_count(), 0);
    }
}

#[tokio::test]
async fn bodies_are_kept_as_they_came() {
    // H194, and compressed ones are not inflated
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x04\0\x43\xbe\xb7\xe8\x01\0\0\0";
    for (header, body) in [
        ("Content-Type: text/html", b"<script>alert(1)</script>".as_slice()),
        ("Content-Encoding: gzip", gzip),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{header}\r\nContent-Length: {}\r\n\r\n", body.len());
        let receiver = Receiver::answering([head.as_bytes(), body].concat()).await;
        let sent = loopback_sender().send(request(&receiver.url())).await;
        let AttemptResult::Answered(answer) = sent.result else { panic!("{:?}", sent.result) };
        assert_eq!(answer.body, body);
        assert!(!answer.is_body_cut);
    }
}

#[tokio::test]
async fn hostile_retry_after_values_pass_through_or_are_dropped() {
    // H186, H187
    for (value, is_kept) in [
        ("120", true),
        ("1e18", true),
        ("inf", true),
        ("NaN", true),
        ("-5", true),
        ("", true),
        ("\u{ff}\u{fe}", false),
        (&"9".repeat(10 << 10), false),
    ] {
        let answer = format!("HTTP/1.1 503 X\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering(answer).await;
        let sent = loopback_sender().send(request(&receiver.url())).await;
        assert_eq!(outcome(&sent), "answered 503");
        let expected = is_kept.then(|| value.to_owned());
        assert_eq!(sent.retry_after, expected, "{value:.20}");
    }
}

#[tokio::test]
async fn an_answer_before_the_body_was_taken_causes_no_deadlock() {
    // H202: the receiver never reads the 8 MiB that it is sent
    for ending in [Ending::Hold, Ending::Close] {
        let receiver = Receiver::start(move |mut stream, _, _| async move {
            let mut head = [0; 64];
            stream.read_exact(&mut head).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            if ending == Ending::Hold {
                std::future::pending::<()>().await;
            }
        })
        .await;
        let mut large = request(&receiver.url());
        large.body = vec![b' '; 8 << 20].into();
        let sender = loopback_sender();
        let sent = sender.send(large).await;
        match ending {
            Ending::Hold => assert_eq!(outcome(&sent), "answered 200"),
            // closing with unread data resets the connection, perhaps before the answer is read
            _ => assert!(["answered 200", "Reset"].contains(&outcome(&sent).as_str())),
        }
        assert_eq!(sender.idle_count(), 0);
    }
}

#[tokio::test]
async fn a_refused_connection_says_so() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sent = loopback_sender().send(request(&format!("http://{address}/"))).await;
    assert_eq!(outcome(&sent), "ConnectRefused");
    assert_eq!(sent.address, Some(address));
    assert_eq!(sent.timing.wait_us, 0);
}

#[tokio::test]
async fn a_reset_after_the_request_was_read_is_not_sent_again() {
    // H200; accepts are counted by `check`
    check("H200", "", Ending::Reset, "Reset").await;
    check("closed", "", Ending::Close, "Reset").await;

    // nor when the connection had carried a request before
    let receiver = Receiver::start(|mut stream, _, requests| async move {
        while read_request(&mut stream).await.is_some() {
            if requests.fetch_add(1, Ordering::SeqCst) == 1 {
                return reset_on_drop(&stream);
            }
            stream.write_all(OK.as_bytes()).await.unwrap();
        }
    })
    .await;
    let sender = loopback_sender();
    for expected in ["answered 200", "Reset", "answered 200"] {
        let sent = sender.send(request(&receiver.url())).await;
        assert_eq!(outcome(&sent), expected);
    }
    assert_eq!((receiver.accepts(), receiver.requests()), (2, 3));
}

#[tokio::test]
async fn a_receiver_that_hangs_up_at_once_is_a_reset() {
    for is_reset in [false, true] {
        let receiver = Receiver::start(move |stream, _, _| async move {
            if is_reset {
                reset_on_drop(&stream);
            }
        })
        .await;
        for _ in 0..50 {
            let sent = loopback_sender().send(request(&receiver.url())).await;
            assert_eq!(outcome(&sent), "Reset", "{:?}", sent.result);
        }
        assert_eq!(receiver.accepts(), 50);
    }
}

#[tokio::test]
async fn phases_are_timed() {
    let receiver = Receiver::answering(OK).await;
    let sender = loopback_sender();
    for is_reused in [false, true] {
        let sent = sender.send(request(&receiver.url())).await;
        let timing = sent.timing;
        assert_eq!(timing.connect_us == 0, is_reused);
        assert_eq!((timing.dns_us, timing.tls_us), (0, 0));
        assert!(timing.wait_us > 0);
        assert!(timing.total_us >= timing.wait_us + timing.connect_us);
    }
}
