//! What a request cost, and how that of one contestant compares with another's.

use serde::{Deserialize, Serialize};

use crate::document::Entry;
use crate::rounds::{Outcome, Run};
use crate::stats::{Estimate, estimate};

/// The ratio of ours to another's that is still good: the lower end of its interval may be as high as this.
pub const GOAL: f64 = 1.10;

/// What a request cost, by one way to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cost {
    /// The processor time of the server.
    Server,
    /// As much of that as was in its own code.
    User,
    /// The time on the wall.
    Wall,
    /// How long the slowest thousandth took at least, where requests are timed.
    Tail,
}

impl Cost {
    /// In microseconds for each request, if it was measured.
    #[must_use]
    pub fn of(self, run: &Run) -> Option<f64> {
        let each = |total: u64| total as f64 / run.report.requests as f64 / 1000.0;
        match self {
            Self::Server => Some(each(run.report.server)),
            Self::User => Some(each(run.report.server_user)),
            Self::Wall => Some(each(run.report.wall)),
            Self::Tail => run.report.latency.map(|latency| latency.p999 as f64 / 1000.0),
        }
    }

    /// The median of a contestant's rounds, and how sure it is.
    #[must_use]
    pub fn estimate(self, outcome: &Outcome, name: &str) -> Option<Estimate> {
        let runs = outcome.runs.iter().filter(|run| run.name == name);
        estimate(&runs.filter_map(|run| self.of(run)).collect::<Vec<_>>())
    }
}

/// Ours divided by another's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// Which of ours.
    pub ours: String,
    /// Which other.
    pub other: String,
    /// Of what.
    pub of: Cost,
    /// The median of the rounds.
    pub median: f64,
    /// The lower end of its interval.
    pub low: f64,
    /// The upper end of its interval.
    pub high: f64,
    /// Whether the interval holds the [`GOAL`], or lies below it.
    pub reached: bool,
}

/// The ratio of two contestants, each round by itself.
#[must_use]
pub fn compare(outcome: &Outcome, own: &str, other: &str, cost: Cost) -> Option<Estimate> {
    if own == other {
        return None;
    }
    let in_round =
        |name: &str, round: usize| outcome.runs.iter().find(|run| run.name == name && run.round == round);
    let ratios: Vec<f64> = (outcome.runs.iter().filter(|run| run.name == own))
        .filter_map(|run| Some(cost.of(run)? / cost.of(in_round(other, run.round)?)?))
        // Of what was too short for its clock there is none.
        .filter(|ratio| ratio.is_finite())
        .collect();
    estimate(&ratios)
}

/// Every ratio of one of ours to another's.
#[must_use]
pub fn ratios(outcome: &Outcome, contestants: &[Entry], cost: Cost) -> Vec<Ratio> {
    let pairs = contestants
        .iter()
        .filter(|own| own.ours)
        .flat_map(|own| contestants.iter().map(move |other| (&own.name, &other.name)));
    let ratio = |(own, other): (&String, &String)| {
        let Estimate { median, low, high } = compare(outcome, own, other, cost)?;
        let (ours, other) = (own.clone(), other.clone());
        Some(Ratio { ours, other, of: cost, median, low, high, reached: low <= GOAL })
    };
    pairs.filter_map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::example;

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ratio = compare(&example(), "async-readiness", "tokio", Cost::Server);
        assert_eq!(ratio, Some(Estimate { median: 1.5, low: 1.5, high: 1.5 }));
        assert_eq!(compare(&example(), "tokio", "tokio", Cost::Server), None);
        assert_eq!(compare(&example(), "async-readiness", "tokio", Cost::Tail), None);
    }

    #[test]
    fn what_was_too_short_to_be_measured_has_no_ratio() {
        let mut outcome = example();
        outcome.runs.iter_mut().for_each(|run| run.report.server_user = 0);
        assert_eq!(compare(&outcome, "async-readiness", "tokio", Cost::User), None);
    }
}
