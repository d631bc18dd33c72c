//! Medians, and how sure one can be of them.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// How many times the rounds are drawn anew. Ten thousand leave the ends of the interval with no visible noise.
const RESAMPLES: usize = 10_000;

/// The middle of the numbers, or the mean of the two in the middle; `None` of none.
#[must_use]
pub fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The numbers a quarter and three quarters of the way from the lowest to the highest; `None` of none. Between two of them,
/// it is the nearer.
#[must_use]
pub fn quartiles(numbers: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    Some((sorted[(last + 2) / 4], sorted[(3 * last + 2) / 4]))
}

/// A median and the ends of its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median of the rounds.
    pub median: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

/// The median of the rounds and its 95 % interval, by the percentile bootstrap: rounds are drawn with replacement, as many
/// as there are, and the interval holds the middle 95 % of the medians of what was drawn. The same numbers give the
/// same interval.
#[must_use]
pub fn estimate(rounds: &[f64]) -> Option<Estimate> {
    let median_of_all = median(rounds)?;
    let mut random = SmallRng::seed_from_u64(1);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let drawn: Vec<f64> =
                rounds.iter().map(|_| rounds[random.random_range(0..rounds.len())]).collect();
            median(&drawn)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let last = medians.len() - 1;
    let (low, high) = (medians[last * 25 / 1000], medians[last * 975 / 1000]);
    Some(Estimate { median: median_of_all, low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn the_quartiles_leave_a_quarter_on_each_side() {
        assert_eq!(quartiles(&[]), None);
        assert_eq!(quartiles(&[3.0]), Some((3.0, 3.0)));
        assert_eq!(quartiles(&[9.0, 1.0, 2.0, 4.0, 7.0]), Some((2.0, 7.0)));
    }

    #[test]
    fn equal_rounds_leave_no_doubt() {
        let sure = Estimate { median: 1.5, low: 1.5, high: 1.5 };
        assert_eq!(estimate(&[1.5; 7]), Some(sure));
        assert_eq!(estimate(&[]), None);
    }

    #[test]
    fn the_interval_is_within_the_rounds_holds_the_median_and_repeats() {
        let rounds: Vec<f64> = (0..21).map(f64::from).collect();
        let found = estimate(&rounds).unwrap();
        assert_eq!(found.median, 10.0);
        assert!(0.0 < found.low && found.low < 10.0 && 10.0 < found.high && found.high < 20.0, "{found:?}");
        assert_eq!(estimate(&rounds), Some(found));
    }

    /// For 21 rounds, the exact 95 % interval of a median leaves five rounds (binomially) or so beyond each end.
    #[test]
    fn the_interval_agrees_with_the_one_from_order_statistics() {
        let rounds: Vec<f64> = (0..21).map(f64::from).collect();
        let found = estimate(&rounds).unwrap();
        assert!((5.0..=7.0).contains(&found.low) && (13.0..=15.0).contains(&found.high), "{found:?}");
    }

    #[test]
    fn one_odd_round_does_not_move_the_estimate() {
        let mut rounds = vec![1.0; 15];
        rounds[3] = 50.0;
        assert_eq!(estimate(&rounds), Some(Estimate { median: 1.0, low: 1.0, high: 1.0 }));
    }
}
