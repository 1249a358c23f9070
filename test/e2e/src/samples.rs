//! Figures out of many samples of the same.

/// The value within which that share of the samples lies; nothing if there are none.
pub fn percentile<T: PartialOrd + Copy>(samples: &[T], share: f64) -> Option<T> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let index = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied()
}

/// The one in the middle, of an even number the mean of both; not a number if there are none.
pub fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(one), 1) => *one,
        (Some(upper), _) => (sorted[middle - 1] + upper) / 2.0,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample() {
        let samples: Vec<u32> = (1..=200).rev().collect();
        let at = |share| percentile(&samples, share);
        assert_eq!([at(0.5), at(0.99), at(1.0), at(0.0)], [Some(100), Some(198), Some(200), Some(1)]);
        assert_eq!(percentile(&[7.5], 0.5), Some(7.5));
        assert_eq!(percentile::<f64>(&[], 0.5), None);
    }

    #[test]
    fn one_that_stands_out_does_not_move_the_median() {
        assert_eq!(median(&[3.0, 900.0, 1.0]), 3.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 900.0]), 3.0);
        assert!(median(&[]).is_nan());
    }
}
