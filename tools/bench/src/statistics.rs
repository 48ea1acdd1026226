//! Medians and paired ratios.

use serde::Serialize;

/// A ratio with its spread over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Ratio {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// `None` for nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The value below which the share lies, between two neighbours in proportion.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len().checked_sub(1)?) as f64 * share.clamp(0.0, 1.0);
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

/// Ours by the reference, each round with itself: what disturbs a round disturbs both.
pub fn ratio(ours: &[f64], reference: &[f64]) -> Option<Ratio> {
    let ratios: Vec<f64> = ours.iter().zip(reference).map(|(ours, reference)| ours / reference).collect();
    Some(Ratio {
        median: median(&ratios)?,
        least: ratios.iter().copied().reduce(f64::min)?,
        most: ratios.iter().copied().reduce(f64::max)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_quantiles() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 1.0), Some(3.0));
        assert_eq!(quantile(&[10.0, 20.0], 0.99), Some(19.9));
    }

    #[test]
    fn ratios_pair_the_rounds() {
        let ratio = ratio(&[2.0, 30.0, 400.0], &[1.0, 10.0, 100.0]).expect("rounds");
        assert_eq!(ratio, Ratio { median: 3.0, least: 2.0, most: 4.0 });
    }
}
