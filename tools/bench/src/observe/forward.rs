//! What packets notice of the observer: the same with and without it, in turns.

use super::Args;
use crate::{
    compare::{Metric, Ready},
    lab::{Family, ciliate},
    report::Row,
    statistics,
};
use anyhow::{Context, Result};

pub fn measure(args: &Args) -> Result<Vec<Row>> {
    let ready = |name: &str, flags: &[&str]| {
        Ready::over(ciliate::set_up_with(name, &args.work, ciliate::Load::OnePolicy, flags)?)
    };
    let (on, off) = (ready("seen", &[])?, ready("unseen", &["--enable-hubble", "false"])?);
    let mut rows = Vec::new();
    for metric in Metric::ALL {
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..args.rounds {
            let turns = match round % 2 {
                0 => [(&on, &mut with), (&off, &mut without)],
                _ => [(&off, &mut without), (&on, &mut with)],
            };
            for (ready, values) in turns {
                values.push(ready.measure(metric, Family::Ipv4, args.seconds.min(2.0))?);
            }
        }
        let ratio = statistics::ratio(&with, &without).context("no rounds")?;
        let median = |values: &[f64]| statistics::median(values).context("no rounds");
        let text = format!(
            "{:.2} ({:.2}-{:.2}); {:.1} with, {:.1} without",
            ratio.median,
            ratio.least,
            ratio.most,
            median(&with)?,
            median(&without)?
        );
        rows.push(Row {
            must: Some(">= 0.97".to_owned()),
            values: with.iter().zip(&without).map(|(with, without)| with / without).collect(),
            ..Row::text(&format!("{metric:?} with the observer, to without"), &text)
        });
        eprintln!("measured {metric:?}: {text}");
    }
    Ok(rows)
}
