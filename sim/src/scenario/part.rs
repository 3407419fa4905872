//! What a scenario is made of, in one table: how each part is written as bytes, read again, and written as Rust.
//!
//! Numbers are written in base 128, low digits first; signed ones with their sign in the lowest bit. A choice is its
//! number in the table and then its fields. Those numbers are for ever: a scenario in an old issue has to stay what it was.

use super::source::Source;
use super::{
    Back, Bootstrap, Cut, Cutting, DialManner, Ending, Fault, Hostile, Jitter, Kind, Limits, Load,
    Manner, Net, PairPick, Pick, Scenario, Stop, Timed, Ways,
};

/// Something that a scenario is made of.
pub(super) trait Part: Sized {
    /// Adds it to the bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it from the bytes.
    fn get(input: &mut Input<'_>) -> Result<Self, Flaw>;

    /// Returns how it is written in Rust.
    fn source(&self) -> Source;
}

/// Bytes that are being read.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Why bytes are not a scenario.
#[derive(Debug)]
pub(super) struct Flaw {
    /// The byte at which that was seen.
    pub(super) at: usize,
    /// In which part: `faults[2].what`.
    pub(super) part: String,
    /// What is wrong.
    pub(super) what: String,
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns how many bytes have not been read.
    pub(super) const fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Returns an error about the byte before which the reading stands.
    pub(super) fn flaw(&self, what: impl Into<String>) -> Flaw {
        Flaw {
            at: self.at,
            part: String::new(),
            what: what.into(),
        }
    }

    /// Reads a field, and names it in the error if that fails.
    fn field<T: Part>(&mut self, name: &str) -> Result<T, Flaw> {
        T::get(self).map_err(|mut flaw| {
            let dot = if flaw.part.is_empty() || flaw.part.starts_with('[') {
                ""
            } else {
                "."
            };
            flaw.part = format!("{name}{dot}{}", flaw.part);
            flaw
        })
    }

    fn number(&mut self) -> Result<u64, Flaw> {
        let start = self.at;
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at) else {
                return Err(self.flaw("the data end here"));
            };
            let digit = u64::from(byte & 0x7f);
            if digit << shift >> shift != digit {
                break;
            }
            self.at += 1;
            number |= digit << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        self.at = start;
        Err(self.flaw("a number is longer than 64 bits"))
    }

    /// Reads a number that has to fit what it is for.
    fn fitting<T: TryFrom<u64>>(&mut self) -> Result<T, Flaw> {
        let start = self.at;
        let number = self.number()?;
        let Ok(fitting) = T::try_from(number) else {
            self.at = start;
            let bits = size_of::<T>() * 8;
            return Err(self.flaw(format!("{number} does not fit {bits} bits")));
        };
        Ok(fitting)
    }
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7f) as u8);
}

macro_rules! unsigned {
    ($($name:ident)*) => {$(
        impl Part for $name {
            fn put(&self, out: &mut Vec<u8>) {
                put_number((*self).into(), out);
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
                input.fitting()
            }

            fn source(&self) -> Source {
                Source::word(self.to_string())
            }
        }
    )*};
}

unsigned!(u8 u16 u32 u64);

impl Part for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        put_number((self << 1 ^ self >> 63).cast_unsigned(), out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        let number = input.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn source(&self) -> Source {
        Source::word(self.to_string())
    }
}

impl Part for i32 {
    fn put(&self, out: &mut Vec<u8>) {
        i64::from(*self).put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        let start = input.at;
        let number = i64::get(input)?;
        let Ok(fitting) = Self::try_from(number) else {
            input.at = start;
            return Err(input.flaw(format!("{number} does not fit 32 bits")));
        };
        Ok(fitting)
    }

    fn source(&self) -> Source {
        Source::word(self.to_string())
    }
}

impl Part for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push((*self).into());
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        match input.number()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(input.flaw(format!("{other} is neither yes (1) nor no (0)"))),
        }
    }

    fn source(&self) -> Source {
        Source::word(self.to_string())
    }
}

impl<T: Part> Part for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        Ok(if bool::get(input)? {
            Some(T::get(input)?)
        } else {
            None
        })
    }

    fn source(&self) -> Source {
        self.as_ref().map_or_else(
            || Source::word("None"),
            |value| Source::Call("Some".to_owned(), vec![value.source()]),
        )
    }
}

impl<T: Part> Part for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_number(self.len() as u64, out);
        for item in self {
            item.put(out);
        }
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        let count = input.number()?;
        // Each item takes a byte or more.
        if count > input.rest() as u64 {
            return Err(input.flaw(format!("{count} items do not fit what follows")));
        }
        (0..count).map(|n| input.field(&format!("[{n}]"))).collect()
    }

    fn source(&self) -> Source {
        Source::List(self.iter().map(T::source).collect())
    }
}

macro_rules! record {
    ($name:ident $(<$t:ident>)? { $($field:ident)* }) => {
        impl$(<$t: Part>)? Part for $name$(<$t>)? {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($field.put(out);)*
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
                Ok(Self { $($field: input.field(stringify!($field))?),* })
            }

            fn source(&self) -> Source {
                let fields = vec![$((stringify!($field), self.$field.source())),*];
                Source::Fields(stringify!($name).to_owned(), fields)
            }
        }
    };
}

/// As [`record`], for what mostly is as usual, and then is one byte long.
macro_rules! usual_record {
    ($name:ident { $($field:ident)* }) => {
        impl Part for $name {
            fn put(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                let differs = *self != Self::default();
                differs.put(out);
                if differs {
                    $($field.put(out);)*
                }
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
                if !bool::get(input)? {
                    return Ok(Self::default());
                }
                Ok(Self { $($field: input.field(stringify!($field))?),* })
            }

            fn source(&self) -> Source {
                if *self == Self::default() {
                    return Source::word(concat!(stringify!($name), "::default()"));
                }
                let fields = vec![$((stringify!($field), self.$field.source())),*];
                Source::Fields(stringify!($name).to_owned(), fields)
            }
        }
    };
}

macro_rules! choice {
    ($name:ident { $($number:literal $variant:ident $({ $($field:ident)* })? $(($inner:ident))?,)* }) => {
        impl Part for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant $({ $($field),* })? $(($inner))? => {
                        put_number($number, out);
                        $($($field.put(out);)*)?
                        $($inner.put(out);)?
                    })*
                }
            }

            fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
                let start = input.at;
                match input.number()? {
                    $($number => Ok(Self::$variant
                        $({ $($field: input.field(stringify!($field))?),* })?
                        $(({ let $inner = Part::get(input)?; $inner }))?
                    ),)*
                    other => {
                        input.at = start;
                        Err(input.flaw(format!("there is no {} with number {other}", stringify!($name))))
                    }
                }
            }

            fn source(&self) -> Source {
                match self {
                    $(Self::$variant $({ $($field),* })? $(($inner))? => {
                        let name = concat!(stringify!($name), "::", stringify!($variant));
                        $(return Source::Fields(
                            name.to_owned(),
                            vec![$((stringify!($field), $field.source())),*],
                        );)?
                        $(return Source::Call(name.to_owned(), vec![$inner.source()]);)?
                        #[allow(unreachable_code, reason = "only a choice without fields comes here")]
                        Source::word(name)
                    })*
                }
            }
        }
    };
}

record!(Scenario { seed nodes kinds net bootstrap limits load faults ending });
record!(Timed<T> { at_ms lasts_ms what });
usual_record!(Net {
    latency_us spread_ppm jitter jitter_us bandwidth window cutting lateness_us drift_ppm skew_s
});
usual_record!(Limits { log_kib log_count log_age_s queue_kib dialed links addresses });
choice!(Kind { 0 Mesh, 1 Py2p, 2 Js2p, });
choice!(Jitter { 0 None, 1 Uniform, 2 Exponential, 3 Bimodal, });
choice!(Cutting { 0 Whole, 1 Segments, 2 Anywhere, 3 Together, });
choice!(Bootstrap { 0 One, 1 Few, 2 Chain, 3 Random, });
choice!(Load {
    0 Publish { by count len equal },
    1 Send { pair len },
});
choice!(Fault {
    0 Split { cut ways live dial },
    1 Stop { node kind back },
    2 Late { node },
    3 Pause { node },
    4 Clock { node ppm step_ms },
    5 Slow { who bytes_per_s },
    6 Delay { who ms },
    7 Stall { who },
    8 Drip { who },
    9 Flip { who bits },
    10 Reset { who },
    11 HalfOpen { who },
    12 DialFails { who how },
    13 Hostile { node kind },
});
choice!(Cut {
    0 Halves,
    1 Isolate(node),
    2 Bridge(node),
    3 Ring,
    4 Parts(count),
    5 Swizzle,
    6 Flapping(each_ms),
});
choice!(Ways { 0 Both, 1 Forth, 2 Back, });
choice!(Manner { 0 Freeze, 1 Reset, 2 Silent, });
choice!(DialManner { 0 Refused, 1 Silent, 2 Dropped, });
choice!(Stop { 0 Leave, 1 Crash, 2 PowerLoss, });
choice!(Back { 0 Restored, 1 Outdated, 2 New, 3 Moved, });
choice!(Hostile {
    0 Garbage, 1 Oversize, 2 Replay, 3 Flood, 4 Slowloris, 5 NeverReads, 6 Dials,
});
choice!(Ending { 0 Heal, 1 Core(percent), });

impl Part for Pick {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        Ok(Self(u16::get(input)?))
    }

    fn source(&self) -> Source {
        Source::Call("Pick".to_owned(), vec![self.0.source()])
    }
}

impl Part for PairPick {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut Input<'_>) -> Result<Self, Flaw> {
        Ok(Self(u16::get(input)?, u16::get(input)?))
    }

    fn source(&self) -> Source {
        let parts = vec![self.0.source(), self.1.source()];
        Source::Call("PairPick".to_owned(), parts)
    }
}
