//! `ciliate top` on terminals of several sizes, and in a pipe.

use super::{Server, ciliate, done, lines, text};
use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use serde_json::Value;
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::Child,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use vt100::Parser;

const PATIENCE: Duration = Duration::from_secs(20);

/// A terminal with the program on it.
struct Session {
    child: Child,
    master: File,
    terminal: OwnedFd,
    parser: Arc<Mutex<Parser>>,
    modes: LocalFlags,
}

impl Session {
    fn start(server: &Server, (columns, rows): (u16, u16), arguments: &[&str]) -> Self {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a terminal");
        let terminal = || pair.slave.try_clone().expect("a descriptor");
        let modes = tcgetattr(&pair.slave).expect("modes").local_flags;
        let child = ciliate()
            .args(["top", "--server", &server.address(), "--interval", "1s"])
            .args(arguments)
            .env_remove("NO_COLOR")
            .env("TERM", "xterm")
            .stdin(terminal())
            .stdout(terminal())
            .stderr(terminal())
            .spawn()
            .expect("the binary runs");
        let parser = Arc::new(Mutex::new(Parser::new(rows, columns, 0)));
        let master = File::from(pair.master);
        let (mut shown, screen) = (master.try_clone().expect("a descriptor"), Arc::clone(&parser));
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length) = shown.read(&mut bytes) {
                screen.lock().expect("nobody panicked").process(bytes.get(..length).expect("as many"));
            }
        });
        Self { child, master, terminal: terminal(), parser, modes }
    }

    fn screen(&self) -> vt100::Screen {
        self.parser.lock().expect("nobody panicked").screen().clone()
    }

    /// The picture, once it is as wanted.
    fn until(&self, what: &str, mut wanted: impl FnMut(&vt100::Screen) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen.contents();
            }
            assert!(begun.elapsed() < PATIENCE, "{what} was not shown:\n{}", screen.contents());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn until_says(&self, text: &str) -> String {
        self.until(text, |screen| screen.contents().contains(text))
    }

    fn press(&mut self, keys: &[u8]) {
        self.master.write_all(keys).expect("the terminal takes keys");
    }

    /// Waits for the end, after which the terminal has to be as it was.
    fn ends(mut self) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(begun.elapsed() < PATIENCE, "it has not ended:\n{}", self.screen().contents());
            thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "{status}: {}", self.screen().contents());
        self.until("the page of before", |screen| !screen.alternate_screen() && !screen.hide_cursor());
        assert_eq!(tcgetattr(&self.terminal).expect("modes").local_flags, self.modes);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_shows_each_view_and_is_as_before_in_the_end() {
    let server = Server::start();
    let mut session = Session::start(&server, (110, 16), &["--color", "always"]);
    let talkers = session.until_says("demo/curl");
    assert!(session.screen().alternate_screen() && session.screen().hide_cursor());
    assert!(talkers.starts_with("talkers   unix://"), "{talkers}");
    assert!(talkers.contains("FLOWS/S↓  FLOWS  DROPPED"), "{talkers}");
    assert!(talkers.contains("LOST"), "{talkers}");
    assert!(talkers.ends_with("q quit  tab,1-5 view  s sort  r reverse  p pause"), "{talkers}");
    // The line of drops is red.
    let row = (0..16)
        .find(|row| session.screen().rows(0, 110).nth(*row).is_some_and(|line| line.contains("443/TCP")));
    let cell = session
        .screen()
        .cell(u16::try_from(row.expect("a row")).expect("small"), 10)
        .expect("a cell")
        .fgcolor();
    assert_eq!(cell, vt100::Color::Idx(1));
    session.press(b"2");
    assert!(session.until_says("Policy denied").contains("drops "));
    session.press(b"3");
    session.until_says("CiliumNetworkPolicy demo/deny-all");
    session.press(b"\t");
    session.until_says("api.example.com");
    session.press(b"5");
    session.until_says("web/v1");
    session.press(b"s");
    session.until_says("REQUESTS↓");
    session.press(b"r");
    session.until_says("REQUESTS↑");
    session.press(b"p");
    session.until_says("held: p goes on");
    session.press(b"q");
    session.ends();
}

#[test]
fn a_narrow_terminal_without_colours_is_enough() {
    let server = Server::start();
    let mut session =
        Session::start(&server, (30, 8), &["drops", "--color", "never", "--verdict", "DROPPED"]);
    let shown = session.until_says("dem…");
    assert!(shown.lines().count() <= 8, "{shown}");
    let screen = session.screen();
    let tinted = (0..8).flat_map(|row| (0..30).map(move |column| (row, column)));
    let plain = |cell: &vt100::Cell| cell.fgcolor() == vt100::Color::Default && !cell.bold();
    assert!(tinted.filter_map(|(row, column)| screen.cell(row, column)).all(plain));
    session.press(&[3]);
    session.ends();
}

#[test]
fn a_signal_ends_it_like_a_key() {
    let server = Server::start();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let session = Session::start(&server, (80, 10), &["--color", "never"]);
        session.until_says("demo/curl");
        let child = Pid::from_raw(i32::try_from(session.child.id()).expect("a number"));
        kill(child, signal).expect("it is there");
        session.ends();
    }
}

#[test]
fn programs_ask_once() {
    let server = Server::start();
    let top = |arguments: &[&str]| {
        done(ciliate().args(["top", "--server", &server.address(), "--once"]).args(arguments))
    };
    // What was, at once; with the filters of `observe`.
    let drops = top(&["drops", "--since", "2025-01-01", "-o", "json", "--from-pod", "demo/curl"]);
    let json: Value = serde_json::from_str(lines(&drops)[0]).expect("JSON");
    assert_eq!(json["rows"].as_array().expect("rows").len(), 1, "{json}");
    let row = &json["rows"][0];
    assert_eq!((&row["reason"], &row["drops"]), (&"Policy denied".into(), &1.into()), "{json}");
    assert_eq!((&json["lost"], &json["view"]), (&3.into(), &"drops".into()));
    assert!(server.last_mask().contains(&"drop_reason_desc".to_owned()));
    // What comes, in an interval, without any escape.
    let table = top(&["dns", "--interval", "1s"]);
    let shown = lines(&table);
    assert!(shown[1].starts_with("QUERIES/S↓") && shown[2].ends_with("api.example.com  A"), "{shown:?}");
    assert!(!text(&table.stdout).contains('\u{1b}'));
    let wrong = top(&["drops", "--sort", "queries"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(
        text(&wrong.stderr).contains("\"queries\" is no column of drops: write one of rate, drops, last")
    );
}
