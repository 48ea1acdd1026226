//! The terminal while something is drawn on all of it, and as it was before afterwards.

use anyhow::Context as _;
use nix::sys::{
    signal::{self, Signal},
    termios::{self, LocalFlags, SetArg, SpecialCharacterIndices, Termios},
};
use std::{
    fs::File,
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::fd::AsFd as _,
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};
use tokio::sync::mpsc;

/// To a page of its own, without a cursor and without going on in the next line.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l\u{1b}[2J";
const LEAVE: &str = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l";
/// Whether the page of its own is shown, for who panics.
static ENTERED: AtomicBool = AtomicBool::new(false);

/// A terminal that is drawn on. Dropping it puts everything back, also while panicking.
pub struct Terminal {
    screen: File,
    /// Where keys come from, and its modes before; none where that is no terminal.
    keyboard: Option<(File, Termios)>,
}

impl Terminal {
    /// Draws on standard output, and takes keys from standard input if that is a terminal too.
    pub fn enter() -> anyhow::Result<Self> {
        let screen = File::from(io::stdout().as_fd().try_clone_to_owned().context("no standard output")?);
        let keyboard = match io::stdin().is_terminal() {
            true => Some(File::from(io::stdin().as_fd().try_clone_to_owned().context("no standard input")?)),
            false => None,
        };
        Self::on(screen, keyboard)
    }

    fn on(screen: File, keyboard: Option<File>) -> anyhow::Result<Self> {
        let modes = |keyboard: File| {
            let modes = termios::tcgetattr(&keyboard).context("cannot read the modes of the terminal")?;
            anyhow::Ok((keyboard, modes))
        };
        let mut terminal = Self { screen, keyboard: keyboard.map(modes).transpose()? };
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                // What is said on a page that vanishes nobody reads.
                if ENTERED.swap(false, Ordering::Relaxed) {
                    let _ = io::stdout().write_all(LEAVE.as_bytes());
                    let _ = io::stdout().flush();
                }
                before(panic);
            }));
        });
        terminal.take()?;
        Ok(terminal)
    }

    fn take(&mut self) -> anyhow::Result<()> {
        if let Some((keyboard, before)) = &self.keyboard {
            let mut modes = before.clone();
            modes.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG);
            for (index, value) in [(SpecialCharacterIndices::VMIN, 1), (SpecialCharacterIndices::VTIME, 0)] {
                if let Some(character) = modes.control_chars.get_mut(index as usize) {
                    *character = value;
                }
            }
            termios::tcsetattr(keyboard, SetArg::TCSANOW, &modes)
                .context("cannot set the modes of the terminal")?;
        }
        ENTERED.store(true, Ordering::Relaxed);
        self.screen.write_all(ENTER.as_bytes())?;
        Ok(())
    }

    fn give_back(&mut self) {
        if ENTERED.swap(false, Ordering::Relaxed) {
            // A terminal that is gone needs nothing.
            let _ = self.screen.write_all(LEAVE.as_bytes());
        }
        if let Some((keyboard, before)) = &self.keyboard {
            let _ = termios::tcsetattr(keyboard, SetArg::TCSANOW, before);
        }
    }

    /// Lines from the top, each in place of what was there.
    pub fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let mut text = String::from("\u{1b}[H");
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                text.push_str("\r\n");
            }
            text.push_str(line);
            text.push_str("\u{1b}[K");
        }
        text.push_str("\u{1b}[J");
        self.screen.write_all(text.as_bytes())
    }

    /// Stops this process as Ctrl-Z does, and goes on when it is continued.
    pub fn suspend(&mut self) -> anyhow::Result<()> {
        self.give_back();
        signal::raise(Signal::SIGTSTP).context("cannot stop")?;
        self.take()
    }

    /// Bytes as they are typed; the channel ends when there is nobody to type.
    pub fn keys(&self) -> mpsc::Receiver<u8> {
        let (out, keys) = mpsc::channel(16);
        let keyboard = self.keyboard.as_ref().and_then(|(keyboard, _)| keyboard.try_clone().ok());
        if let Some(mut keyboard) = keyboard {
            // It waits for a key when the program ends, and ends with it.
            thread::spawn(move || {
                let mut byte = [0];
                while keyboard.read_exact(&mut byte).is_ok() && out.blocking_send(byte[0]).is_ok() {}
            });
        }
        keys
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::OwnedFd;

    #[test]
    fn a_crash_leaves_the_terminal_as_it_was() {
        let pair = nix::pty::openpty(None, None).unwrap();
        let mut master = File::from(pair.master);
        let slave: OwnedFd = pair.slave;
        let modes = || termios::tcgetattr(&slave).unwrap().local_flags;
        let before = modes();
        let own = || File::from(slave.try_clone().unwrap());
        let mut terminal = Terminal::on(own(), Some(own())).unwrap();
        assert!(!modes().intersects(LocalFlags::ECHO | LocalFlags::ISIG));
        terminal.draw(&["one".to_owned(), "two".to_owned()]).unwrap();
        let crashed = thread::spawn(move || {
            let _terminal = terminal;
            std::panic::resume_unwind(Box::new("a crash"));
        });
        assert!(crashed.join().is_err());
        assert_eq!(modes(), before);
        // With nobody at the other end reading fails once all is read; before, it may come in pieces.
        drop(slave);
        let (mut shown, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(length @ 1..) = master.read(&mut piece) {
            shown.extend_from_slice(&piece[..length]);
        }
        let shown = String::from_utf8(shown).unwrap();
        // The terminal itself adds a return to each line end.
        assert_eq!(shown, format!("{ENTER}\u{1b}[Hone\u{1b}[K\r\r\ntwo\u{1b}[K\u{1b}[J{LEAVE}"));
    }
}
