//! Two instruments for tests of whole networks, of which nothing is left without their features: marks tell which
//! branches a run reached, and sabotage plants a bug that a test has to notice.

/// Notes that a branch was reached: `reached!(self, Mark::DialTimedOut)`; or that it was in a certain way:
/// `reached!(self, Mark::FramesCoalesced if !bytes.is_empty())`.
#[cfg(feature = "marks")]
macro_rules! reached {
    ($on:expr, Mark::$mark:ident $(($($by:expr),*))? $(if $condition:expr)?) => {
        if true $(&& $condition)? {
            $on.marks.insert(crate::Mark::$mark $(($($by),*))?);
        }
    };
}

#[cfg(not(feature = "marks"))]
macro_rules! reached {
    ($on:expr, Mark::$mark:ident $($rest:tt)*) => {{}};
}

/// Whether a bug is planted: `sabotaged!(config, Sabotage::NoRelay)`. Without the feature, the constant `false`.
///
/// Or the value that it leads to: `sabotaged!(config, Sabotage::BookUnbounded => usize::MAX, else config.max_addresses)`.
#[cfg(feature = "sabotage")]
macro_rules! sabotaged {
    ($config:expr, Sabotage::$bug:ident) => {
        $config.sabotage == Some(crate::Sabotage::$bug)
    };
    ($config:expr, Sabotage::$bug:ident => $wrong:expr, else $right:expr) => {
        if sabotaged!($config, Sabotage::$bug) {
            $wrong
        } else {
            $right
        }
    };
}

#[cfg(not(feature = "sabotage"))]
macro_rules! sabotaged {
    ($config:expr, Sabotage::$bug:ident) => {
        false
    };
    ($config:expr, Sabotage::$bug:ident => $wrong:expr, else $right:expr) => {
        $right
    };
}

/// Declares an enum whose variants can be listed, and have a name and a line that says what they are: their doc comment.
#[cfg(any(feature = "marks", feature = "sabotage"))]
macro_rules! listed {
    (
        $(#[$attribute:meta])*
        pub enum $Enum:ident {
            $(#[doc = $about:literal] $Variant:ident,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $Enum {
            $(#[doc = $about] $Variant,)+
        }

        impl $Enum {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$Variant),+];

            /// Returns the name of the variant.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$Variant => stringify!($Variant),)+
                }
            }

            /// Returns the one of this name, as a command line gives it.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }

            /// Returns one line that says what it is.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$Variant => $about.trim_ascii(),)+
                }
            }
        }

        impl std::fmt::Display for $Enum {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
