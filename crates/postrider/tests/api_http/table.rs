//! The table of hostile requests, and the little language that its inputs are written in.

const TABLE: &str = include_str!("../fixtures/hostile.tsv");
const ADDRESSES: &str = include_str!("../../../postrider-core/tests/fixtures/ssrf.tsv");

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) area: &'static str,
    pub(crate) request: &'static str,
    pub(crate) input: &'static str,
    pub(crate) status: &'static str,
    pub(crate) code: &'static str,
}

pub(crate) fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| line.starts_with('H'));
    lines
        .map(|line| {
            let mut cells = line.split('\t').chain(std::iter::repeat(""));
            let mut cell = || cells.next().unwrap();
            Row {
                id: cell(),
                area: cell(),
                request: cell(),
                input: cell(),
                status: cell(),
                code: cell(),
            }
        })
        .collect()
}

/// The input language of the table: `{rep:X:N}`, `<raw ED A0 80>`, `<raw byte 0x00>`, `<BOM>`.
pub(crate) fn expand(input: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = input;
    while let Some(first) = rest.chars().next() {
        if let Some((what, count, after)) = repetition(rest) {
            bytes.extend(what.as_bytes().repeat(count));
            rest = after;
        } else if let Some(after) = rest.strip_prefix("<BOM>") {
            bytes.extend("\u{feff}".as_bytes());
            rest = after;
        } else if let Some(raw) = rest.strip_prefix("<raw ") {
            let (hex, after) = raw.split_once('>').unwrap();
            let hex = hex.trim_start_matches("byte 0x");
            bytes.extend(hex.split(' ').map(|digits| u8::from_str_radix(digits, 16).unwrap()));
            rest = after;
        } else {
            bytes.extend(first.to_string().as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
    bytes
}

/// `{rep:X:N}` at the beginning: `X` may hold colons, `N` is the digits before the brace.
fn repetition(text: &str) -> Option<(&str, usize, &str)> {
    let inner = text.strip_prefix("{rep:")?;
    let mut ends = inner.match_indices('}').map(|(at, _)| at);
    ends.find_map(|end| {
        let (what, count) = inner[..end].rsplit_once(':')?;
        Some((what, count.parse().ok()?, &inner[end + 1..]))
    })
}

pub(crate) fn expand_text(input: &str) -> String {
    String::from_utf8(expand(input)).unwrap()
}

/// The URLs that the table of addresses refuses without asking a resolver. Those with escapes
/// for control characters are left to the core's own test of that table.
pub(crate) fn refused_urls() -> Vec<&'static str> {
    let rows = ADDRESSES.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let urls: Vec<_> = rows
        .filter_map(|cells| match cells[..] {
            [_, "url", input, "", "refuse", ..] if !input.contains('\\') => Some(input),
            _ => None,
        })
        .collect();
    assert!(urls.len() > 50, "only {} URLs", urls.len());
    urls
}
