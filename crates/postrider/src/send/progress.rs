//! How far an attempt came. It lives outside the attempt's future, so that it is still there when
//! the deadline drops that future.

use std::net::SocketAddr;
use std::time::Instant;

use postrider_core::delivery::{ErrorClass, Timing};

use super::answer::Partial;
use super::failure::Failure;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Dns,
    Connect,
    Tls,
    /// From the request's first byte to the answer's first.
    Wait,
    Body,
}

#[derive(Debug)]
pub(super) struct Progress {
    started: Instant,
    /// What is going on, since when.
    phase: Option<(Phase, Instant)>,
    timing: Timing,
    pub(super) address: Option<SocketAddr>,
    pub(super) answer: Option<Partial>,
}

impl Progress {
    pub(super) fn new(started: Instant) -> Self {
        Self { started, phase: None, timing: Timing::default(), address: None, answer: None }
    }

    /// Ends the phase that is going on and begins `phase`. Entered twice, the last time counts.
    pub(super) fn enter(&mut self, phase: Phase, at: Instant) {
        self.close_phase(at);
        self.phase = Some((phase, at));
    }

    /// What it means that the deadline passed now.
    pub(super) fn timed_out(&self) -> Failure {
        let (class, detail) = match self.phase {
            Some((Phase::Dns, _)) => (ErrorClass::DnsTimeout, DNS_TIMEOUT),
            Some((Phase::Connect, _)) => (ErrorClass::ConnectTimeout, CONNECT_TIMEOUT),
            Some((Phase::Tls, _)) => (ErrorClass::Timeout, TLS_TIMEOUT),
            Some((Phase::Wait, _)) | None => (
                ErrorClass::Timeout,
                "the receiver did not answer in time; answer first and do the work afterwards",
            ),
            Some((Phase::Body, _)) => (
                ErrorClass::Timeout,
                "the receiver began to answer but did not finish in time; send a short body or none",
            ),
        };
        Failure::new(class, detail)
    }

    pub(super) fn into_timing(mut self, ended: Instant) -> (Timing, Option<Partial>) {
        self.close_phase(ended);
        self.timing.total_us = micros_between(self.started, ended);
        (self.timing, self.answer)
    }

    fn close_phase(&mut self, at: Instant) {
        let Some((phase, since)) = self.phase.take() else {
            return;
        };
        let took_us = micros_between(since, at);
        match phase {
            Phase::Dns => self.timing.dns_us = took_us,
            Phase::Connect => self.timing.connect_us = took_us,
            Phase::Tls => self.timing.tls_us = took_us,
            Phase::Wait => self.timing.wait_us = took_us,
            Phase::Body => {}
        }
    }
}

pub(super) const DNS_TIMEOUT: &str =
    "looking up the host name took too long; check the name servers of the domain";
pub(super) const CONNECT_TIMEOUT: &str = "no connection came about in time; check that the receiver runs and that its firewall lets us in";
pub(super) const TLS_TIMEOUT: &str =
    "the TLS handshake did not finish in time; check that this port speaks TLS";

fn micros_between(from: Instant, to: Instant) -> u32 {
    let took = to.saturating_duration_since(from).as_micros();
    u32::try_from(took).unwrap_or(u32::MAX)
}
