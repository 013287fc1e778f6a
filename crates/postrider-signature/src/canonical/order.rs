//! The members of one written object: are they in order, and putting them so.

use std::cmp::Ordering;

use super::KeyOrder;
use crate::json::unescape;

/// Up to this many members, comparing each with each beats sorting.
const PAIRWISE_MAX: usize = 12;

/// A member as it stands in the output: `start..key_end` is the key with its
/// quotes, `start..end` all of it.
///
/// Keys were written with minimal escapes, so equal keys are equal bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) start: usize,
    pub(super) key_end: usize,
    pub(super) end: usize,
}

impl Member {
    fn key<'a>(&self, out: &'a [u8]) -> &'a [u8] {
        &out[self.start + 1..self.key_end - 1]
    }
}

/// Whether the members stand in their final order, without duplicates.
pub(super) fn is_in_order(out: &[u8], members: &[Member], order: KeyOrder) -> bool {
    match order {
        KeyOrder::Utf16 => {
            members.is_sorted_by(|a, b| compare_utf16(a.key(out), b.key(out)) == Ordering::Less)
        }
        KeyOrder::Ecma => {
            let ranks = members.iter().map(|m| array_index(m.key(out)));
            let indexes_ascend_first = ranks.is_sorted_by(|a, b| match (a, b) {
                (Some(a), Some(b)) => a < b,
                (None, Some(_)) => false,
                (_, None) => true,
            });
            indexes_ascend_first && !has_duplicates(out, members)
        }
    }
}

/// The members in order, joined by commas; of duplicates the last value at the
/// first one's place.
pub(super) fn arrange(out: &[u8], members: &[Member], order: KeyOrder) -> Vec<u8> {
    let mut by_key: Vec<usize> = (0..members.len()).collect();
    by_key.sort_by_key(|&i| (members[i].key(out), i));
    // (place of the first, place of the last) of each key
    let mut kept: Vec<(usize, usize)> = by_key
        .chunk_by(|&a, &b| members[a].key(out) == members[b].key(out))
        .filter_map(|same| Some((*same.first()?, *same.last()?)))
        .collect();
    match order {
        KeyOrder::Ecma => kept.sort_by_key(|&(first, _)| {
            let index = array_index(members[first].key(out));
            (index.is_none(), index, first)
        }),
        KeyOrder::Utf16 => {
            kept.sort_by(|&(a, _), &(b, _)| {
                compare_utf16(members[a].key(out), members[b].key(out))
            });
        }
    }
    let mut arranged = Vec::with_capacity(out.len() - members.first().map_or(0, |m| m.start));
    for (_, last) in kept {
        if !arranged.is_empty() {
            arranged.push(b',');
        }
        arranged.extend_from_slice(&out[members[last].start..members[last].end]);
    }
    arranged
}

fn has_duplicates(out: &[u8], members: &[Member]) -> bool {
    if members.len() <= PAIRWISE_MAX {
        return members
            .iter()
            .enumerate()
            .any(|(i, a)| members[..i].iter().any(|b| a.key(out) == b.key(out)));
    }
    let mut keys: Vec<&[u8]> = members.iter().map(|m| m.key(out)).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// The array index that a key is: `0` to 4294967294 in plain digits (ECMA-262,
/// "array index").
fn array_index(key: &[u8]) -> Option<u32> {
    let is_canonical = match key {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !is_canonical {
        return None;
    }
    let index = std::str::from_utf8(key).ok()?.parse().ok()?;
    (index < u32::MAX).then_some(index)
}

/// Compares two written keys by the UTF-16 code units of what they stand for.
fn compare_utf16(a: &[u8], b: &[u8]) -> Ordering {
    // Without escapes, UTF-8 and UTF-16 order alike below U+E000 (first byte 0xEE)
    let is_plain = |key: &[u8]| key.iter().all(|&byte| byte != b'\\' && byte < 0xEE);
    if is_plain(a) && is_plain(b) {
        return a.cmp(b);
    }
    unescape(a).encode_utf16().cmp(unescape(b).encode_utf16())
}
