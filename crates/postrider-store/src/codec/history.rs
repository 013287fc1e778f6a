//! History entries as bytes. Key, event and webhook are columns and not repeated here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;

use bytes::Bytes;
use postrider_core::delivery::{
    Answer, Attempt, AttemptResult, CancelReason, ErrorClass, Happening, HistoryEntry, Outline,
    Timing,
};
use postrider_core::id::{DeliveryKey, HistoryKey};
use postrider_signature::BodyForm;

use super::standing;
use super::wire::{Decoded, Reader, Undecodable, Writer};

/// Written by the first versions: attempts without an outline.
const VERSION_1: u8 = 1;
const VERSION: u8 = 2;

const ATTEMPT: u8 = 0;
const CANCELLED: u8 = 1;
const RETRY_REQUESTED: u8 = 2;

pub(crate) fn encode_history(entry: &HistoryEntry, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    standing::write(&mut writer, &entry.standing);
    match &entry.what {
        Happening::Attempt(attempt) => {
            writer.byte(ATTEMPT);
            write_attempt(&mut writer, attempt);
        }
        Happening::Cancelled { at, reason } => {
            writer.byte(CANCELLED);
            writer.int(*at);
            writer.byte(match reason {
                CancelReason::WebhookDeleted => 0,
                CancelReason::WebhookDisabled => 1,
                CancelReason::WebhookGone => 2,
                CancelReason::Requested => 3,
            });
        }
        Happening::RetryRequested { at } => {
            writer.byte(RETRY_REQUESTED);
            writer.int(*at);
        }
    }
}

pub(crate) fn decode_history(
    key: HistoryKey,
    delivery: DeliveryKey,
    bytes: &[u8],
) -> Decoded<HistoryEntry> {
    let is_first = bytes.first() == Some(&VERSION_1);
    let mut reader = Reader::versioned(bytes, if is_first { VERSION_1 } else { VERSION })?;
    let standing = standing::read(&mut reader)?;
    let what = match reader.byte()? {
        ATTEMPT => {
            let mut attempt = read_attempt(&mut reader)?;
            if !is_first {
                attempt.outline = reader.option(read_outline)?.map(Arc::new);
            }
            Happening::Attempt(Box::new(attempt))
        }
        CANCELLED => Happening::Cancelled {
            at: reader.int()?,
            reason: match reader.byte()? {
                0 => CancelReason::WebhookDeleted,
                1 => CancelReason::WebhookDisabled,
                2 => CancelReason::WebhookGone,
                3 => CancelReason::Requested,
                _ => return Err(Undecodable("an unknown reason to cancel")),
            },
        },
        RETRY_REQUESTED => Happening::RetryRequested { at: reader.int()? },
        _ => return Err(Undecodable("an unknown happening")),
    };
    reader.end()?;
    Ok(HistoryEntry { key, delivery, what, standing })
}

fn write_attempt(writer: &mut Writer<'_>, attempt: &Attempt) {
    writer.uint(attempt.number.into());
    writer.bool(attempt.is_manual);
    writer.int(attempt.started_at);
    let timing = &attempt.timing;
    for us in [timing.dns_us, timing.connect_us, timing.tls_us, timing.wait_us, timing.total_us] {
        writer.uint(us.into());
    }
    write_address(writer, attempt.address);
    writer.len(attempt.signed_headers.len());
    for (name, value) in &attempt.signed_headers {
        writer.str(name);
        writer.str(value);
    }
    match &attempt.result {
        AttemptResult::Answered(answer) => {
            writer.byte(0);
            write_answer(writer, answer);
        }
        AttemptResult::Broke { class, detail, answer } => {
            writer.byte(1);
            writer.byte(class_code(*class));
            writer.str(detail);
            writer.option(answer.as_ref(), write_answer);
        }
    }
    writer.option(attempt.outline.as_deref(), write_outline);
}

/// All of it but the outline.
fn read_attempt(reader: &mut Reader<'_>) -> Decoded<Attempt> {
    Ok(Attempt {
        number: reader.narrow()?,
        is_manual: reader.bool()?,
        started_at: reader.int()?,
        timing: Timing {
            dns_us: reader.narrow()?,
            connect_us: reader.narrow()?,
            tls_us: reader.narrow()?,
            wait_us: reader.narrow()?,
            total_us: reader.narrow()?,
        },
        address: read_address(reader)?,
        outline: None,
        signed_headers: reader
            .list(|reader| Ok((reader.str()?.to_owned(), reader.str()?.to_owned())))?,
        result: match reader.byte()? {
            0 => AttemptResult::Answered(read_answer(reader)?),
            1 => AttemptResult::Broke {
                class: class_of(reader.byte()?)?,
                detail: reader.str()?.to_owned(),
                answer: reader.option(read_answer)?,
            },
            _ => return Err(Undecodable("an unknown kind of result")),
        },
    })
}

fn write_outline(writer: &mut Writer<'_>, outline: &Outline) {
    writer.str(&outline.url);
    writer.len(outline.header_names.len());
    for name in &outline.header_names {
        writer.str(name);
    }
    writer.byte(match outline.body_form {
        BodyForm::Verbatim => 0,
        BodyForm::Ecma => 1,
        BodyForm::Jcs => 2,
    });
}

fn read_outline(reader: &mut Reader<'_>) -> Decoded<Outline> {
    Ok(Outline {
        url: reader.str()?.into(),
        header_names: reader.list(|reader| Ok(reader.str()?.into()))?,
        body_form: match reader.byte()? {
            0 => BodyForm::Verbatim,
            1 => BodyForm::Ecma,
            2 => BodyForm::Jcs,
            _ => return Err(Undecodable("an unknown form of a body")),
        },
    })
}

fn write_answer(writer: &mut Writer<'_>, answer: &Answer) {
    writer.uint(answer.status.into());
    writer.len(answer.headers.len());
    for (name, value) in &answer.headers {
        writer.str(name);
        writer.bytes(value);
    }
    writer.bytes(&answer.body);
    writer.bool(answer.is_body_cut);
}

fn read_answer(reader: &mut Reader<'_>) -> Decoded<Answer> {
    Ok(Answer {
        status: reader.narrow()?,
        headers: reader.list(|reader| Ok((reader.str()?.to_owned(), reader.bytes()?.to_vec())))?,
        body: Bytes::copy_from_slice(reader.bytes()?),
        is_body_cut: reader.bool()?,
    })
}

fn write_address(writer: &mut Writer<'_>, address: Option<SocketAddr>) {
    match address {
        None => writer.byte(0),
        Some(SocketAddr::V4(v4)) => {
            writer.byte(4);
            writer.0.extend_from_slice(&v4.ip().octets());
            writer.uint(v4.port().into());
        }
        Some(SocketAddr::V6(v6)) => {
            writer.byte(6);
            writer.0.extend_from_slice(&v6.ip().octets());
            writer.uint(v6.port().into());
            writer.uint(v6.flowinfo().into());
            writer.uint(v6.scope_id().into());
        }
    }
}

fn read_address(reader: &mut Reader<'_>) -> Decoded<Option<SocketAddr>> {
    Ok(match reader.byte()? {
        0 => None,
        4 => {
            let ip = IpAddr::V4(Ipv4Addr::from(reader.array::<4>()?));
            Some(SocketAddr::new(ip, reader.narrow()?))
        }
        6 => {
            let ip = Ipv6Addr::from(reader.array::<16>()?);
            let (port, flow, scope) = (reader.narrow()?, reader.narrow()?, reader.narrow()?);
            Some(SocketAddrV6::new(ip, port, flow, scope).into())
        }
        _ => return Err(Undecodable("an unknown kind of address")),
    })
}

pub(super) fn class_code(class: ErrorClass) -> u8 {
    match class {
        ErrorClass::NotAllowed => 0,
        ErrorClass::DnsFailure => 1,
        ErrorClass::DnsTimeout => 2,
        ErrorClass::ConnectRefused => 3,
        ErrorClass::ConnectFailed => 4,
        ErrorClass::ConnectTimeout => 5,
        ErrorClass::Tls => 6,
        ErrorClass::Reset => 7,
        ErrorClass::Truncated => 8,
        ErrorClass::Protocol => 9,
        ErrorClass::Timeout => 10,
        ErrorClass::BodyForm => 11,
        ErrorClass::Internal => 12,
    }
}

pub(super) fn class_of(code: u8) -> Decoded<ErrorClass> {
    Ok(match code {
        0 => ErrorClass::NotAllowed,
        1 => ErrorClass::DnsFailure,
        2 => ErrorClass::DnsTimeout,
        3 => ErrorClass::ConnectRefused,
        4 => ErrorClass::ConnectFailed,
        5 => ErrorClass::ConnectTimeout,
        6 => ErrorClass::Tls,
        7 => ErrorClass::Reset,
        8 => ErrorClass::Truncated,
        9 => ErrorClass::Protocol,
        10 => ErrorClass::Timeout,
        11 => ErrorClass::BodyForm,
        12 => ErrorClass::Internal,
        _ => return Err(Undecodable("an unknown error class")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::delivery::{DeliveryState, Progress, Standing};
    use postrider_core::id::{EventKey, Key, WebhookKey};

    fn entry(what: Happening) -> HistoryEntry {
        HistoryEntry {
            key: HistoryKey::from_raw(1),
            delivery: DeliveryKey {
                event: EventKey::from_raw(2),
                webhook: WebhookKey::from_raw(3),
            },
            what,
            standing: Standing::Final {
                state: DeliveryState::Failed,
                progress: Progress::default(),
            },
        }
    }

    fn check(what: Happening) {
        let entry = entry(what);
        let mut bytes = Vec::new();
        encode_history(&entry, &mut bytes);
        let read = decode_history(entry.key, entry.delivery, &bytes);
        assert_eq!(read.as_ref(), Ok(&entry));
        for cut in 0..bytes.len() {
            assert!(decode_history(entry.key, entry.delivery, &bytes[..cut]).is_err());
        }
    }

    fn attempt(address: Option<&str>, result: AttemptResult) -> Happening {
        Happening::Attempt(Box::new(Attempt {
            number: 3,
            is_manual: true,
            started_at: 1_795_000_000_000,
            timing: Timing { dns_us: 1, connect_us: 2, tls_us: 3, wait_us: 4, total_us: u32::MAX },
            address: address.map(|text| text.parse().unwrap()),
            outline: None,
            signed_headers: vec![("webhook-id".to_owned(), "evt_1".to_owned())],
            result,
        }))
    }

    fn answer() -> Answer {
        Answer {
            status: 503,
            headers: vec![("retry-after".to_owned(), vec![0xff, b'1'])],
            body: Bytes::from_static(b"busy"),
            is_body_cut: true,
        }
    }

    #[test]
    fn attempts_survive_whatever_their_result() {
        check(attempt(None, AttemptResult::Answered(answer())));
        check(attempt(Some("192.0.2.7:443"), AttemptResult::Answered(answer())));
        for code in 0..=12 {
            let class = class_of(code).unwrap();
            assert_eq!(class_code(class), code);
            let broke = |answer| AttemptResult::Broke { class, detail: "é".to_owned(), answer };
            check(attempt(Some("[2001:db8::1%7]:8443"), broke(None)));
            check(attempt(None, broke(Some(answer()))));
        }
        assert!(class_of(13).is_err());
    }

    #[test]
    fn what_an_attempt_sent_survives() {
        for body_form in [BodyForm::Verbatim, BodyForm::Ecma, BodyForm::Jcs] {
            for header_names in [vec![], vec!["x-a".into(), "x-b".into()]] {
                let url = "https://example.com/é".into();
                let mut sent = attempt(None, AttemptResult::Answered(answer()));
                let Happening::Attempt(made) = &mut sent else { unreachable!() };
                made.outline = Some(Arc::new(Outline { url, header_names, body_form }));
                check(sent);
            }
        }
    }

    #[test]
    fn entries_of_the_first_version_are_read_as_attempts_without_an_outline() {
        let cancelled = Happening::Cancelled { at: 5, reason: CancelReason::Requested };
        let attempted = attempt(None, AttemptResult::Answered(answer()));
        for (what, added) in [(attempted, 1), (cancelled, 0)] {
            let entry = entry(what);
            let mut bytes = Vec::new();
            encode_history(&entry, &mut bytes);
            bytes[0] = VERSION_1;
            bytes.truncate(bytes.len() - added);
            assert_eq!(decode_history(entry.key, entry.delivery, &bytes), Ok(entry));
        }
    }

    #[test]
    fn cancellations_and_requests_survive() {
        for reason in [
            CancelReason::WebhookDeleted,
            CancelReason::WebhookDisabled,
            CancelReason::WebhookGone,
            CancelReason::Requested,
        ] {
            check(Happening::Cancelled { at: 5, reason });
        }
        check(Happening::RetryRequested { at: 6 });
    }
}
