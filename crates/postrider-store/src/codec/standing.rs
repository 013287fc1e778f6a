//! How a delivery stands, as bytes.

use postrider_core::delivery::{DeliveryState, Mode, Progress, Standing, Waiting};

use super::wire::{Decoded, Reader, Undecodable, Writer};

const VERSION: u8 = 1;

const PENDING: u8 = 0;
const SUCCEEDED: u8 = 1;
const FAILED: u8 = 2;
const CANCELLED: u8 = 3;

pub(crate) fn encode_standing(standing: &Standing, into: &mut Vec<u8>) {
    into.push(VERSION);
    write(&mut Writer(into), standing);
}

pub(crate) fn decode_standing(bytes: &[u8]) -> Decoded<Standing> {
    let mut reader = Reader::versioned(bytes, VERSION)?;
    let standing = read(&mut reader)?;
    reader.end()?;
    Ok(standing)
}

pub(super) fn write(writer: &mut Writer<'_>, standing: &Standing) {
    writer.byte(state_code(standing.state()));
    let progress = standing.progress();
    writer.uint(progress.attempts.into());
    writer.uint(progress.scheduled.into());
    if let Standing::Pending(waiting) = standing {
        writer.int(waiting.due);
        match waiting.mode {
            Mode::Scheduled => writer.byte(0),
            Mode::Manual { resume } => {
                writer.byte(1);
                writer.option(resume, Writer::int);
            }
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>) -> Decoded<Standing> {
    let state = state_of(reader.byte()?)?;
    let progress = Progress { attempts: reader.narrow()?, scheduled: reader.narrow()? };
    if state.is_final() {
        return Ok(Standing::Final { state, progress });
    }
    let due = reader.int()?;
    let mode = match reader.byte()? {
        0 => Mode::Scheduled,
        1 => Mode::Manual { resume: reader.option(Reader::int)? },
        _ => return Err(Undecodable("an unknown mode")),
    };
    Ok(Standing::Pending(Waiting { due, progress, mode }))
}

pub(super) fn state_code(state: DeliveryState) -> u8 {
    match state {
        DeliveryState::Pending => PENDING,
        DeliveryState::Succeeded => SUCCEEDED,
        DeliveryState::Failed => FAILED,
        DeliveryState::Cancelled => CANCELLED,
    }
}

pub(super) fn state_of(code: u8) -> Decoded<DeliveryState> {
    Ok(match code {
        PENDING => DeliveryState::Pending,
        SUCCEEDED => DeliveryState::Succeeded,
        FAILED => DeliveryState::Failed,
        CANCELLED => DeliveryState::Cancelled,
        _ => return Err(Undecodable("an unknown delivery state")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_standing_survives() {
        let progress = Progress { attempts: 300, scheduled: 2 };
        let pending = |mode| Standing::Pending(Waiting { due: 1_795_000_000_000, progress, mode });
        let ended = |state| Standing::Final { state, progress };
        for standing in [
            pending(Mode::Scheduled),
            pending(Mode::Manual { resume: None }),
            pending(Mode::Manual { resume: Some(-5) }),
            ended(DeliveryState::Succeeded),
            ended(DeliveryState::Failed),
            ended(DeliveryState::Cancelled),
        ] {
            let mut bytes = Vec::new();
            encode_standing(&standing, &mut bytes);
            assert_eq!(decode_standing(&bytes), Ok(standing));
        }
    }
}
