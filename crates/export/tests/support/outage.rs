//! What every receiver has to survive, and what may be lost then.

use super::{
    place::{Place, until},
    receiver::Receiver,
};
use ciliate_export::Sources;
use std::{collections::BTreeSet, fs, path::Path};

/// One receiver and one exporter with a buffer for 500 flows.
pub struct Case<'a> {
    pub folder: &'a Path,
    pub receiver: Receiver,
    pub config: &'a str,
    /// Seconds of the flows that the receiver has, each once.
    pub read: &'a dyn Fn() -> BTreeSet<u64>,
}

/// Flows before, during and after two outages, the second one too long for the buffer.
pub fn survives(Case { folder, mut receiver, config, read }: Case<'_>) {
    let file = folder.join("flowlogs.yaml");
    fs::write(&file, config).unwrap();
    receiver.start();
    let mut place = Place::new(10_000);
    let service = place.start(Sources { fixed: None, file: Some(file) });
    let report = || service.reports().report().exporters.remove(0);
    place.see(0..400);
    until("flows arrive", || read().len() == 400 && report().buffered == 0);

    receiver.stop();
    place.see(400..700);
    until("the outage is noticed", || report().up == 0 && report().buffered == 300);
    receiver.start();
    until("what waited arrives", || read() == (0..700).collect() && report().buffered == 0);
    assert_eq!(report().lost.map(|(_, count)| count), [0, 0, 0]);

    receiver.stop();
    place.see(700..1500);
    until("the buffer is full", || report().lost[0].1 == 300);
    receiver.start();
    until("what there was room for arrives", || read() == (0..1200).collect() && report().buffered == 0);
    place.see(1500..1600);
    until("it goes on", || read() == (0..1200).chain(1500..1600).collect() && report().buffered == 0);
    assert_eq!(report().lost.map(|(_, count)| count), [300, 0, 0]);
    assert_eq!(report().exported, 1300);
    drop(service);
    receiver.stop();
}
