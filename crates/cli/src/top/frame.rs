//! One picture: the rows of a view in their order, cut to the terminal, or as JSON.

use super::{
    board::Board,
    tally::Tally,
    view::{Column, View},
};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

/// Between two columns.
const GAP: usize = 2;
/// What is left at least of a column of names before a column of numbers goes.
const LEGIBLE: usize = 12;
/// What is left of it in the narrowest terminal.
const LEAST: usize = 4;

/// Which column rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Among the columns of the view.
    pub column: usize,
    pub order: Order,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    LargestFirst,
    SmallestFirst,
}

impl Order {
    pub const fn turned(self) -> Self {
        match self {
            Self::LargestFirst => Self::SmallestFirst,
            Self::SmallestFirst => Self::LargestFirst,
        }
    }
}

/// What is drawn and on what.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    pub board: &'a Board,
    pub view: View,
    pub sort: Sort,
    /// Columns and lines of the terminal; none where there is none.
    pub size: Option<(usize, usize)>,
    /// Most rows that are wanted.
    pub rows: usize,
    pub colour: bool,
    /// Whom the flows come from.
    pub server: &'a str,
    /// Seconds that the rates are about.
    pub seconds: f64,
    /// Below the rows, if there is room: what keys do.
    pub footer: &'a str,
}

type Row<'a> = (Vec<String>, &'a Tally);

impl Frame<'_> {
    fn ordered(&self) -> Vec<Row<'_>> {
        let mut rows = self.board.rows(self.view);
        let columns = self.view.columns();
        let by = |column: &Column, a: &Row<'_>, b: &Row<'_>| {
            let order = (column.value)(b.1).partial_cmp(&(column.value)(a.1)).unwrap_or(Ordering::Equal);
            match self.sort.order {
                Order::LargestFirst => order,
                Order::SmallestFirst => order.reverse(),
            }
        };
        rows.sort_by(|a, b| {
            let first = columns.get(self.sort.column).map_or(Ordering::Equal, |column| by(column, a, b));
            let totals = || b.1.events.cmp(&a.1.events);
            first.then_with(totals).then_with(|| a.0.cmp(&b.0))
        });
        rows.truncate(self.rows);
        rows
    }

    /// For programs: one object, whose fields stay.
    pub fn json(&self) -> Value {
        let rows: Vec<Value> = self.ordered().into_iter().map(|row| self.row_json(&row)).collect();
        json!({
            "view": self.view.name(),
            "seconds": self.seconds,
            "flows": self.board.flows,
            "rate": self.board.rate,
            "lost": self.board.lost,
            "rows": rows,
        })
    }

    fn row_json(&self, (key, tally): &Row<'_>) -> Value {
        let names = self.view.keys().iter().zip(key);
        let mut fields: Map<String, Value> =
            names.map(|(name, text)| (name.to_lowercase(), text.as_str().into())).collect();
        for column in self.view.columns() {
            let value = (column.value)(tally);
            // Counts stay whole.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked: it is whole"
            )]
            let value = if value.fract() == 0.0 && (0.0..1e15).contains(&value) {
                Value::from(value as u64)
            } else {
                Value::from(value)
            };
            fields.insert(column.name.to_owned(), value);
        }
        Value::Object(fields)
    }

    /// For people: no line is wider than the terminal, and there are no more than it has.
    pub fn lines(&self) -> Vec<String> {
        let rows = self.ordered();
        let (width, height) = match self.size {
            Some((width, height)) => (width.max(1), height.max(1)),
            None => (usize::MAX, usize::MAX),
        };
        let header = format!(
            "{}   {}   {:.1} flows/s   {} flows{}",
            self.view.name(),
            self.server,
            self.board.rate,
            crate::observe::print::grouped(self.board.flows),
            match self.board.lost {
                0 => String::new(),
                lost => format!("   {} LOST", crate::observe::print::grouped(lost)),
            },
        );
        let footer = usize::from(!self.footer.is_empty() && height > 4);
        let room = height.saturating_sub(2).saturating_sub(footer);
        let shown = rows.get(..room.min(rows.len())).unwrap_or_default();
        let mut lines = vec![cut(&header, width)];
        if height > 1 {
            lines.extend(self.table(shown, width));
        }
        if footer == 1 {
            // At the bottom, so that it stays where it is.
            if self.size.is_some() {
                lines.resize(height.saturating_sub(1), String::new());
            }
            lines.push(self.paint(&cut(self.footer, width), "2"));
        }
        lines
    }

    fn table(&self, rows: &[Row<'_>], width: usize) -> Vec<String> {
        let columns = self.view.columns();
        let mut numbers: Vec<Cells> = columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let mark = match (at == self.sort.column, self.sort.order) {
                    (false, _) => "",
                    (true, Order::LargestFirst) => "↓",
                    (true, Order::SmallestFirst) => "↑",
                };
                let texts = rows.iter().map(|(_, tally)| column.kind.text((column.value)(tally)));
                Cells::new(format!("{}{mark}", column.title), texts)
            })
            .collect();
        let mut names: Vec<Cells> = self
            .view
            .keys()
            .iter()
            .enumerate()
            .map(|(at, title)| {
                let texts = rows.iter().map(|(key, _)| key.get(at).cloned().unwrap_or_default());
                Cells::new((*title).to_owned(), texts)
            })
            .collect();
        // The last numbers go first, but not what rows are ordered by.
        let mut sorted = self.sort.column;
        let legible: usize = names.iter().map(|cells| cells.width.min(LEGIBLE)).sum();
        while numbers.len() > 1 && total(&numbers, &names, legible) > width {
            let last = numbers.len().saturating_sub(1);
            if sorted == last {
                numbers.remove(last.saturating_sub(1));
                sorted = sorted.saturating_sub(1);
            } else {
                numbers.pop();
            }
        }
        let all = |names: &[Cells]| names.iter().map(|cells| cells.width).sum::<usize>();
        while total(&numbers, &names, all(&names)) > width {
            let Some(widest) = names.iter_mut().max_by_key(|cells| cells.width) else { break };
            if widest.width <= LEAST {
                break;
            }
            widest.width = widest.width.saturating_sub(1);
        }
        let line = |at: Option<usize>| {
            let numbers = numbers
                .iter()
                .map(|cells| (cells.text(at), cells.width))
                .map(|(text, width)| format!("{text:>width$}"));
            let names = names
                .iter()
                .map(|cells| (cut(cells.text(at), cells.width), cells.width))
                .map(|(text, width)| format!("{text:<width$}"));
            let cells: Vec<String> = numbers.chain(names).collect();
            cut(cells.join(&" ".repeat(GAP)).trim_end(), width)
        };
        let titles = self.paint(&line(None), "1");
        let denied = |tally: &Tally| tally.dropped > 0 || tally.broken > 0;
        let body = rows.iter().enumerate().map(|(at, (_, tally))| match denied(tally) {
            true => self.paint(&line(Some(at)), "31"),
            false => line(Some(at)),
        });
        std::iter::once(titles).chain(body).collect()
    }

    fn paint(&self, text: &str, code: &str) -> String {
        match self.colour && !text.is_empty() {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// A column with its title.
struct Cells {
    title: String,
    texts: Vec<String>,
    width: usize,
}

impl Cells {
    fn new(title: String, texts: impl Iterator<Item = String>) -> Self {
        let texts: Vec<String> = texts.collect();
        let longest = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0);
        let width = longest.max(title.chars().count());
        Self { title, texts, width }
    }

    /// The title where no row is named.
    fn text(&self, row: Option<usize>) -> &str {
        match row {
            None => &self.title,
            Some(row) => self.texts.get(row).map_or("", String::as_str),
        }
    }
}

/// Width of all columns, where names take so much.
fn total(numbers: &[Cells], names: &[Cells], named: usize) -> usize {
    let gaps = numbers.len().saturating_add(names.len()).saturating_sub(1).saturating_mul(GAP);
    numbers.iter().map(|cells| cells.width).sum::<usize>().saturating_add(gaps).saturating_add(named)
}

/// Its first letters; where some are missing, it says so.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    if width == 0 { String::new() } else { format!("{kept}…") }
}

#[cfg(test)]
mod tests;
