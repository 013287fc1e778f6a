//! Every row of `fixtures/ssrf.tsv` that can be decided without I/O. The header line of that file
//! gives its escapes and the policy that applies.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::IpAddr;

use postrider_core::address::{AddressPolicy, judge, judge_all};
use postrider_core::target::{Host, Target, TargetPolicy};

const FIXTURE: &str = include_str!("fixtures/ssrf.tsv");

/// Rows that are not decided by [`every_decidable_row_is_judged_as_it_says`], each with the reason.
const ELSEWHERE: [(&str, &str); 14] = [
    ("S184", "sender: the resolver follows CNAMEs"),
    ("S185", "sender: NXDOMAIN comes from a resolver"),
    ("S186", "sender: SERVFAIL comes from a resolver"),
    ("S188", "sender: the DNS budget is a clock's"),
    ("S194", "sender: connections over time"),
    ("S195", "sender: pooled connections"),
    ("S196", "sender: redirects"),
    ("S199", "sender: redirects"),
    ("S200", "sender: answer headers"),
    ("S203", "sender: interim answers"),
    ("S205", "sender: environment"),
    ("S209", "here: metadata_stays_refused_when_everything_is_opened"),
    ("S210", "sender: the connected peer"),
    ("S212", "here: a_tenant_reads_only_that_the_address_is_not_allowed"),
];

/// What the rows call "own public address"; the server listens on 8080 there.
const OWN_ADDRESS: &str = "93.184.215.99";

struct Row {
    id: &'static str,
    layer: &'static str,
    input: String,
    resolver: &'static str,
    expected: &'static str,
}

fn rows() -> Vec<Row> {
    let lines = FIXTURE.lines().skip(2);
    lines
        .map(|line| {
            let [id, layer, input, resolver, expect, reason, _note] =
                line.split('\t').collect::<Vec<_>>()[..]
            else {
                panic!("not seven columns: {line}");
            };
            assert_eq!(expect == "allow", reason == "ok", "{id}");
            Row { id, layer, input: unescape(input), resolver, expected: reason }
        })
        .collect()
}

/// `\t \n \r \0 \u{HEX}`; a backslash before anything else stands for itself.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (c, used) = match after.chars().next() {
            Some('t') => ('\t', 1),
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('0') => ('\0', 1),
            Some('u') if after.starts_with("u{") => {
                let end = after.find('}').unwrap();
                let code = u32::from_str_radix(&after[2..end], 16).unwrap();
                (char::from_u32(code).unwrap(), end + 1)
            }
            _ => ('\\', 0),
        };
        out.push(c);
        rest = &after[used..];
    }
    out + rest
}

/// The addresses of a resolver column such as `93.184.215.14` or `A 1.2.3.4; AAAA ::1`.
fn answers(resolver: &str) -> Vec<IpAddr> {
    let records = resolver.split(';').map(str::trim).filter(|r| !r.is_empty());
    records
        .map(|record| {
            let address = record
                .strip_prefix("AAAA ")
                .or_else(|| record.strip_prefix("A "))
                .unwrap_or(record);
            if address == "<own public address>" {
                OWN_ADDRESS.parse().unwrap()
            } else {
                address.parse().expect(record)
            }
        })
        .collect()
}

/// The policy of the fixture's header, with NAT64 on for the two rows that say so.
fn policy(row: &Row) -> TargetPolicy {
    TargetPolicy {
        networks: AddressPolicy {
            nat64: ["S190", "S191"].contains(&row.id),
            own_sockets: vec![format!("{OWN_ADDRESS}:8080").parse().unwrap()],
            ..AddressPolicy::default()
        },
        ..TargetPolicy::default()
    }
}

/// Parses the row's URL and judges what its name resolves to, as create and attempt do.
fn verdict(row: &Row) -> &'static str {
    let policy = policy(row);
    let target = match Target::parse(&row.input, &policy) {
        Ok(target) => target,
        Err(error) => return error.reason(),
    };
    match target.host() {
        Host::Ip(_) => "ok",
        Host::Domain(_) => {
            match judge_all(&answers(row.resolver), target.port(), &policy.networks) {
                Ok(()) => "ok",
                Err(refusal) => refusal.reason(),
            }
        }
    }
}

#[test]
fn every_decidable_row_is_judged_as_it_says() {
    let mut wrong = Vec::new();
    let mut judged = 0;
    for row in rows() {
        if ELSEWHERE.iter().any(|(id, _)| *id == row.id) {
            continue;
        }
        assert!(["url", "raw", "dns"].contains(&row.layer), "{}: decide it", row.id);
        judged += 1;
        let found = verdict(&row);
        if found != row.expected {
            wrong.push(format!("{} {:?}: {found}, not {}", row.id, row.input, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(judged + ELSEWHERE.len(), rows().len(), "an excluded row is gone");
}

#[test]
fn metadata_stays_refused_when_everything_is_opened() {
    let mut policy = AddressPolicy::default();
    policy.danger_allow_networks.push("0.0.0.0/0".parse().unwrap());
    let metadata = "169.254.169.254".parse().unwrap();
    let refusal = judge(metadata, 80, &policy).unwrap_err();
    assert_eq!(refusal.reason(), "ip_linklocal");
    let exactly = "169.254.169.254".parse().unwrap();
    policy.danger_allow_networks.push(exactly);
    assert_eq!(judge(metadata, 80, &policy), Ok(()));
}

#[test]
fn a_tenant_reads_only_that_the_address_is_not_allowed() {
    for row in rows() {
        let policy = policy(&row);
        let Err(error) = Target::parse(&row.input, &policy) else {
            continue;
        };
        if error.reason().starts_with("ip_") {
            assert_eq!(error.to_string(), "address not allowed", "{}", row.id);
        }
    }
    let resolved = judge_all(&answers("A 10.0.0.1"), 443, &AddressPolicy::default());
    assert_eq!(resolved.unwrap_err().outward_text(), "address not allowed");
}
