//! Where a scenario comes from: a line, a file, or a seed.

use std::fs;
use std::io::{self, Read as _};

use rs2p_sim::Scenario;

use crate::exit::Failure;

/// How much of what was given is repeated in an error, in characters.
const SHOWN: usize = 40;

/// Returns the scenario that a command line names.
pub(super) fn scenario(text: &str) -> Result<Scenario, Failure> {
    let trimmed = text.trim();
    if let Ok(seed) = trimmed.parse() {
        return Ok(Scenario::from_seed(seed));
    }
    if trimmed.starts_with('{') || is_line(trimmed) {
        return parse(trimmed, "this");
    }
    if trimmed == "-" {
        let mut content = String::new();
        let read = io::stdin().read_to_string(&mut content);
        read.map_err(|error| {
            Failure::cannot_start(format!("cannot read standard input: {error}"))
        })?;
        return parse(&content, "standard input");
    }
    let content = fs::read_to_string(text).map_err(|error| {
        let shown: String = text.chars().take(SHOWN).collect();
        let cut = if shown.len() < text.len() { "..." } else { "" };
        Failure::cannot_start(format!(
            "{shown}{cut} is no line that begins with rs2p-sim:, no seed, and no file that can be read: {error}"
        ))
    })?;
    parse(&content, text)
}

fn is_line(text: &str) -> bool {
    let start = text.get(.."rs2p-sim:".len());
    start.is_some_and(|start| start.eq_ignore_ascii_case("rs2p-sim:"))
}

fn parse(text: &str, place: &str) -> Result<Scenario, Failure> {
    let parsed = text.trim().parse();
    parsed.map_err(|error| Failure::cannot_start(format!("{place} is no scenario: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        scenario(text).expect_err(text).into_reason()
    }

    #[test]
    fn a_scenario_is_a_line_or_json_or_a_seed() {
        let expected = Scenario::from_seed(7);
        for text in ["7", &expected.to_line(), &expected.to_json()] {
            assert_eq!(scenario(text), Ok(expected.clone()));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason() {
        let line = Scenario::from_seed(7).to_line();
        let table = [
            (&line[..line.len() - 1], "are missing"),
            (&line.replacen(":1:", ":9:", 1), "version 9"),
            (&line.replacen(":1:", ":1:0", 1), "the"),
            ("rs2p-sim:1", "four parts"),
            ("{", "not the JSON of a scenario"),
            (
                "no-such-file.json",
                "no file that can be read: No such file",
            ),
            ("-7", "no seed"),
        ];
        for (text, expected) in table {
            let error = error(text);
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
