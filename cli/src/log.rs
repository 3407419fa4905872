//! What `-v` shows: the events of the crates below, one line each, on standard error.
//!
//! A subscriber of our own, as there are no spans, no filters and no formats to choose:
//! the usual one would bring a dozen crates for these lines.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::view::Cleaned;

#[derive(Debug)]
struct Log {
    level: Level,
    /// Whether the crates of others are of interest too.
    takes_all: bool,
    start: Instant,
}

/// Shows events from now on, as many as there are `v`s in `-vvv`. Errors are always shown.
pub(crate) fn start(verbose: u8) {
    let log = Log {
        level: match verbose {
            0 => Level::ERROR,
            1 => Level::DEBUG,
            2.. => Level::TRACE,
        },
        takes_all: verbose > 2,
        start: Instant::now(),
    };
    // It fails if there is a subscriber already, and nobody else sets one.
    let _ = tracing::subscriber::set_global_default(log);
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level && (self.takes_all || metadata.target().starts_with("rs2p"))
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = format!(
            "{:9.3} {:5} {}: {}{}\n",
            self.start.elapsed().as_secs_f64(),
            metadata.level(),
            metadata.target(),
            Cleaned(&fields.message),
            Cleaned(&fields.others),
        );
        // Nobody is left to tell if this fails. One write, so that lines of two threads do not mix.
        let _ = io::stderr().write_all(line.as_bytes());
    }

    // There are no spans in the crates below; those of others are not shown.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.others, " {}={value:?}", field.name())
        };
    }
}
