//! What was counted, as bytes: some tens for a slot of a steady receiver.

use postrider_core::histogram::Histogram;
use postrider_core::statistics::Tally;

use super::wire::{Decoded, Reader, Undecodable, Writer};

const VERSION: u8 = 2;
/// Knew neither classes of answers nor what was to be retried.
const VERSION_WITHOUT_CLASSES: u8 = 1;

pub(crate) fn encode_tally(tally: &Tally, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    for count in [tally.events, tally.succeeded, tally.failed] {
        writer.uint(count);
    }
    for count in [tally.retrying, tally.status_3xx, tally.status_4xx, tally.status_5xx] {
        writer.uint(count);
    }
    let counts = tally.response.counts();
    writer.len(counts.len());
    for &(bucket, count) in counts {
        writer.byte(bucket);
        writer.uint(count);
    }
}

pub(crate) fn decode_tally(bytes: &[u8]) -> Decoded<Tally> {
    let knows_classes = bytes.first() != Some(&VERSION_WITHOUT_CLASSES);
    let version = if knows_classes { VERSION } else { VERSION_WITHOUT_CLASSES };
    let mut reader = Reader::versioned(bytes, version)?;
    let (events, succeeded, failed) = (reader.uint()?, reader.uint()?, reader.uint()?);
    let mut classes = [0; 4];
    if knows_classes {
        for count in &mut classes {
            *count = reader.uint()?;
        }
    }
    let [retrying, status_3xx, status_4xx, status_5xx] = classes;
    let counts = reader.list(|reader| Ok((reader.byte()?, reader.uint()?)))?;
    reader.end()?;
    let response = Histogram::from_counts(counts).ok_or(Undecodable("an impossible histogram"))?;
    Ok(Tally { events, succeeded, failed, retrying, status_3xx, status_4xx, status_5xx, response })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_survives_and_is_small() {
        let mut tally = Tally {
            events: 1,
            succeeded: u64::MAX,
            failed: 10,
            retrying: 4,
            status_3xx: 1,
            status_4xx: 2,
            status_5xx: 3,
            ..Tally::default()
        };
        for us in [0, 900, 1_000, 1_100, 40_000, u32::MAX] {
            tally.response.record(us);
        }
        let mut bytes = Vec::new();
        encode_tally(&tally, &mut bytes);
        assert!(bytes.len() < 36, "{}", bytes.len());
        assert_eq!(decode_tally(&bytes), Ok(tally));
    }

    #[test]
    fn an_impossible_histogram_is_refused() {
        let twice = [VERSION, 0, 2, 0, 0, 0, 0, 0, 2, 7, 1, 7, 1];
        let impossible = Err(Undecodable("an impossible histogram"));
        assert_eq!(decode_tally(&twice), impossible);
    }

    #[test]
    fn what_an_older_version_counted_is_read_without_classes() {
        let old = [VERSION_WITHOUT_CLASSES, 3, 2, 1, 1, 7, 2];
        let response = Histogram::from_counts(vec![(7, 2)]).unwrap();
        let tally = Tally { events: 3, succeeded: 2, failed: 1, response, ..Tally::default() };
        assert_eq!(decode_tally(&old), Ok(tally));
    }
}
