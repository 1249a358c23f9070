//! Where a value is in a plot.

/// Maps values to places along an axis.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    from: f64,
    to: f64,
    is_log: bool,
    start: f64,
    length: f64,
}

impl Scale {
    /// From zero to the largest of the values.
    pub fn linear(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Self {
        let to = values.fold(0.0, f64::max);
        Self { from: 0.0, to: if to > 0.0 { to } else { 1.0 }, is_log: false, start, length }
    }

    /// From the power of ten below all values to the one above; values that are not positive do not count.
    pub fn logarithmic(values: impl Iterator<Item = f64>, start: f64, length: f64) -> Self {
        let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| *value > 0.0) {
            from = from.min(value.log10().floor());
            to = to.max(value.log10().ceil());
        }
        if !from.is_finite() {
            (from, to) = (0.0, 1.0);
        }
        Self { from, to: if to > from { to } else { from + 1.0 }, is_log: true, start, length }
    }

    /// Where the axis starts.
    pub fn start(&self) -> f64 {
        self.start
    }

    /// The place of a value; one outside is at the end that is nearer.
    pub fn place(&self, value: f64) -> f64 {
        let value = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + share * self.length
    }

    /// The values to write at a logarithmic axis: the powers of ten.
    pub fn powers(&self) -> Vec<f64> {
        (self.from as i32..=self.to as i32).map(|power| 10_f64.powi(power)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_axis_begins_at_zero() {
        let scale = Scale::linear([20.0, 80.0].into_iter(), 100.0, 40.0);
        assert_eq!([0.0, 20.0, 80.0, 90.0].map(|v| scale.place(v)), [100.0, 110.0, 140.0, 140.0]);
        assert_eq!(Scale::linear([].into_iter(), 0.0, 10.0).place(0.0), 0.0);
    }

    #[test]
    fn a_logarithmic_axis_ends_at_powers_of_ten() {
        let scale = Scale::logarithmic([20.0, 5000.0, 0.0].into_iter(), 0.0, 300.0);
        assert_eq!(
            [1.0, 10.0, 100.0, 10_000.0, 0.0].map(|v| scale.place(v).round()),
            [0.0, 0.0, 100.0, 300.0, 0.0]
        );
        assert_eq!(scale.powers(), [10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(Scale::logarithmic([100.0].into_iter(), 0.0, 10.0).powers(), [100.0, 1000.0]);
    }

    #[test]
    fn an_axis_may_run_upwards() {
        let scale = Scale::linear([10.0].into_iter(), 200.0, -100.0);
        assert_eq!([0.0, 5.0, 10.0].map(|v| scale.place(v)), [200.0, 150.0, 100.0]);
    }
}
