//! What was counted, as bytes: some tens for a slot of a steady receiver.

use postrider_core::histogram::Histogram;
use postrider_core::statistics::Tally;

use super::wire::{Decoded, Reader, Undecodable, Writer};

const VERSION: u8 = 1;

pub(crate) fn encode_tally(tally: &Tally, into: &mut Vec<u8>) {
    into.push(VERSION);
    let mut writer = Writer(into);
    writer.uint(tally.events);
    writer.uint(tally.succeeded);
    writer.uint(tally.failed);
    let counts = tally.response.counts();
    writer.len(counts.len());
    for &(bucket, count) in counts {
        writer.byte(bucket);
        writer.uint(count);
    }
}

pub(crate) fn decode_tally(bytes: &[u8]) -> Decoded<Tally> {
    let mut reader = Reader::versioned(bytes, VERSION)?;
    let (events, succeeded, failed) = (reader.uint()?, reader.uint()?, reader.uint()?);
    let counts = reader.list(|reader| Ok((reader.byte()?, reader.uint()?)))?;
    reader.end()?;
    let response = Histogram::from_counts(counts).ok_or(Undecodable("an impossible histogram"))?;
    Ok(Tally { events, succeeded, failed, response })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_survives_and_is_small() {
        let mut tally = Tally { events: 1, succeeded: u64::MAX, failed: 0, ..Tally::default() };
        for us in [0, 900, 1_000, 1_100, 40_000, u32::MAX] {
            tally.response.record(us);
        }
        let mut bytes = Vec::new();
        encode_tally(&tally, &mut bytes);
        assert!(bytes.len() < 32, "{}", bytes.len());
        assert_eq!(decode_tally(&bytes), Ok(tally));
    }

    #[test]
    fn an_impossible_histogram_is_refused() {
        let twice = [VERSION, 0, 2, 0, 2, 7, 1, 7, 1];
        assert!(decode_tally(&twice).is_err());
    }
}
