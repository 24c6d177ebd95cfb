//! Estimates of a median from a sample.

use serde::Serialize;

/// The minimum confidence of an interval.
const CONFIDENCE: f64 = 0.95;

/// An interval that contains the median with the given confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// The probability that such an interval contains the median. It is a little more than 0.95,
    /// because the number of possible intervals is finite.
    pub confidence: f64,
}

/// Returns the median of at least one value.
pub fn median(sample: &[f64]) -> f64 {
    let sorted = sorted(sample);
    let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    f64::midpoint(lower, upper)
}

/// Returns the narrowest interval from the n-th smallest value to the n-th largest one that
/// contains the median with at least [`CONFIDENCE`]. Returns `None` for fewer than six values, for
/// which there is no such interval.
///
/// The interval is exact. It only requires that the values are independent: each is below or above
/// the median with equal probability, so the number of values below it has a binomial distribution.
/// The interval misses the median if fewer than n values are on one side of it.
pub fn interval_of_median(sample: &[f64]) -> Option<Interval> {
    let sorted = sorted(sample);
    let mut found = None;
    let mut fewer = 0.0;
    for (below, exactly) in fair_coin(sorted.len()).enumerate().take(sorted.len() / 2) {
        fewer += exactly;
        let confidence = 1.0 - 2.0 * fewer;
        if confidence < CONFIDENCE {
            break;
        }
        found = Some(Interval {
            low: sorted[below],
            high: sorted[sorted.len() - 1 - below],
            confidence,
        });
    }
    found
}

/// Returns the probabilities of 0, 1, 2 and more heads in `tosses` tosses. Works for up to about
/// 1,000 tosses, because a half to a larger power is too small a number.
fn fair_coin(tosses: usize) -> impl Iterator<Item = f64> {
    let none = 0.5_f64.powi(i32::try_from(tosses).unwrap_or(i32::MAX));
    (0..=tosses).scan(none, move |next, heads| {
        let exactly = *next;
        *next *= (tosses - heads) as f64 / (heads + 1) as f64;
        Some(exactly)
    })
}

fn sorted(sample: &[f64]) -> Vec<f64> {
    let mut sorted = sample.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the numbers 1 to `n`: the odd ones first, then the even ones in reverse.
    fn up_to(n: u32) -> Vec<f64> {
        let (odd, even): (Vec<_>, Vec<_>) = (1..=n).partition(|number| number % 2 == 1);
        odd.into_iter()
            .chain(even.into_iter().rev())
            .map(f64::from)
            .collect()
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middle_ones() {
        assert_eq!(median(&[7.0]), 7.0);
        assert_eq!(median(&[9.0, 1.0, 4.0]), 4.0);
        assert_eq!(median(&[9.0, 1.0, 4.0, 5.0]), 4.5);
    }

    /// The values of textbook tables: n, the ranks, and their confidence.
    #[test]
    fn the_interval_is_that_of_the_tables() {
        for (n, low, high, confidence) in [
            (6, 1.0, 6.0, 0.9688),
            (8, 1.0, 8.0, 0.9922),
            (9, 2.0, 8.0, 0.9609),
            (10, 2.0, 9.0, 0.9785),
            (15, 4.0, 12.0, 0.9648),
            (20, 6.0, 15.0, 0.9586),
            (30, 10.0, 21.0, 0.9572),
            (50, 18.0, 33.0, 0.9672),
            (100, 40.0, 61.0, 0.9648),
        ] {
            let interval = interval_of_median(&up_to(n)).unwrap();
            assert_eq!((interval.low, interval.high), (low, high), "of {n}");
            assert!(
                (interval.confidence - confidence).abs() < 5e-5,
                "of {n}: {interval:?}"
            );
        }
    }

    #[test]
    fn fewer_than_six_values_have_no_interval() {
        for n in 0..6 {
            assert_eq!(interval_of_median(&up_to(n)), None, "of {n}");
        }
    }

    #[test]
    fn a_thousand_values_have_one_too() {
        let interval = interval_of_median(&up_to(1_000)).unwrap();
        assert_eq!((interval.low, interval.high), (469.0, 532.0));
    }

    #[test]
    fn the_interval_contains_the_median_as_often_as_it_says() {
        let mut random = fastrand::Rng::with_seed(1);
        let samples = 20_000;
        let hits = (0..samples).filter(|_| {
            let sample: Vec<_> = (0..20).map(|_| random.f64()).collect();
            let interval = interval_of_median(&sample).unwrap();
            interval.low <= 0.5 && 0.5 <= interval.high
        });
        let share = hits.count() as f64 / f64::from(samples);
        assert!((share - 0.9586).abs() < 0.005, "{share}");
    }
}
