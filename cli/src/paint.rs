//! Colours, where there is a person to see them.

use std::env;
use std::fmt::{self, Display};
use std::io::IsTerminal;

/// Whether to use colours on one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint(bool);

/// A way to show text, as the parameters of the terminal's escape sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Warning,
    Good,
    /// One of a few colours that tell names apart.
    Name(u8),
}

/// Readable on black and on white, and neither the red of warnings nor the green of success.
const NAMES: [&str; 6] = ["36", "35", "34", "33", "96", "95"];

impl Paint {
    /// No colours, whatever the environment says.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self(false);

    /// Colours if the output is a terminal that has them, and the person has not said no by
    /// `NO_COLOR` (<https://no-color.org>).
    pub(crate) fn for_output(output: &impl IsTerminal) -> Self {
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self(output.is_terminal() && !is_unwanted && !is_dumb)
    }

    /// Shows a text in a style, or as it is. A width given to the formatter is that of the text.
    pub(crate) const fn with<T: Display>(self, style: Style, text: T) -> Painted<T> {
        Painted {
            style: if self.0 { Some(style) } else { None },
            text,
        }
    }
}

impl Style {
    /// Returns the colour of a name: the same for the same text.
    pub(crate) fn of_name(name: &str) -> Self {
        let sum = name
            .bytes()
            .fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
        Self::Name(sum)
    }

    fn parameters(self) -> &'static str {
        match self {
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Warning => "31",
            Self::Good => "32",
            Self::Name(number) => NAMES[usize::from(number) % NAMES.len()],
        }
    }
}

/// A text with its style.
#[derive(Debug)]
pub(crate) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(style) = self.style else {
            return self.text.fmt(f);
        };
        write!(f, "\x1b[{}m", style.parameters())?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_width_is_that_of_the_text_not_of_its_colour() {
        assert_eq!(
            format!("{:6}|", Paint::PLAIN.with(Style::Dim, "ada")),
            "ada   |"
        );
        let colourful = Paint(true).with(Style::Dim, "ada");
        assert_eq!(format!("{colourful:6}|"), "\x1b[2mada   \x1b[0m|");
    }

    #[test]
    fn a_name_keeps_its_colour() {
        assert_eq!(Style::of_name("ada"), Style::of_name("ada"));
        for number in 0..=u8::MAX {
            assert!(!Style::Name(number).parameters().is_empty());
        }
    }
}
