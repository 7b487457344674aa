//! The one line that tells how far a job is: rewritten in place on a terminal, else written where it differs.

use std::io::{IsTerminal, Stderr, Write, stderr};

/// The line, and where it is written.
pub struct Line<W> {
    out: W,
    in_place: bool,
    shown: String,
}

impl Line<Stderr> {
    /// On standard error: what is piped on is the result alone.
    #[must_use]
    pub fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        Self { out: stderr(), in_place: stderr().is_terminal() && !is_dumb, shown: String::new() }
    }
}

impl<W: Write> Line<W> {
    /// It is rewritten, so it may have times in it.
    #[must_use]
    pub const fn is_in_place(&self) -> bool {
        self.in_place
    }

    /// Shows `text`. `key` differs where something happened.
    pub fn show(&mut self, key: &str, text: &str) {
        if self.in_place {
            // a terminal that does not wrap cuts off what it has no room for; one that would could not take it back
            self.write(&format!("\r\x1b[?7l{text}\x1b[K\x1b[?7h"));
        } else if self.shown != key {
            self.write(&format!("{text}\n"));
        }
        key.clone_into(&mut self.shown);
    }

    /// Says something that stays, once.
    pub fn say(&mut self, text: &str) {
        self.clear();
        self.write(&format!("{text}\n"));
    }

    /// Takes the line away, for what follows.
    pub fn clear(&mut self) {
        if self.in_place {
            self.write("\r\x1b[K");
        }
    }

    /// Who closes standard error does not want to know.
    fn write(&mut self, text: &str) {
        drop(self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(in_place: bool) -> String {
        let mut line = Line { out: vec![], in_place, shown: String::new() };
        line.show("a", "a 1s");
        line.show("a", "a 2s");
        line.show("b", "b 3s");
        line.say("word");
        line.show("b", "b 4s");
        line.clear();
        String::from_utf8(line.out).unwrap()
    }

    #[test]
    fn a_terminal_has_one_line() {
        let terminal = written(true);
        assert_eq!(terminal.matches('\n').count(), 1, "{terminal:?}");
        let shown: Vec<&str> = terminal.split('\r').collect();
        assert_eq!(shown[2], "\x1b[?7la 2s\x1b[K\x1b[?7h");
        assert_eq!(shown[4..], ["\x1b[Kword\n", "\x1b[?7lb 4s\x1b[K\x1b[?7h", "\x1b[K"]);
    }

    #[test]
    fn a_file_has_a_line_for_each_change() {
        assert_eq!(written(false), "a 1s\nb 3s\nword\n");
    }
}
