//! How the command ends.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The status of a process that was told twice to end, as shells write it for `SIGINT`.
pub(crate) const INTERRUPTED: i32 = 130;

/// Why a command did not do what it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: Kind,
    reason: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    /// It was tried, and failed.
    Failed,
    /// It could not be tried.
    CannotStart,
    /// It was done, and what it found has a status of its own.
    Found(u8),
    /// Whoever read our output has gone. That is how a pipe ends, and no failure.
    OutputClosed,
}

impl Failure {
    /// It was tried, and failed: status 1.
    pub(crate) fn failed(reason: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Failed,
            reason: reason.to_string(),
        }
    }

    /// It cannot even be tried, as it was asked for: status 2.
    pub(crate) fn cannot_start(reason: impl fmt::Display) -> Self {
        Self {
            kind: Kind::CannotStart,
            reason: reason.to_string(),
        }
    }

    /// It was done, and what it found has this status.
    pub(crate) fn found(status: u8, reason: impl fmt::Display) -> Self {
        Self {
            kind: Kind::Found(status),
            reason: reason.to_string(),
        }
    }

    /// Returns why.
    pub(crate) fn into_reason(self) -> String {
        self.reason
    }

    /// Standard output could not be written to: status 1, or 0 and silence if its reader has left.
    pub(crate) fn output(error: &io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe {
            Kind::OutputClosed
        } else {
            Kind::Failed
        };
        Self {
            kind,
            reason: format!("cannot write to standard output: {error}"),
        }
    }
}

/// Tells the reason of a failure on standard error, and returns the status to exit with.
pub(crate) fn code(done: Result<(), Failure>) -> ExitCode {
    let Err(failure) = done else {
        return ExitCode::SUCCESS;
    };
    let code = match failure.kind {
        Kind::Failed => 1,
        Kind::CannotStart => 2,
        Kind::Found(status) => status,
        Kind::OutputClosed => return ExitCode::SUCCESS,
    };
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "rs2p: {}", failure.reason);
    ExitCode::from(code)
}
