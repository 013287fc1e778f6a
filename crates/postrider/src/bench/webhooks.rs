//! Which webhooks there are, which of them an event goes to, and how their receivers behave.
//!
//! Webhooks are numbered from 0. They come in groups of the fan-out: a group wants one event type,
//! and events go to the groups in turn, so that there may be more webhooks than each event has.

use anyhow::{bail, ensure};

use super::BenchArgs;

/// Webhooks for each of the fan-out when some receivers are not healthy and no number is given:
/// a share of 0.05 is one of them.
const UNHEALTHY_FACTOR: usize = 20;

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// With 200.
    Healthy,
    /// With 500.
    Failing,
    /// Never, on a connection that stays open.
    Hanging,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Webhooks {
    /// Of one group, which an event goes to.
    pub(super) fan_out: usize,
    pub(super) groups: usize,
    /// How many of all are failing, and how many hang.
    pub(super) failing: usize,
    pub(super) hanging: usize,
}

impl Webhooks {
    /// Those that the server gets.
    pub(super) fn parse(args: &BenchArgs) -> anyhow::Result<Self> {
        let fan_out = args.fan_out.max(1);
        let is_healthy = args.failing == 0.0 && args.hanging == 0.0;
        let count =
            args.webhooks.unwrap_or(if is_healthy { fan_out } else { UNHEALTHY_FACTOR * fan_out });
        ensure!(
            count > 0 && count.is_multiple_of(fan_out),
            "--webhooks {count} must be a multiple of --fan-out {fan_out}"
        );
        let webhooks = Self {
            fan_out,
            groups: count / fan_out,
            failing: share_of("--failing", args.failing, count)?,
            hanging: share_of("--hanging", args.hanging, count)?,
        };
        if webhooks.failing + webhooks.hanging >= count {
            bail!("no receiver is healthy; lower --failing and --hanging");
        }
        Ok(webhooks)
    }

    /// The forwarder knows no event types: one group, and all of it is healthy.
    pub(super) fn of_forwarder(self) -> Self {
        Self { fan_out: self.fan_out, groups: 1, failing: 0, hanging: 0 }
    }

    /// The same webhooks with healthy receivers.
    pub(super) fn healthy(self) -> Self {
        Self { failing: 0, hanging: 0, ..self }
    }

    pub(super) fn count(self) -> usize {
        self.fan_out * self.groups
    }

    pub(super) fn group_of_event(self, event: usize) -> usize {
        event % self.groups
    }

    pub(super) fn group_of_webhook(self, webhook: usize) -> usize {
        webhook / self.fan_out
    }

    /// Which of its event's deliveries goes to `webhook`, from 0 to below the fan-out.
    pub(super) fn place_in_group(self, webhook: usize) -> usize {
        webhook % self.fan_out
    }

    /// The unhealthy are spread evenly over all webhooks, and the failing evenly over those.
    pub(super) fn behaviour(self, webhook: usize) -> Behaviour {
        let unhealthy = self.failing + self.hanging;
        match nth_of_spread(webhook, unhealthy, self.count()) {
            None => Behaviour::Healthy,
            Some(nth) if nth_of_spread(nth, self.failing, unhealthy).is_some() => {
                Behaviour::Failing
            }
            Some(_) => Behaviour::Hanging,
        }
    }

    /// Deliveries of the first `events` that go to healthy receivers.
    pub(super) fn expected(self, events: usize) -> usize {
        let healthy_of_group = |group: usize| {
            let first = group * self.fan_out;
            (first..first + self.fan_out)
                .filter(|&webhook| self.behaviour(webhook) == Behaviour::Healthy)
                .count()
        };
        // Every group gets as many events as the others, or one more.
        (0..self.groups)
            .map(|group| {
                let events = events / self.groups + usize::from(group < events % self.groups);
                events * healthy_of_group(group)
            })
            .sum()
    }
}

/// Where `item` is one of `chosen` that lie evenly among `all`: the how manieth.
fn nth_of_spread(item: usize, chosen: usize, all: usize) -> Option<usize> {
    let before = item * chosen / all;
    ((item + 1) * chosen / all > before).then_some(before)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a number of webhooks, which is far below 2^52"
)]
fn share_of(flag: &str, share: f64, count: usize) -> anyhow::Result<usize> {
    let chosen = (share * count as f64).round() as usize;
    ensure!(
        share == 0.0 || chosen > 0,
        "{flag} {share} of {count} webhooks is not one; raise --webhooks"
    );
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhooks(fan_out: usize, groups: usize, failing: usize, hanging: usize) -> Webhooks {
        Webhooks { fan_out, groups, failing, hanging }
    }

    #[test]
    fn exactly_as_many_receivers_misbehave_as_asked() {
        for (failing, hanging) in [(0, 0), (1, 0), (0, 1), (3, 5), (10, 9), (7, 0)] {
            let webhooks = webhooks(2, 10, failing, hanging);
            let count = |behaviour| {
                (0..20).filter(|&webhook| webhooks.behaviour(webhook) == behaviour).count()
            };
            assert_eq!(count(Behaviour::Failing), failing);
            assert_eq!(count(Behaviour::Hanging), hanging);
        }
    }

    #[test]
    fn expected_are_the_deliveries_to_healthy_receivers_one_by_one() {
        let webhooks = webhooks(3, 7, 4, 5);
        for events in [0, 1, 6, 7, 8, 100] {
            let one_by_one = (0..events)
                .flat_map(|event| {
                    (0..webhooks.count()).filter(move |&webhook| {
                        webhooks.group_of_webhook(webhook) == webhooks.group_of_event(event)
                            && webhooks.behaviour(webhook) == Behaviour::Healthy
                    })
                })
                .count();
            assert_eq!(webhooks.expected(events), one_by_one, "{events} events");
        }
    }

    #[test]
    fn a_share_that_comes_to_no_webhook_is_refused() {
        assert_eq!(share_of("--failing", 0.0, 20).unwrap(), 0);
        assert_eq!(share_of("--failing", 0.5, 2_000).unwrap(), 1_000);
        let refused = share_of("--failing", 0.01, 20).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "--failing 0.01 of 20 webhooks is not one; raise --webhooks"
        );
    }
}
