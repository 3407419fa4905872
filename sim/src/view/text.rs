//! How strings are made safe for the format that they go into, and how numbers are written for people.

use std::fmt::Write as _;

use crate::report::Unit;
use crate::time::Time;

/// Makes a string safe inside an element or a quoted attribute of HTML and SVG. Control characters, which neither may
/// contain, become a mark.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// Makes a string safe between the quotes of a JSON or a DOT string.
pub(super) fn json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => safe.push_str("\\\""),
            '\\' => safe.push_str("\\\\"),
            '\n' => safe.push_str("\\n"),
            c if c.is_control() => {
                // Writing to a string does not fail.
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Makes a string safe inside the quotes of a DOT string. DOT has no code for control characters, so they become a mark.
pub(super) fn dot(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// Makes a string safe as the words of a Mermaid message: one line, without what ends or comments a statement.
pub(super) fn mermaid(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ';' => safe.push_str("#59;"),
            '#' => safe.push_str("#35;"),
            '<' => safe.push_str("#lt;"),
            '>' => safe.push_str("#gt;"),
            '%' => safe.push_str("#37;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

/// Makes a string one line: what would end or bend it becomes a visible escape.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

/// Cuts a string to so many characters, the last of them `…` if something is missing.
pub(super) fn short(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        None => text.to_owned(),
        Some(_) => {
            let kept = text.chars().take(chars.saturating_sub(1));
            kept.chain(['…']).collect()
        }
    }
}

/// Adds blanks until a string is so many characters wide: after it, or before.
pub(super) fn pad(text: &str, width: usize, before: bool) -> String {
    let blanks = " ".repeat(width.saturating_sub(text.chars().count()));
    if before {
        blanks + text
    } else {
        text.to_owned() + &blanks
    }
}

/// Writes a count with a comma every three digits: `1,234,567`.
pub(super) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes `value / scale` with so many decimals, rounded to the nearest, without zeros at the end.
pub(super) fn decimal(value: u64, scale: u64, decimals: u32) -> String {
    let parts = 10_u128.pow(decimals);
    let scaled = (u128::from(value) * parts + u128::from(scale) / 2) / u128::from(scale);
    let whole = u64::try_from(scaled / parts).unwrap_or(u64::MAX);
    let width = decimals as usize;
    let rest = format!("{:0width$}", scaled % parts);
    let rest = rest.trim_end_matches('0');
    if rest.is_empty() {
        count(whole)
    } else {
        format!("{}.{rest}", count(whole))
    }
}

/// Writes a number with its unit as people read it: `12.3 ms`, `4.5 KiB`, `99.98 %`.
pub(super) fn human(value: u64, unit: Unit) -> String {
    match unit {
        Unit::Count => count(value),
        Unit::Bytes => bytes(value),
        Unit::Micros => micros(value),
        // All four decimals: one in a million is not nothing, and 99.9999 % is not all.
        Unit::Ppm => format!("{} %", decimal(value, 10_000, 4)),
        Unit::Milli => decimal(value, 1000, 3),
    }
}

fn bytes(value: u64) -> String {
    match value {
        0..1024 => format!("{value} B"),
        1024..0x10_0000 => format!("{} KiB", decimal(value, 1 << 10, 1)),
        0x10_0000..0x4000_0000 => format!("{} MiB", decimal(value, 1 << 20, 1)),
        _ => format!("{} GiB", decimal(value, 1 << 30, 1)),
    }
}

fn micros(value: u64) -> String {
    match value {
        0..1000 => format!("{value} µs"),
        1000..1_000_000 => format!("{} ms", decimal(value, 1000, 1)),
        _ => format!("{} s", decimal(value, 1_000_000, 2)),
    }
}

/// Writes how long after the first moment the second is.
pub(super) fn delay(from: Time, to: Time) -> String {
    micros(to.as_nanos().saturating_sub(from.as_nanos()) / 1000)
}

/// Names a node as all views do: `n3`.
pub(super) fn node(node: u32) -> String {
    format!("n{node}")
}

/// Names nodes, in a row.
pub(super) fn nodes(nodes: &[u32]) -> String {
    let names: Vec<String> = nodes.iter().map(|one| node(*one)).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_with_units_and_never_rounded_to_all_or_nothing() {
        let cases = [
            (0, Unit::Count, "0"),
            (999, Unit::Count, "999"),
            (1_234_567, Unit::Count, "1,234,567"),
            (1023, Unit::Bytes, "1023 B"),
            (1536, Unit::Bytes, "1.5 KiB"),
            (3 << 20, Unit::Bytes, "3 MiB"),
            (5 << 30, Unit::Bytes, "5 GiB"),
            (999, Unit::Micros, "999 µs"),
            (12_345, Unit::Micros, "12.3 ms"),
            (1_234_567, Unit::Micros, "1.23 s"),
            (1_000_000, Unit::Ppm, "100 %"),
            (999_999, Unit::Ppm, "99.9999 %"),
            (1, Unit::Ppm, "0.0001 %"),
            (1005, Unit::Milli, "1.005"),
            (u64::MAX, Unit::Count, "18,446,744,073,709,551,615"),
        ];
        for (value, unit, text) in cases {
            assert_eq!(human(value, unit), text);
        }
    }

    #[test]
    fn strings_are_safe_where_they_go() {
        let evil = "<a href=\"x\">&'\u{1}\n\\";
        assert_eq!(
            html(evil),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{fffd}\n\\"
        );
        assert_eq!(json(evil), "<a href=\\\"x\\\">&'\\u0001\\n\\\\");
        assert_eq!(dot(evil), "<a href=\\\"x\\\">&'  \\\\");
        assert_eq!(one_line("a\nb\u{1b}"), "a\\nb\\u{1b}");
        assert_eq!(mermaid("a;b#\nc"), "a#59;b#35; c");
        assert_eq!(short("äöüß", 3), "äö…");
        assert_eq!(short("äöü", 3), "äöü");
    }
}
