//! A scenario as the Rust source of a test, laid out as rustfmt would.

use std::fmt::Write;

use super::Scenario;
use super::part::Part;

/// A piece of Rust.
#[derive(Debug)]
pub(super) enum Source {
    /// A number or a name.
    Word(String),
    /// `Pick(3)`.
    Call(String, Vec<Self>),
    /// `Reset { who: PairPick(1, 2) }`.
    Fields(String, Vec<(&'static str, Self)>),
    /// `vec![…]`.
    List(Vec<Self>),
}

/// The longest line that rustfmt leaves alone.
const MAX_WIDTH: usize = 100;

/// The longest fields of a struct that it leaves in one line.
const MAX_FIELDS: usize = 18;

/// The longest list that it leaves in one line.
const MAX_LIST: usize = 60;

impl Source {
    pub(super) fn word(word: impl Into<String>) -> Self {
        Self::Word(word.into())
    }

    /// Returns it in one line, if that is how it is written.
    fn short(&self) -> Option<String> {
        match self {
            Self::Word(word) => Some(word.clone()),
            Self::Call(name, parts) => Some(format!("{name}({})", join(parts.iter())?)),
            Self::Fields(name, fields) => {
                let fields: Option<Vec<_>> = fields
                    .iter()
                    .map(|(field, value)| Some(format!("{field}: {}", value.short()?)))
                    .collect();
                let fields = fields?.join(", ");
                (fields.len() <= MAX_FIELDS).then(|| format!("{name} {{ {fields} }}"))
            }
            Self::List(items) => {
                let items = join(items.iter())?;
                (items.len() <= MAX_LIST).then(|| format!("vec![{items}]"))
            }
        }
    }

    /// Writes it behind what the line holds already, and `after` behind it.
    fn write(&self, indent: usize, before: usize, after: &str, out: &mut String) {
        let inner = indent + 4;
        if let Some(short) = self.short()
            && before + short.len() + after.len() <= MAX_WIDTH
        {
            out.push_str(&short);
            out.push_str(after);
            return;
        }
        match self {
            Self::Word(word) => out.push_str(word),
            Self::Call(name, parts) => {
                let _ = write!(out, "{name}(");
                for part in parts {
                    part.write(indent, before + name.len() + 1, "", out);
                }
                out.push(')');
            }
            Self::Fields(name, fields) => {
                let _ = writeln!(out, "{name} {{");
                for (field, value) in fields {
                    let _ = write!(out, "{:inner$}{field}: ", "");
                    value.write(inner, inner + field.len() + 2, ",\n", out);
                }
                let _ = write!(out, "{:indent$}}}", "");
            }
            Self::List(items) => {
                out.push_str("vec![\n");
                for item in items {
                    let _ = write!(out, "{:inner$}", "");
                    item.write(inner, inner, ",\n", out);
                }
                let _ = write!(out, "{:indent$}]", "");
            }
        }
        out.push_str(after);
    }
}

fn join<'a>(parts: impl Iterator<Item = &'a Source>) -> Option<String> {
    let parts: Option<Vec<_>> = parts.map(Source::short).collect();
    Some(parts?.join(", "))
}

impl Scenario {
    /// Returns it as a test in Rust, for a file of tests of a crate that depends on `rs2p-sim`.
    ///
    /// `name` is the test's name, a Rust identifier; `check` are statements that run and judge the variable `scenario`.
    /// Neither is looked at.
    pub fn to_rust(&self, name: &str, check: &str) -> String {
        let mut out = format!("#[test]\nfn {name}() {{\n    use rs2p_sim::*;\n\n");
        let start = "    let scenario = ";
        out.push_str(start);
        self.source().write(4, start.len(), ";\n", &mut out);
        for line in check.lines() {
            let _ = writeln!(out, "    {line}");
        }
        out.push_str("}\n");
        out
    }
}
