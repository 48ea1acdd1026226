//! Aligned columns, with cells and headers of several lines.

use super::page::{Page, Tone};

/// A table before it is laid out.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    title: Vec<String>,
    fit: Fit,
}

/// What happens to a column when the terminal is too narrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Rigid,
    /// Its lines are broken, nothing is cut off.
    Wraps,
}

/// Lines below each other in one field of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    lines: Vec<String>,
    tone: Tone,
}

impl Cell {
    /// One line for each item, such as labels.
    pub fn lines<I: IntoIterator<Item = S>, S: ToString>(lines: I) -> Self {
        Self { lines: lines.into_iter().map(|line| line.to_string()).collect(), tone: Tone::Plain }
    }

    pub fn toned(text: impl ToString, tone: Tone) -> Self {
        Self { lines: vec![text.to_string()], tone }
    }

    /// Empty where there is nothing.
    pub fn optional<T: ToString>(value: Option<T>) -> Self {
        value.map_or_else(Self::default, |value| Self::from(value.to_string()))
    }

    fn line(&self, at: usize) -> &str {
        self.lines.get(at).map_or("", String::as_str)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { lines: vec![text], tone: Tone::Plain }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

/// Builds a row from anything that prints.
#[macro_export]
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::output::IntoCell::cell($cell)),*] };
}

/// What may stand in a row.
pub trait IntoCell {
    fn cell(self) -> Cell;
}

impl IntoCell for Cell {
    fn cell(self) -> Cell {
        self
    }
}

macro_rules! printed {
    ($($kind:ty),* $(,)?) => { $(impl IntoCell for $kind {
        fn cell(self) -> Cell { Cell::from(self.to_string()) }
    })* };
}
printed!(&str, String, &String, u16, u32, u64, usize);

/// Blanks between columns.
const GAP: usize = 3;
/// The least width of a column with its gap, as in Cilium's tables.
const LEAST: usize = 5;
/// A wrapping column is never made narrower than this.
const NARROWEST: usize = 16;

impl Table {
    /// A title may have several lines.
    pub fn new(titles: &[&str]) -> Self {
        Self::named(titles.iter().map(ToString::to_string))
    }

    pub fn named(titles: impl IntoIterator<Item = String>) -> Self {
        let lines = |title: String| title.split('\n').map(str::to_owned).collect();
        let columns = titles.into_iter().map(|title| Column { title: lines(title), fit: Fit::Rigid });
        Self { columns: columns.collect(), rows: Vec::new() }
    }

    /// Lets columns of this title give way on narrow terminals.
    #[must_use]
    pub fn wrap(mut self, title: &str) -> Self {
        for column in self.columns.iter_mut().filter(|c| c.title.first().is_some_and(|t| t == title)) {
            column.fit = Fit::Wraps;
        }
        self
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    pub fn render(&self, page: &Page) -> String {
        let mut rows = Vec::new();
        if page.headers {
            let cells = self.columns.iter().map(|c| Cell { lines: c.title.clone(), tone: Tone::Title });
            rows.push(cells.collect::<Vec<_>>());
        }
        rows.extend(self.rows.iter().cloned());
        let mut widths = self.widths(&rows);
        if let Some(width) = page.width {
            self.narrow(&mut rows, &mut widths, width);
        }
        let mut text = String::new();
        for row in &rows {
            let height = row.iter().map(|cell| cell.lines.len()).max().unwrap_or(0).max(1);
            for at in 0..height {
                let mut line = String::new();
                let mut blanks = 0_usize;
                for (cell, width) in row.iter().zip(&widths) {
                    let content = cell.line(at);
                    let length = content.chars().count();
                    if length > 0 {
                        line.push_str(&" ".repeat(blanks));
                        blanks = 0;
                        line.push_str(&page.paint(content, cell.tone));
                    }
                    blanks =
                        blanks.saturating_add(width.saturating_add(GAP).max(LEAST).saturating_sub(length));
                }
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }

    fn widths(&self, rows: &[Vec<Cell>]) -> Vec<usize> {
        let longest = |cell: &Cell| cell.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0);
        let column = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(longest).max().unwrap_or(0);
        (0..self.columns.len()).map(column).collect()
    }

    /// Breaks the lines of wrapping columns until a row fits the terminal, where that is possible.
    fn narrow(&self, rows: &mut [Vec<Cell>], widths: &mut [usize], terminal: usize) {
        let gaps = GAP.saturating_mul(self.columns.len().saturating_sub(1));
        for (at, column) in self.columns.iter().enumerate().filter(|(_, c)| c.fit == Fit::Wraps) {
            let total = widths.iter().sum::<usize>().saturating_add(gaps);
            let Some(width) = widths.get_mut(at).filter(|_| total > terminal) else { continue };
            let titled = column.title.iter().map(|line| line.len()).max().unwrap_or(0);
            let least = NARROWEST.max(titled).min(*width);
            *width = width.saturating_sub(total.saturating_sub(terminal)).max(least);
            for cell in rows.iter_mut().filter_map(|row| row.get_mut(at)) {
                cell.lines = cell.lines.iter().flat_map(|line| break_line(line, *width)).collect();
            }
        }
    }
}

/// Pieces of at most `width` characters, broken at blanks where there are any.
fn break_line(line: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest: Vec<char> = line.chars().collect();
    while rest.len() > width {
        let blank = rest.iter().take(width.saturating_add(1)).rposition(|c| *c == ' ').filter(|at| *at > 0);
        let tail = rest.split_off(blank.unwrap_or(width));
        pieces.push(rest.iter().collect::<String>().trim_end().to_owned());
        rest = tail.into_iter().skip(usize::from(blank.is_some())).collect();
    }
    pieces.push(rest.into_iter().collect());
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        Table::new(&["ID\nNUMBER", "LABELS", "IPv6", "STATUS"]).wrap("LABELS").rows([
            row!(65_u16, Cell::lines(["k8s:class=tiefighter", "k8s:org=empire"]), "", "ready"),
            row!(7_u16, Cell::default(), "fd00::1", Cell::toned("not-ready", Tone::Bad)),
        ])
    }

    #[test]
    fn cells_of_several_lines_stand_below_each_other() {
        let expected = "\
ID       LABELS                 IPv6      STATUS
NUMBER
65       k8s:class=tiefighter             ready
         k8s:org=empire
7                               fd00::1   not-ready
";
        assert_eq!(sample().render(&Page::plain()), expected);
    }

    #[test]
    fn no_headers_leaves_the_rows() {
        let page = Page { headers: false, ..Page::plain() };
        let expected = "65   x\n7\n";
        let table = Table::new(&["ID", "LABELS"]).rows([row!(65_u16, "x"), row!(7_u16, "")]);
        assert_eq!(table.render(&page), expected);
    }

    #[test]
    fn a_narrow_terminal_breaks_lines_and_loses_nothing() {
        let page = Page { width: Some(48), ..Page::plain() };
        let expected = "\
ID       LABELS              IPv6      STATUS
NUMBER
65       k8s:class=tiefigh             ready
         ter
         k8s:org=empire
7                            fd00::1   not-ready
";
        assert_eq!(sample().render(&page), expected);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let page = Page { colour: true, headers: false, ..Page::plain() };
        let table = Table::new(&["A", "B"]).rows([row!(Cell::toned("x", Tone::Good), "y")]);
        assert_eq!(table.render(&page), "\u{1b}[32mx\u{1b}[0m    y\n");
    }

    #[test]
    fn long_words_and_sentences_break() {
        assert_eq!(break_line("one two three", 7), ["one two", "three"]);
        assert_eq!(break_line("abcdefgh", 3), ["abc", "def", "gh"]);
    }
}
