//! Counters.

use crate::{Datapath, Error, LostEvents, Suppressed, maps::operation};
use ciliate_abi::{Direction, DropReason, metric_slot, watched};

/// Packets of one reason and direction since the programs were first loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricRow {
    /// `None` = forwarded.
    pub reason: Option<DropReason>,
    pub direction: ciliate_types::Direction,
    pub packets: u64,
    pub bytes: u64,
}

impl Datapath {
    /// Every counter that is not zero.
    pub fn metrics(&self) -> Result<Vec<MetricRow>, Error> {
        let reasons = std::iter::once(None).chain(DropReason::ALL.iter().copied().map(Some));
        let mut rows = Vec::new();
        for reason in reasons {
            for (kernel, direction) in [
                (Direction::Ingress, ciliate_types::Direction::Ingress),
                (Direction::Egress, ciliate_types::Direction::Egress),
            ] {
                let slot = metric_slot(reason.map_or(0, |reason| reason as u8), kernel);
                let counts = self.maps.metrics.get(&slot, 0).map_err(operation("read", "METRICS"))?;
                let packets = counts.iter().map(|m| m.packets).sum();
                let bytes = counts.iter().map(|m| m.bytes).sum();
                if packets != 0 {
                    rows.push(MetricRow { reason, direction, packets, bytes });
                }
            }
        }
        Ok(rows)
    }

    /// Events that nobody is told of.
    pub fn lost_events(&self) -> Result<LostEvents, Error> {
        let ring = self.maps.lost.get(&0, 0).map_err(operation("read", "LOST"))?.iter().sum();
        Ok(LostEvents { ring, suppressed: self.suppressed()? })
    }

    fn suppressed(&self) -> Result<Suppressed, Error> {
        let of = |kind| {
            let row = self.maps.suppressed.get(&watched::row(kind), 0);
            Ok::<u64, Error>(row.map_err(operation("read", "SUPPRESSED"))?.iter().sum())
        };
        Ok(Suppressed {
            drops: of(watched::DROPS)?,
            traces: of(watched::TRACES)?,
            verdicts: of(watched::VERDICTS)?,
        })
    }
}
