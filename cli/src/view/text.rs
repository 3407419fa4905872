//! Text of strangers, made fit to be shown.

use std::fmt::{self, Display, Write as _};

use rs2p_smol::NodeId;

/// How much of a node id is shown to a person: enough to tell the nodes of a network apart.
pub(crate) const SHORT_ID_LEN: usize = 8;

/// Returns the start of a node's id.
pub(crate) fn short(id: &NodeId) -> String {
    let start: String = id.as_str().chars().take(SHORT_ID_LEN).collect();
    Cleaned(&start).to_string()
}

/// Shows a text without what a terminal would obey: control characters, and those that reverse the
/// direction of what follows. They are shown as `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cleaned<'a>(pub(crate) &'a str);

impl Display for Cleaned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\t' => f.write_char('\t')?,
                c if is_obeyed(c) => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        let table = [
            ("plain é 火 🔥", "plain é 火 🔥"),
            ("tab\there", "tab\there"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("bell\x07 \u{9b}31m", "bell\\u{7} \\u{9b}31m"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("over\rwritten", "over\\u{d}written"),
        ];
        for (text, expected) in table {
            assert_eq!(Cleaned(text).to_string(), expected);
        }
    }

    #[test]
    fn a_short_id_is_clean_too() {
        let id = NodeId::new("\x1b[2J5678").unwrap();
        assert_eq!(short(&id), "\\u{1b}[2J5678");
        assert_eq!(short(&NodeId::new("123456789").unwrap()), "12345678");
        assert_eq!(short(&NodeId::new("é").unwrap()), "é");
    }
}
