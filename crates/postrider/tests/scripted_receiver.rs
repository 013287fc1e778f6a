//! The tests' own receiver does what it is told, so that what they prove of the server holds.

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::PATIENCE;
use support::http::send;
use support::receiver::{Answer, Receiver};

const REQUEST: &[u8] = b"POST /a HTTP/1.1\r\nhost: a\r\nX-Odd:  b \r\ncontent-length: 3\r\n\r\n{} ";

/// A connection on which a request was sent.
fn asked(receiver: &Receiver) -> TcpStream {
    let mut stream = TcpStream::connect(receiver.address()).expect("the receiver listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("time-outs can be set");
    stream.write_all(REQUEST).expect("the receiver reads");
    receiver.wait_for(1);
    stream
}

#[test]
fn every_byte_of_a_request_is_kept() {
    let receiver = Receiver::start();
    drop(asked(&receiver));
    let request = receiver.wait_for(1).remove(0).request;
    assert_eq!(request.raw, REQUEST);
    assert_eq!((request.start.as_str(), request.text()), ("POST /a HTTP/1.1", "{} "));
    assert_eq!(request.header("x-odd"), "b");
}

#[test]
fn the_script_is_followed_and_then_204_is_the_answer() {
    let receiver = Receiver::start();
    receiver.script([Answer::Status(503), Answer::Raw(b"HTTP/1.1 299 X\r\n\r\nbody".to_vec())]);
    let statuses = [(); 3].map(|()| send(receiver.address(), "POST", "/", &[], b"{}").status());
    assert_eq!(statuses, [503, 299, 204]);
    assert_eq!(receiver.connections_count(), 3);
}

#[test]
fn a_receiver_behind_another_gets_the_same_bytes() {
    let behind = Receiver::start();
    behind.script([Answer::Status(418)]);
    let receiver = Receiver::before(behind.address());
    let mut stream = asked(&receiver);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 418");
    assert_eq!(behind.wait_for(1)[0].request.raw, REQUEST);
    let verdict = receiver.deliveries().remove(0).verdict.expect("a verdict");
    assert_eq!(verdict.status(), 418);
}

#[test]
fn a_held_answer_comes_when_it_is_released() {
    let receiver = Receiver::start();
    receiver.script([Answer::Held(202)]);
    let mut stream = asked(&receiver);
    stream.set_nonblocking(true).expect("sockets can be non-blocking");
    let nothing = stream.read(&mut [0]).expect_err("no answer yet");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("sockets can be blocking");
    receiver.release();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 202");
}

#[test]
fn a_reset_is_a_reset() {
    let receiver = Receiver::start();
    receiver.script([Answer::Reset]);
    let error = asked(&receiver).read(&mut [0]).expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn silence_lasts_as_long_as_the_receiver() {
    let receiver = Receiver::start();
    receiver.script([Answer::Silence]);
    let mut stream = asked(&receiver);
    drop(receiver);
    assert_eq!(stream.read(&mut [0]).expect("the end"), 0);
}

#[test]
fn trickling_and_endless_answers_go_on() {
    let receiver = Receiver::start();
    for (answer, bytes) in
        [(Answer::Trickle(Duration::from_millis(1)), 64), (Answer::Endless, 1 << 20)]
    {
        receiver.script([answer]);
        let mut stream = TcpStream::connect(receiver.address()).expect("the receiver listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("time-outs can be set");
        stream.write_all(REQUEST).expect("the receiver reads");
        let mut body = vec![0; bytes];
        stream.read_exact(&mut body).expect("as much as is asked for");
        assert!(body.starts_with(b"HTTP/1.1 200"));
    }
}
