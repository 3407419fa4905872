//! Where what is made goes.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::exit::Failure;

/// Writes text to standard output.
pub(super) fn show(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::output(&error))
}

/// Writes text to a file, or to standard output if that is `-`.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    if path.as_os_str() == "-" {
        return show(text);
    }
    let written = fs::write(path, text);
    written.map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display())))
}

/// Returns something counted: `1 node`, `2 nodes`.
pub(super) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}
