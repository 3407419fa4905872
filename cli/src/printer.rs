//! Writes what there is to show, by a thread of its own: a reader of our output that is slow, or
//! stands still, must not hold up the signals.

use std::cell::RefCell;
use std::io::{self, BufWriter, Write};
use std::thread;
use std::time::Duration;

use smol::Timer;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

/// How many pieces wait to be written before whoever prints has to wait.
const WAITING: usize = 256;

/// How long the last pieces may take to be written when the command ends.
const FINISH_LIMIT: Duration = Duration::from_secs(2);

/// Something to write, with the ends of its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// On standard output: what a program after us in a pipe is to read.
    Out(String),
    /// On standard error: for the person.
    Err(String),
}

/// Standard output cannot be written to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputGone;

/// Standard output and standard error, in the order of what is printed.
#[derive(Debug)]
pub(crate) struct Printer {
    pieces: Sender<Piece>,
    outcome: Receiver<io::Result<()>>,
    /// The outcome, once it was taken.
    failure: RefCell<Option<io::Error>>,
}

impl Printer {
    pub(crate) fn start() -> io::Result<Self> {
        let (pieces, to_write) = bounded(WAITING);
        let (report, outcome) = bounded(1);
        let write = move || {
            let outcome = write_all(to_write, io::stdout(), io::stderr());
            // If nobody waits for it, the process has ended.
            let _ = report.send_blocking(outcome);
        };
        thread::Builder::new().name("stdout".into()).spawn(write)?;
        Ok(Self {
            pieces,
            outcome,
            failure: RefCell::new(None),
        })
    }

    /// Hands a piece over, when there is room for it.
    pub(crate) async fn print(&self, piece: Piece) -> Result<(), OutputGone> {
        self.pieces.send(piece).await.map_err(|_closed| OutputGone)
    }

    /// Hands a piece over if there is room for it, else drops it.
    pub(crate) fn print_if_room(&self, piece: Piece) {
        // Whoever does not read does not miss it.
        let _ = self.pieces.try_send(piece);
    }

    /// Waits until standard output cannot be written to any more, which is found only by writing.
    pub(crate) async fn gone(&self) -> OutputGone {
        if let Ok(Err(error)) = self.outcome.recv().await {
            self.failure.replace(Some(error));
        }
        OutputGone
    }

    /// Waits until all is written, but not for ever.
    pub(crate) async fn finish(self) -> io::Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        drop(self.pieces);
        let written = async { self.outcome.recv().await.unwrap_or(Ok(())) };
        let given_up = async {
            Timer::after(FINISH_LIMIT).await;
            Err(io::Error::new(io::ErrorKind::TimedOut, "nobody reads it"))
        };
        or(written, given_up).await
    }
}

/// Writes until the pieces end, and flushes whenever none waits.
fn write_all(pieces: Receiver<Piece>, out: impl Write, mut err: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    while let Ok(piece) = pieces.recv_blocking() {
        match piece {
            Piece::Out(text) => out.write_all(text.as_bytes())?,
            Piece::Err(text) => {
                out.flush()?;
                // A person who has closed it does not want to know.
                let _ = err.write_all(text.as_bytes());
            }
        }
        if pieces.is_empty() {
            out.flush()?;
        }
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_written_in_order_and_to_their_places() {
        let (sender, receiver) = bounded(8);
        for piece in [
            Piece::Out("1\n".into()),
            Piece::Err("2\n".into()),
            Piece::Out("3\n".into()),
        ] {
            sender.send_blocking(piece).unwrap();
        }
        drop(sender);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        write_all(receiver, &mut out, &mut err).unwrap();
        assert_eq!((&out[..], &err[..]), (&b"1\n3\n"[..], &b"2\n"[..]));
    }

    #[test]
    fn an_output_that_fails_ends_the_printing() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (sender, receiver) = bounded(8);
        sender.send_blocking(Piece::Out("1\n".into())).unwrap();
        let error = write_all(receiver, Full, Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(sender.send_blocking(Piece::Out("2\n".into())).is_err());
    }
}
