//! Lines of standard input, read by a thread of their own: a terminal or a pipe can keep a reader
//! waiting for ever.

use std::io::{self, BufRead, IsTerminal as _};
use std::thread;

use smol::channel::{Receiver, bounded};

/// How many lines are read ahead. What is behind them waits where it comes from.
const READ_AHEAD: usize = 16;

/// What is read from standard input.
#[derive(Debug)]
pub(crate) enum Line {
    /// A line, without its end.
    Text(String),
    /// A line that is not UTF-8.
    Bytes(Vec<u8>),
    /// A line that nobody could send. It was passed over.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Reading failed; nothing follows.
    Broken(io::Error),
}

/// Standard input.
#[derive(Debug)]
pub(crate) struct Input {
    lines: Receiver<Line>,
    /// Whether a person types there.
    pub(crate) is_terminal: bool,
}

impl Input {
    /// Begins to read. Lines of more than `limit` bytes are only counted.
    pub(crate) fn open(limit: usize) -> io::Result<Self> {
        let (sender, lines) = bounded(READ_AHEAD);
        let read = move || {
            let take = |line| sender.send_blocking(line).is_ok();
            read_lines(io::stdin().lock(), limit, take);
        };
        // Never joined: it may sit in a read that does not return, and ends with the process.
        thread::Builder::new().name("stdin".into()).spawn(read)?;
        Ok(Self {
            lines,
            is_terminal: io::stdin().is_terminal(),
        })
    }

    /// Waits for the next line; `None` at the end of input.
    pub(crate) async fn next(&self) -> Option<Line> {
        self.lines.recv().await.ok()
    }

    /// Returns how many lines were read and not taken yet.
    pub(crate) fn waiting(&self) -> usize {
        self.lines.len()
    }
}

/// Reads lines up to the end, or until `take` returns false. Holds no more than `limit` bytes.
fn read_lines(mut from: impl BufRead, limit: usize, mut take: impl FnMut(Line) -> bool) {
    let mut line = Partial::default();
    loop {
        let chunk = match from.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                take(Line::Broken(error));
                return;
            }
        };
        if chunk.is_empty() {
            if line.len > 0 {
                take(line.finish(limit));
            }
            return;
        }
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(chunk.len(), |end| end + 1);
        line.extend(&chunk[..end.unwrap_or(used)], limit);
        from.consume(used);
        if end.is_some() && !take(line.finish(limit)) {
            return;
        }
    }
}

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    len: usize,
}

impl Partial {
    fn extend(&mut self, bytes: &[u8], limit: usize) {
        self.len += bytes.len();
        // One more for a carriage return at the end, which does not count.
        if self.len <= limit + 1 {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Returns the line, and begins the next.
    fn finish(&mut self, limit: usize) -> Line {
        let Self { mut bytes, mut len } = std::mem::take(self);
        if bytes.len() == len && bytes.last() == Some(&b'\r') {
            bytes.pop();
            len -= 1;
        }
        if len > limit {
            return Line::TooLong { len };
        }
        String::from_utf8(bytes).map_or_else(|error| Line::Bytes(error.into_bytes()), Line::Text)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Read};

    use super::*;

    fn read(input: &[u8], limit: usize, chunk: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let from = BufReader::with_capacity(chunk, input);
        read_lines(from, limit, |line| {
            lines.push(match line {
                Line::Text(text) => text,
                Line::Bytes(bytes) => format!("{bytes:?}"),
                Line::TooLong { len } => format!("{len} bytes"),
                Line::Broken(error) => format!("broken: {error}"),
            });
            true
        });
        lines
    }

    #[test]
    fn lines_are_read_however_they_come() {
        let table: [(&str, &[u8], &[&str]); 8] = [
            ("nothing", b"", &[]),
            ("one line", b"fire\n", &["fire"]),
            ("no end of line", b"a\nb", &["a", "b"]),
            ("an empty line", b"a\n\nb\n", &["a", "", "b"]),
            ("from Windows", b"a\r\n\r\nb\r\n", &["a", "", "b"]),
            ("not UTF-8", b"\xff\n", &["[255]"]),
            (
                "at the limit",
                b"12345678\r\n1234567\n",
                &["12345678", "1234567"],
            ),
            (
                "over the limit",
                b"a\n123456789\nb\n",
                &["a", "9 bytes", "b"],
            ),
        ];
        for (why, input, expected) in table {
            for chunk in [1, 3, 100] {
                assert_eq!(
                    read(input, 8, chunk),
                    expected,
                    "{why}, in pieces of {chunk}"
                );
            }
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_memory_than_the_limit() {
        let mut line = Partial::default();
        for _ in 0..1000 {
            line.extend(&[b'x'; 1000], 4096);
        }
        assert!(
            line.bytes.capacity() <= 3 * 4096,
            "{}",
            line.bytes.capacity()
        );
        assert!(matches!(
            line.finish(4096),
            Line::TooLong { len: 1_000_000 }
        ));
    }

    #[test]
    fn a_reader_that_breaks_is_told_of() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        let mut lines = Vec::new();
        read_lines(BufReader::new(Broken), 8, |line| {
            lines.push(line);
            true
        });
        assert!(matches!(&lines[..], [Line::Broken(error)] if error.to_string() == "gone"));
    }
}
