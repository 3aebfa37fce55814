//! Means with their standard errors, and quantiles.

/// Sums from which a mean and the standard error of it follow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sums {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Sums {
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.squares += value * value;
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn sum(&self) -> f64 {
        self.sum
    }

    pub fn mean(&self) -> Mean {
        let n = self.count as f64;
        let value = self.sum / n;
        let variance = (self.squares / n - value * value).max(0.0);
        let error = if self.count > 1 { (variance / (n - 1.0)).sqrt() } else { 0.0 };
        Mean { value, error }
    }
}

/// A mean over tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mean {
    pub value: f64,
    /// Its standard error: how far another text of the same kind would move it.
    pub error: f64,
}

impl Mean {
    /// e to the mean, with the error that follows to the first order.
    pub(super) fn exp(self) -> Mean {
        let value = self.value.exp();
        Mean { value, error: value * self.error }
    }
}

/// The value below which a fraction of sorted numbers lies, between two of them in proportion.
pub(super) fn quantile(sorted: &[f32], fraction: f64) -> f64 {
    let place = fraction * (sorted.len() - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    (1.0 - part) * f64::from(sorted[low]) + part * f64::from(sorted[high])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let sorted = [1.0, 2.0, 4.0, 8.0];
        assert_eq!(quantile(&sorted, 0.0), 1.0);
        assert_eq!(quantile(&sorted, 0.5), 3.0);
        assert!((quantile(&sorted, 0.9) - 6.8).abs() < 1e-9);
        assert_eq!(quantile(&sorted, 1.0), 8.0);
        assert_eq!(quantile(&[3.0], 0.99), 3.0);
    }

    #[test]
    fn a_mean_has_its_standard_error() {
        let mut sums = Sums::default();
        [1.0, 2.0, 3.0, 6.0].into_iter().for_each(|value| sums.add(value));
        let Mean { value, error } = sums.mean();
        assert_eq!(value, 3.0);
        // Deviations 2, 1, 0, 3: sqrt(14 / 4 / 3).
        assert!((error - (14.0f64 / 12.0).sqrt()).abs() < 1e-12);
    }
}
