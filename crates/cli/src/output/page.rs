//! What the output is printed on: its width and whether it may have colours.

use std::{
    env,
    io::{IsTerminal, stdout},
};

/// Where and how text will be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Columns of the terminal; none where output goes to a file or a pipe.
    pub width: Option<usize>,
    pub colour: bool,
    pub headers: bool,
    pub detail: Detail,
}

/// How much a table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    #[default]
    Usual,
    Wide,
}

/// What a piece of text means, which decides its colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Title,
    Good,
    Bad,
    Doubtful,
    Faint,
}

/// `--color`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    #[default]
    Auto,
    Always,
    Never,
}

impl Page {
    /// No width, no colours, with headers.
    pub fn plain() -> Self {
        Self { width: None, colour: false, headers: true, detail: Detail::Usual }
    }

    /// What standard output is.
    pub fn of_stdout(choice: ColourChoice) -> Self {
        let terminal = stdout().is_terminal();
        let refused = env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty())
            || env::var_os("TERM").is_some_and(|t| t == "dumb");
        let colour = match choice {
            ColourChoice::Auto => terminal && !refused,
            ColourChoice::Always => true,
            ColourChoice::Never => false,
        };
        let size = terminal.then(terminal_size::terminal_size).flatten();
        Self {
            width: size.map(|(width, _)| usize::from(width.0)).filter(|w| *w > 0),
            colour,
            headers: true,
            detail: Detail::Usual,
        }
    }

    pub fn paint(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Plain => None,
            Tone::Title => Some("1"),
            Tone::Good => Some("32"),
            Tone::Bad => Some("31"),
            Tone::Doubtful => Some("33"),
            Tone::Faint => Some("2"),
        };
        match code.filter(|_| self.colour) {
            Some(code) => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            None => text.to_owned(),
        }
    }
}
