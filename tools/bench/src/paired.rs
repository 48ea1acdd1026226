//! Measurements in rounds: every way once in each, and ours beside the better reference of the same round.

use crate::{
    report::Row,
    statistics::{self, Ratio},
};
use anyhow::{Context, Result};
use std::{collections::BTreeMap, fmt::Debug};

/// A number of each round.
pub type Series<W> = BTreeMap<W, Vec<f64>>;

/// Every way once in each round, each round beginning with another one.
pub fn in_turns<W: Copy + Debug>(
    rounds: usize,
    ways: &[W],
    mut measure: impl FnMut(W) -> Result<()>,
) -> Result<()> {
    for round in 0..rounds {
        let first = round.checked_rem(ways.len()).unwrap_or(0);
        for way in ways.iter().cycle().skip(first).take(ways.len()) {
            measure(*way).with_context(|| format!("{way:?}"))?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Better {
    More,
    Less,
}

/// What is measured, and what it is measured against.
pub struct Compared<W: 'static> {
    pub ours: W,
    pub references: &'static [W],
}

impl<W: Ord + Debug> Compared<W> {
    /// Medians of all ways, and ours to the better reference of each round.
    pub fn row(
        &self,
        what: &str,
        unit: &str,
        scale: f64,
        series: &Series<W>,
        better: Better,
        must: Option<&str>,
    ) -> Row {
        let medians: Vec<String> = series
            .iter()
            .filter_map(|(way, values)| Some(format!("{way:?} {:.1}", statistics::median(values)? / scale)))
            .collect();
        let references: Vec<&Vec<f64>> = self.references.iter().filter_map(|way| series.get(way)).collect();
        let best =
            references.iter().skip(1).fold(references.first().map(|first| (*first).clone()), |best, next| {
                let pick = |(a, b): (&f64, &f64)| if better == Better::More { a.max(*b) } else { a.min(*b) };
                best.map(|best| best.iter().zip(*next).map(pick).collect())
            });
        let ratio = series.get(&self.ours).zip(best).and_then(|(ours, best)| statistics::ratio(ours, &best));
        let ratio = ratio.map_or_else(String::new, |ratio| format!("; to the better one {}", shown(&ratio)));
        finished(what, &format!("{} {unit}{ratio}", medians.join(", ")), series, must)
    }
}

pub fn finished<W>(what: &str, measured: &str, series: &Series<W>, must: Option<&str>) -> Row {
    Row {
        must: must.map(str::to_owned),
        values: series.values().flatten().copied().collect(),
        ..Row::text(what, measured)
    }
}

pub fn shown(Ratio { median, least, most }: &Ratio) -> String {
    format!("{median:.2} ({least:.2}-{most:.2})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_stands_beside_the_better_reference_of_each_round() {
        let compared = Compared { ours: "C", references: &["N", "H"] };
        let series = Series::from([
            ("N", vec![10.0, 40.0, 10.0]),
            ("H", vec![20.0, 20.0, 20.0]),
            ("C", vec![30.0, 40.0, 40.0]),
        ]);
        let text = |better| compared.row("", "k/s", 1.0, &series, better, None).measured;
        assert_eq!(
            text(Better::More),
            r#""C" 40.0, "H" 20.0, "N" 10.0 k/s; to the better one 1.50 (1.00-2.00)"#
        );
        assert!(text(Better::Less).ends_with("3.00 (2.00-4.00)"));
    }
}
