//! The program on a terminal: it asks, and shows how far it is.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::program::Program;
use crate::replays::with_failures;
use crate::support::receiver::Receiver;
use crate::support::server::TestServer;

/// The program with a terminal as its stdin, stdout and stderr.
struct OnTerminal {
    child: Child,
    terminal: File,
    shown: String,
}

impl OnTerminal {
    fn start(program: &Program, args: &[&str]) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&main).expect("it is ours");
        unlockpt(&main).expect("it can be opened");
        let name = ptsname(&main, Vec::new()).expect("it has a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let side = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).expect("its other side");
        let copy = || -> OwnedFd { side.as_fd().try_clone_to_owned().expect("a descriptor") };
        let mut command = program.command(args);
        command.stdin(copy()).stdout(copy()).stderr(copy()).env("TERM", "xterm");
        let child = command.spawn().expect("the program starts");
        Self { child, terminal: File::from(main), shown: String::new() }
    }

    /// Reads until `part` is shown, or to the end.
    fn read_until(&mut self, part: Option<&str>) {
        let mut bytes = [0; 1_024];
        while part.is_none_or(|part| !self.shown.contains(part)) {
            // the terminal of a program that has ended fails to be read
            match self.terminal.read(&mut bytes) {
                Ok(read) if read > 0 => self.shown += &String::from_utf8_lossy(&bytes[..read]),
                _ => return,
            }
        }
    }

    fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).expect("the terminal can be written");
    }

    /// Its exit code and everything that was shown.
    fn end(mut self) -> (Option<i32>, String) {
        self.read_until(None);
        let code = self.child.wait().expect("it ends").code();
        (code, self.shown.clone())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // it may have ended by itself; then there is nothing to kill
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn bulk_work_is_asked_about_and_no_means_no() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    with_failures(&server, &receiver, 2);
    for answer in ["n\n", "\n", "what?\n"] {
        let mut retry = OnTerminal::start(&program, &["delivery", "retry", "--all"]);
        retry.read_until(Some("retry 2 deliveries? [y/N] "));
        retry.types(answer);
        let (code, shown) = retry.end();
        assert_eq!(code, Some(1), "{shown}");
        assert!(shown.contains("error: nothing was changed"), "{shown}");
    }
    assert_eq!(receiver.deliveries().len(), 2);
    let mut retry = OnTerminal::start(&program, &["delivery", "retry", "--all"]);
    retry.read_until(Some("[y/N] "));
    retry.types("y\n");
    assert_eq!(retry.end().0, Some(0));
    receiver.wait_for(4);
}

#[test]
fn long_work_shows_how_far_it_is_on_a_terminal_only() {
    let (server, receiver) = (TestServer::start(), Receiver::start());
    let program = Program::of(&server);
    with_failures(&server, &receiver, 2);
    let retry = ["delivery", "retry", "--all", "--yes", "--wait"];
    let (code, shown) = OnTerminal::start(&program, &retry).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("/2 replayed, "), "{shown}");
    receiver.wait_for(4);
    let ran = program.run(&[&retry[..], &["--states", "succeeded"]].concat());
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "nothing is drawn elsewhere");
}

#[test]
fn the_benchmark_shows_how_far_it_is() {
    // long enough to be looked at
    let bench = ["bench", "--connections", "2", "--rounds", "1", "--rate", "50", "--events", "40"];
    let (code, shown) = OnTerminal::start(&Program::offline(), &bench).end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("postrider, 2 connections, round 1 of 1: "), "{shown}");
    assert!(shown.contains("/42 delivered, "), "{shown}");
}
