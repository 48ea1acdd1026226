//! Flows from a file or a pipe instead of a server, one JSON object a line.

use super::select::Selection;
use anyhow::Context as _;
use ciliate_flow::{Filter, Flow, Mask, Time};
use ciliate_hubble::{
    Timestamp, flow as hubble,
    observer::{GetFlowsResponse, get_flows_response::ResponseTypes},
};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

/// The file, or standard input for `-`.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path.as_os_str() == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("--input-file: cannot open {}", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

/// What a line came to.
pub enum Line {
    Answer(Box<GetFlowsResponse>),
    /// It is none, and why.
    Mistake(String),
}

/// Gives what a server would answer, in the order of the lines.
///
/// # Errors
/// Where lines cannot be read, or not one of them is a flow.
pub fn read(
    lines: &mut dyn BufRead,
    filter: &Filter,
    selection: &Selection,
    mut give: impl FnMut(Line) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let most = usize::try_from(selection.number).unwrap_or(usize::MAX);
    let limited = selection.number > 0;
    let (mut last, mut given) = (VecDeque::new(), 0_usize);
    let (mut good, mut bad) = (0_usize, 0_usize);
    for (number, line) in lines.lines().enumerate() {
        let line = line.context("cannot read the flows")?;
        if line.trim().is_empty() {
            continue;
        }
        let (answer, flow) = match answer(&line) {
            Ok(found) => found,
            Err(error) => {
                bad = bad.saturating_add(1);
                let number = number.saturating_add(1);
                give(Line::Mistake(format!("line {number} is no flow in JSON: {error:#}")))?;
                continue;
            }
        };
        good = good.saturating_add(1);
        if !within(selection, answer.time.as_ref()) || !filter.matches(&flow) {
            continue;
        }
        match (limited, selection.first) {
            (false, _) => give(Line::Answer(Box::new(answer)))?,
            (true, true) => {
                give(Line::Answer(Box::new(answer)))?;
                given = given.saturating_add(1);
                if given >= most {
                    return Ok(());
                }
            }
            (true, false) => {
                if last.len() >= most {
                    last.pop_front();
                }
                last.push_back(answer);
            }
        }
    }
    anyhow::ensure!(good > 0 || bad == 0, "no line of the input is a flow in JSON, as `-o json` prints them");
    last.into_iter().map(|answer| Line::Answer(Box::new(answer))).try_for_each(give)
}

/// The answer with the fields of the mask in its flow and no others.
pub fn masked(mut answer: GetFlowsResponse, mask: Option<&Mask>) -> GetFlowsResponse {
    if let (Some(ResponseTypes::Flow(flow)), Some(mask)) = (&mut answer.response_types, mask) {
        *flow = mask.apply(flow);
    }
    answer
}

fn within(selection: &Selection, time: Option<&Timestamp>) -> bool {
    let time = time.map_or(Time(0), Time::from);
    selection.since.as_ref().is_none_or(|since| time >= Time::from(since))
        && selection.until.as_ref().is_none_or(|until| time <= Time::from(until))
}

/// An answer of a server with its flow, or what older tools print: the flow alone. What is no flow passes filters as one that
/// says nothing.
fn answer(line: &str) -> anyhow::Result<(GetFlowsResponse, Flow)> {
    let answer: GetFlowsResponse = serde_json::from_str(line)?;
    let empty = hubble::Flow::default();
    match &answer.response_types {
        Some(ResponseTypes::Flow(message)) => {
            let flow = Flow::from_message(message)?;
            Ok((answer, flow))
        }
        Some(ResponseTypes::LostEvents(_) | ResponseTypes::NodeStatus(_)) => {
            Ok((answer, Flow::from_message(&empty)?))
        }
        None => {
            let message: hubble::Flow = serde_json::from_str(line)?;
            anyhow::ensure!(message != empty, "it has no field that a flow has");
            let flow = Flow::from_message(&message)?;
            let (node_name, time) = (message.node_name.clone(), message.time);
            Ok((
                GetFlowsResponse { node_name, time, response_types: Some(ResponseTypes::Flow(message)) },
                flow,
            ))
        }
    }
}
