//! Rows that only this comparison has.

use super::{Series, place::Way};
use crate::{paired, report::Row, statistics};

pub fn ratio_row(what: &str, series: &Series, must: Option<&str>) -> Row {
    let ratio = series.get(&Way::CiliateMany).zip(series.get(&Way::Ciliate));
    let ratio = ratio.and_then(|(many, one)| statistics::ratio(many, one));
    paired::finished(what, &ratio.map_or_else(|| "-".to_owned(), |ratio| paired::shown(&ratio)), series, must)
}

/// What each way takes longer than none, each round with itself.
pub fn added(series: &Series) -> Series {
    let direct = series.get(&Way::Direct).cloned().unwrap_or_default();
    let beyond =
        |values: &Vec<f64>| values.iter().zip(&direct).map(|(value, direct)| value - direct).collect();
    series
        .iter()
        .filter(|(way, _)| **way != Way::Direct)
        .map(|(way, values)| (*way, beyond(values)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_added_is_beyond_the_direct_way_of_the_same_round() {
        let series = Series::from([(Way::Direct, vec![1.0, 2.0]), (Way::Ciliate, vec![4.0, 4.0])]);
        assert_eq!(added(&series), Series::from([(Way::Ciliate, vec![3.0, 2.0])]));
    }
}
