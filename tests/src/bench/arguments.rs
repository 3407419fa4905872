//! What a benchmark is told at the command line.

use std::slice::Iter;
use std::str::FromStr;

/// The arguments that are left.
#[derive(Debug)]
pub struct Arguments<'a>(Iter<'a, &'a str>);

impl<'a> Arguments<'a> {
    /// Takes all of them.
    pub fn new(arguments: &'a [&'a str]) -> Self {
        Self(arguments.iter())
    }

    /// Returns the value of an option: the next argument.
    ///
    /// # Errors
    ///
    /// There is none, or it is not of this kind.
    pub fn value<T: FromStr>(&mut self, option: &str) -> Result<T, String> {
        let text = self.text(option)?;
        parse(option, text)
    }

    /// Returns the values of an option: the next argument, with commas between them.
    ///
    /// # Errors
    ///
    /// There is none, or one is not of this kind.
    pub fn values<T: FromStr>(&mut self, option: &str) -> Result<Vec<T>, String> {
        let text = self.text(option)?;
        text.split(',').map(|text| parse(option, text)).collect()
    }

    fn text(&mut self, option: &str) -> Result<&'a str, String> {
        self.next().ok_or_else(|| format!("{option} needs a value"))
    }
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.0.next().copied()
    }
}

fn parse<T: FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_error| format!("{option} cannot be {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_values_and_what_is_wrong_is_named() {
        let given = ["--nodes", "2,10", "smol", "--rounds", "many", "--seconds"];
        let mut arguments = Arguments::new(&given);
        assert_eq!(arguments.next(), Some("--nodes"));
        assert_eq!(arguments.values("--nodes"), Ok(vec![2, 10]));
        assert_eq!(arguments.next(), Some("smol"));
        assert_eq!(arguments.next(), Some("--rounds"));
        let wrong = "--rounds cannot be \"many\"".to_owned();
        assert_eq!(arguments.value::<usize>("--rounds"), Err(wrong));
        assert_eq!(arguments.next(), Some("--seconds"));
        let missing = "--seconds needs a value".to_owned();
        assert_eq!(arguments.value::<u64>("--seconds"), Err(missing));
    }
}
