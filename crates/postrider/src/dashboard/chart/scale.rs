//! From numbers to heights, and the round numbers beside them.

use std::fmt;

use crate::dashboard::elements;

/// Steps of a scale at most: five labels with the zero.
const STEPS_MAX: u128 = 4;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    /// Durations in microseconds.
    Micros,
}

/// A scale from zero to a round number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    step: u128,
    steps: u128,
}

/// A part of the whole in hundredths of a percent; written as SVG wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Share(pub(super) u32);

impl Scale {
    /// The smallest scale that holds `max`.
    pub(super) fn upto(max: u64) -> Self {
        let max = u128::from(max.max(1));
        let mut power = 1;
        loop {
            for step in [power, 2 * power, 5 * power / 2, 5 * power] {
                let steps = max.div_ceil(step);
                // a quarter of ten is no whole number
                let is_whole = step * 2 != 5 * power || power >= 10;
                if is_whole && steps <= STEPS_MAX {
                    return Self { step, steps };
                }
            }
            power *= 10;
        }
    }

    /// From the top down to zero.
    pub(super) fn ticks(&self) -> impl DoubleEndedIterator<Item = u128> {
        (0..=self.steps).rev().map(|at| at * self.step)
    }

    /// How high a value stands.
    pub(super) fn height(&self, value: u64) -> Share {
        Share::of(u128::from(value), self.step * self.steps)
    }
}

impl Share {
    pub(super) const ALL: Self = Self(10_000);

    /// Rounded to the nearest, and never more than all. Nothing of nothing is nothing.
    pub(super) fn of(part: u128, whole: u128) -> Self {
        let parts = (part.min(whole) * 10_000 + whole / 2).checked_div(whole);
        Self(parts.and_then(|parts| u32::try_from(parts).ok()).unwrap_or(0))
    }

    /// What is left.
    pub(super) fn rest(self) -> Self {
        Self(Self::ALL.0.saturating_sub(self.0))
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / 100, self.0 % 100);
        match part {
            0 => write!(f, "{whole}%"),
            _ => write!(f, "{whole}.{part:02}%"),
        }
    }
}

impl Unit {
    /// A round number, as short as can be.
    pub(super) fn tick(self, value: u128) -> String {
        let units: [(u128, &str); 5] = match self {
            Self::Count => {
                [(1, ""), (1_000, "k"), (1_000_000, "M"), (1_000_000_000, "G"), (TERA, "T")]
            }
            Self::Micros => [
                (1, "\u{a0}µs"),
                (1_000, "\u{a0}ms"),
                (1_000_000, "\u{a0}s"),
                (1_000_000, "\u{a0}s"),
                (1_000_000, "\u{a0}s"),
            ],
        };
        if value == 0 {
            return "0".to_owned();
        }
        let (unit, name) = units.into_iter().rfind(|&(unit, _)| value >= unit).unwrap_or(units[0]);
        let tenths = value * 10 / unit;
        match tenths % 10 {
            0 => format!("{}{name}", tenths / 10),
            rest => format!("{}.{rest}{name}", tenths / 10),
        }
    }

    /// A number as it is, for reading.
    pub(super) fn exactly(self, value: u64) -> String {
        match self {
            Self::Count => elements::count(value),
            Self::Micros => elements::duration_us(value),
        }
    }
}

const TERA: u128 = 1_000_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(max: u64, unit: Unit) -> String {
        let ticks: Vec<_> = Scale::upto(max).ticks().map(|tick| unit.tick(tick)).rev().collect();
        ticks.join(" ").replace('\u{a0}', "")
    }

    #[test]
    fn ticks_are_round_and_few() {
        for (max, expected) in [
            (0, "0 1"),
            (1, "0 1"),
            (3, "0 1 2 3"),
            (7, "0 2 4 6 8"),
            (9, "0 5 10"),
            (85, "0 25 50 75 100"),
            (950, "0 250 500 750 1k"),
            (1_200, "0 500 1k 1.5k"),
            (9_999, "0 2.5k 5k 7.5k 10k"),
            (12_000, "0 5k 10k 15k"),
            (3_900_000, "0 1M 2M 3M 4M"),
            (u64::MAX, "0 5000000T 10000000T 15000000T 20000000T"),
        ] {
            assert_eq!(ticks(max, Unit::Count), expected, "{max}");
        }
        assert_eq!(ticks(900, Unit::Micros), "0 250µs 500µs 750µs 1ms");
        assert_eq!(ticks(870_000, Unit::Micros), "0 250ms 500ms 750ms 1s");
        assert_eq!(ticks(15_000_000, Unit::Micros), "0 5s 10s 15s");
        assert_eq!(ticks(u64::from(u32::MAX), Unit::Micros), "0 2000s 4000s 6000s");
    }

    #[test]
    fn heights_are_parts_of_the_top() {
        let scale = Scale::upto(9_999);
        for (value, expected) in [(0, "0%"), (2_500, "25%"), (3_333, "33.33%"), (10_000, "100%")] {
            assert_eq!(scale.height(value).to_string(), expected);
        }
        assert_eq!(scale.height(u64::MAX), Share::ALL);
        assert_eq!(Share::of(1, 0), Share(0));
        assert_eq!(Scale::upto(u64::MAX).height(u64::MAX), Share(9_223));
    }
}
