//! Retry schedules: when a delivery's next attempt is due.
//!
//! A schedule is a list of delays, one before each attempt, counted from the end of the attempt
//! before (for the first, from the acceptance of the event). Chance and the present come in as
//! arguments. Whatever they are, an attempt is never due before its delay has passed: jitter and
//! `Retry-After` only lengthen it.
//!
//! Times are Unix milliseconds (`i64`), delays milliseconds (`u64`).

use std::time::Duration;

use crate::retry_after::RetryAfter;

/// Most attempts of a schedule (row H169 of the hostile cases refuses 101).
pub const ATTEMPTS_MAX: usize = 100;

/// Longest delay before one attempt: 31 days. A longer one outlives the retention of its event.
pub const DELAY_MAX_MS: u64 = 31 * 24 * HOUR_MS;

/// Largest growth from one delay to the next of an exponential schedule.
pub const FACTOR_MAX: f64 = 100.0;

/// Largest proportional jitter.
pub const JITTER_PERCENT_MAX: u8 = 100;

const SECOND_MS: u64 = 1000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;

/// When the attempts of a delivery are made: 1 to [`ATTEMPTS_MAX`] of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RetrySchedule {
    delays_ms: Vec<u64>,
    jitter: Jitter,
}

/// How much longer than its delay an attempt may wait, so that deliveries which failed together
/// do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Jitter {
    /// Attempts are due exactly when their delay has passed.
    None,
    /// Up to `percent` (0 to [`JITTER_PERCENT_MAX`]) of the delay is added.
    Proportional { percent: u8 },
}

/// Why a schedule is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    #[error("a retry schedule needs at least one attempt; 0 as its only delay means no retries")]
    Empty,
    #[error("a retry schedule has at most {ATTEMPTS_MAX} attempts; shorten it")]
    TooManyAttempts,
    /// `index` counts from 0, for a pointer to the place.
    #[error("a delay of a retry schedule cannot be negative; give 0 or more")]
    NegativeDelay { index: usize },
    /// `index` as above.
    #[error("a delay of a retry schedule can be at most 31 days; shorten it")]
    DelayTooLong { index: usize },
    #[error("the first attempt is made at once: begin the retry schedule with 0")]
    FirstNotAtOnce,
    #[error("the factor of an exponential retry schedule must be from 1 to {FACTOR_MAX}")]
    Factor,
    #[error("the jitter of a retry schedule must be from 0 to {JITTER_PERCENT_MAX} percent")]
    Jitter,
}

impl RetrySchedule {
    /// A schedule from its delays in milliseconds, the one before the first attempt (always 0)
    /// included. They are signed because callers get them from the outside.
    pub fn list(delays_ms: &[i64], jitter: Jitter) -> Result<Self, ScheduleError> {
        check_attempts(delays_ms.len())?;
        let delays_ms = delays_ms
            .iter()
            .enumerate()
            .map(|(index, &given)| match u64::try_from(given) {
                Ok(delay) if delay <= DELAY_MAX_MS => Ok(delay),
                Ok(_) => Err(ScheduleError::DelayTooLong { index }),
                Err(_) => Err(ScheduleError::NegativeDelay { index }),
            })
            .collect::<Result<Vec<u64>, _>>()?;
        if delays_ms[0] != 0 {
            return Err(ScheduleError::FirstNotAtOnce);
        }
        Self::checked(delays_ms, jitter)
    }

    /// A schedule whose first attempt is made at once, the second after `first_ms`, and each
    /// further one after `factor` times the delay before it, but never after more than `cap_ms`.
    pub fn exponential(
        first_ms: u64,
        factor: f64,
        attempts: usize,
        cap_ms: u64,
        jitter: Jitter,
    ) -> Result<Self, ScheduleError> {
        check_attempts(attempts)?;
        if !(1.0..=FACTOR_MAX).contains(&factor) {
            return Err(ScheduleError::Factor);
        }
        if first_ms.min(cap_ms) > DELAY_MAX_MS {
            return Err(ScheduleError::DelayTooLong { index: 1 });
        }
        let cap = Duration::from_millis(cap_ms.min(DELAY_MAX_MS));
        let first = Duration::from_millis(first_ms).min(cap);
        // at most 31 days times 100, which a duration holds
        let retries = std::iter::successors(Some(first), |d| Some(d.mul_f64(factor).min(cap)));
        let retries_ms = retries.map(|d| u64::try_from(d.as_millis()).unwrap_or(DELAY_MAX_MS));
        let delays_ms = std::iter::once(0).chain(retries_ms).take(attempts).collect();
        Self::checked(delays_ms, jitter)
    }

    /// The schedule of the profiles `standard` and `autonoma` (wire contract §3): ten attempts over
    /// 75.6 hours, each delay lengthened by up to 10 %.
    pub fn standard() -> Self {
        Self {
            delays_ms: vec![
                0,
                5 * SECOND_MS,
                5 * MINUTE_MS,
                30 * MINUTE_MS,
                2 * HOUR_MS,
                5 * HOUR_MS,
                10 * HOUR_MS,
                14 * HOUR_MS,
                20 * HOUR_MS,
                24 * HOUR_MS,
            ],
            jitter: Jitter::Proportional { percent: 10 },
        }
    }

    /// The schedule of the profile `automa` (wire contract §3): five attempts, at exactly 0, 10,
    /// 30, 70 and 150 minutes if each fails at once.
    pub fn automa() -> Self {
        Self {
            delays_ms: [0, 10, 20, 40, 80].map(|minutes| minutes * MINUTE_MS).to_vec(),
            jitter: Jitter::None,
        }
    }

    /// When the next attempt is due, or `None` when the schedule is exhausted.
    ///
    /// `attempts_made` of this schedule have ended, the last one at `finished_at_ms` (with 0
    /// made: when the event was accepted). `random` is uniform over all of `u64`. `retry_after` is
    /// what the receiver asked for in its answer; the longer of the two waits counts. The result
    /// is never before `finished_at_ms`.
    pub fn next_attempt(
        &self,
        attempts_made: usize,
        finished_at_ms: i64,
        random: u64,
        retry_after: Option<RetryAfter>,
    ) -> Option<i64> {
        let delay_ms = *self.delays_ms.get(attempts_made)?;
        let scheduled_ms = delay_ms + self.jitter.extra_ms(delay_ms, random);
        let wait_ms = scheduled_ms.max(retry_after.map_or(0, RetryAfter::wait_ms));
        Some(finished_at_ms.saturating_add_unsigned(wait_ms))
    }

    /// How many attempts there are at most, the first one included.
    pub fn attempts_max(&self) -> usize {
        self.delays_ms.len()
    }

    /// The delay before each attempt, without jitter.
    pub fn delays_ms(&self) -> &[u64] {
        &self.delays_ms
    }

    pub fn jitter(&self) -> Jitter {
        self.jitter
    }

    fn checked(delays_ms: Vec<u64>, jitter: Jitter) -> Result<Self, ScheduleError> {
        match jitter {
            Jitter::Proportional { percent } if percent > JITTER_PERCENT_MAX => {
                Err(ScheduleError::Jitter)
            }
            _ => Ok(Self { delays_ms, jitter }),
        }
    }
}

impl Jitter {
    /// From nothing to all of the allowed lengthening, as `random` goes from 0 to `u64::MAX`.
    fn extra_ms(self, delay_ms: u64, random: u64) -> u64 {
        let percent = match self {
            Self::None => return 0,
            Self::Proportional { percent } => percent,
        };
        let allowed_ms = u128::from(delay_ms * u64::from(percent) / 100);
        // random / 2^64 of it, the fraction cut off; the sum reaches the bound itself
        let extra_ms = ((allowed_ms + 1) * u128::from(random)) >> 64;
        u64::try_from(extra_ms).expect("a product with a u64, shifted right by 64, fits")
    }
}

fn check_attempts(attempts: usize) -> Result<(), ScheduleError> {
    match attempts {
        0 => Err(ScheduleError::Empty),
        1..=ATTEMPTS_MAX => Ok(()),
        _ => Err(ScheduleError::TooManyAttempts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    /// The moments of all attempts in minutes, when each fails as soon as it is made.
    fn moments_min(schedule: &RetrySchedule, random: u64) -> Vec<i64> {
        let mut moments = Vec::new();
        let mut now_ms = 0;
        while let Some(due_ms) = schedule.next_attempt(moments.len(), now_ms, random, None) {
            moments.push(due_ms);
            now_ms = due_ms;
        }
        moments.iter().map(|ms| ms / 60_000).collect()
    }

    #[test]
    fn automa_is_tried_five_times_at_its_exact_minutes() {
        let schedule = RetrySchedule::automa();
        assert_eq!(moments_min(&schedule, u64::MAX), [0, 10, 30, 70, 150]);
    }

    #[test]
    fn standard_is_tried_ten_times_within_its_jitter() {
        let schedule = RetrySchedule::standard();
        assert_eq!(schedule.attempts_max(), 10);
        let earliest = moments_min(&schedule, 0);
        assert_eq!(earliest, [0, 0, 5, 35, 155, 455, 1055, 1895, 3095, 4535]);
        let latest = moments_min(&schedule, u64::MAX);
        assert_eq!(latest[9], 4988);
    }

    #[test]
    fn jitter_spreads_over_its_whole_range() {
        let jitter = Jitter::Proportional { percent: 10 };
        assert_eq!(jitter.extra_ms(5000, 0), 0);
        assert_eq!(jitter.extra_ms(5000, u64::MAX / 2), 250);
        assert_eq!(jitter.extra_ms(5000, u64::MAX), 500);
        assert_eq!(jitter.extra_ms(0, u64::MAX), 0);
    }

    #[test]
    fn exponential_delays_grow_to_their_cap() {
        let schedule = RetrySchedule::exponential(1000, 2.0, 7, 10_000, Jitter::None).unwrap();
        assert_eq!(schedule.delays_ms(), [0, 1000, 2000, 4000, 8000, 10_000, 10_000]);
        let schedule = RetrySchedule::exponential(1000, 1.5, 4, 10_000, Jitter::None).unwrap();
        assert_eq!(schedule.delays_ms(), [0, 1000, 1500, 2250]);
        let schedule = RetrySchedule::exponential(1, 100.0, 100, u64::MAX, Jitter::None).unwrap();
        assert_eq!(schedule.delays_ms()[99], DELAY_MAX_MS);
        let schedule = RetrySchedule::exponential(1000, 2.0, 1, 0, Jitter::None).unwrap();
        assert_eq!(schedule.delays_ms(), [0]);
    }

    #[test]
    fn a_longer_retry_after_counts_and_a_shorter_one_does_not() {
        let schedule = RetrySchedule::automa();
        let due = |value| {
            let retry_after = RetryAfter::parse(value, 0);
            schedule.next_attempt(1, 0, 0, retry_after)
        };
        assert_eq!(due("1"), Some(600_000));
        assert_eq!(due("3600"), Some(3_600_000));
        assert_eq!(due("1e18"), Some(DAY_MS));
        let exhausted = schedule.next_attempt(5, 0, 0, RetryAfter::parse("1", 0));
        assert_eq!(exhausted, None);
    }

    /// Row H169 of the hostile cases, and its kin.
    #[test]
    fn schedules_out_of_bounds_are_refused() {
        use ScheduleError as E;
        let list = |delays_ms: &[i64]| RetrySchedule::list(delays_ms, Jitter::None).unwrap_err();
        assert_eq!(list(&[]), E::Empty);
        assert_eq!(list(&[0; 101]), E::TooManyAttempts);
        assert_eq!(list(&[0, -1]), E::NegativeDelay { index: 1 });
        assert_eq!(list(&[0, 5, 400 * DAY_MS]), E::DelayTooLong { index: 2 });
        assert_eq!(list(&[31 * DAY_MS + 1]), E::DelayTooLong { index: 0 });
        assert_eq!(list(&[5, 10]), E::FirstNotAtOnce);
        let mut longest = [31 * DAY_MS; 100];
        longest[0] = 0;
        let longest = RetrySchedule::list(&longest, Jitter::None);
        assert_eq!(longest.unwrap().attempts_max(), 100);

        let much = Jitter::Proportional { percent: 101 };
        assert_eq!(RetrySchedule::list(&[0], much), Err(E::Jitter));

        let exponential = |first_ms, factor, attempts| {
            RetrySchedule::exponential(first_ms, factor, attempts, u64::MAX, Jitter::None)
        };
        for factor in [0.5, -1.0, 100.1, f64::NAN, f64::INFINITY] {
            assert_eq!(exponential(1, factor, 5), Err(E::Factor), "{factor}");
        }
        assert_eq!(exponential(1, 2.0, 0), Err(E::Empty));
        assert_eq!(exponential(1, 2.0, 101), Err(E::TooManyAttempts));
        assert_eq!(exponential(u64::MAX, 2.0, 5), Err(E::DelayTooLong { index: 1 }));
    }

    fn any_schedule() -> impl Strategy<Value = RetrySchedule> {
        let delay_ms = prop_oneof![0..10_000_i64, 0..=31 * DAY_MS];
        let jitter = prop_oneof![
            Just(Jitter::None),
            (0..=JITTER_PERCENT_MAX).prop_map(|percent| Jitter::Proportional { percent }),
        ];
        (prop::collection::vec(delay_ms, 1..=ATTEMPTS_MAX), jitter).prop_map(
            |(mut delays_ms, jitter)| {
                delays_ms[0] = 0;
                RetrySchedule::list(&delays_ms, jitter).unwrap()
            },
        )
    }

    proptest! {
        #[test]
        fn no_attempt_is_early_and_none_follows_the_last(
            schedule in any_schedule(),
            attempts_made in 0..=ATTEMPTS_MAX + 1,
            finished_at_ms in -DAY_MS..=i64::MAX / 2,
            random: u64,
            retry_after_s in prop::option::of(0_u64..1_000_000),
        ) {
            let retry_after =
                retry_after_s.and_then(|s| RetryAfter::parse(&s.to_string(), finished_at_ms));
            let due_ms = schedule.next_attempt(attempts_made, finished_at_ms, random, retry_after);
            let delay_ms = schedule.delays_ms().get(attempts_made);
            prop_assert_eq!(due_ms.is_some(), delay_ms.is_some());
            if let (Some(due_ms), Some(&delay_ms)) = (due_ms, delay_ms) {
                let asked_ms = retry_after.map_or(0, RetryAfter::wait_ms);
                let waited_ms = u64::try_from(due_ms - finished_at_ms).unwrap();
                prop_assert!(waited_ms >= delay_ms.max(asked_ms));
                let latest_ms = match schedule.jitter() {
                    Jitter::None => delay_ms,
                    Jitter::Proportional { percent } => {
                        delay_ms + delay_ms * u64::from(percent) / 100
                    }
                };
                prop_assert!(waited_ms <= latest_ms.max(asked_ms));
            }
        }

        #[test]
        fn any_moment_at_all_has_a_next_one(finished_at_ms: i64, random: u64) {
            let due_ms = RetrySchedule::standard().next_attempt(9, finished_at_ms, random, None);
            prop_assert!(due_ms.unwrap() >= finished_at_ms);
        }

        #[test]
        fn exponential_schedules_are_within_bounds_or_refused(
            first_ms in 0..=2 * DELAY_MAX_MS,
            factor in prop_oneof![any::<f64>(), 1.0..=FACTOR_MAX, 1.0..1.1],
            attempts in 0_usize..120,
            cap_ms in prop_oneof![any::<u64>(), 0..=2 * DELAY_MAX_MS],
        ) {
            let parsed =
                RetrySchedule::exponential(first_ms, factor, attempts, cap_ms, Jitter::None);
            if let Ok(schedule) = parsed {
                prop_assert_eq!(schedule.attempts_max(), attempts);
                let longest_ms = schedule.delays_ms().iter().max();
                prop_assert!(longest_ms <= Some(&cap_ms.min(DELAY_MAX_MS)));
                prop_assert!(schedule.delays_ms().is_sorted());
            }
        }
    }
}
