//! How one value is read from text. A flag, a json file and a toml file all come through here, so that they agree.

use std::path::PathBuf;

/// A type that a key may have.
pub trait FlagValue: Sized {
    /// Stands for the value in the help text.
    const METAVAR: &'static str;
    /// What the flag means when it is typed without a value; `None`: a value must follow.
    const WITHOUT_VALUE: Option<&'static str> = None;
    /// Whether the flag may be given several times, for several values: [`FlagValue::parse`] gets them one a line then.
    const REPEATS: bool = false;
    /// Reads the value.
    ///
    /// # Errors
    /// What was expected, as it fits after "expected ".
    fn parse(text: &str) -> Result<Self, String>;
    /// The value as the help text shows it; empty when there is nothing to show.
    fn show(&self) -> String;
}

impl FlagValue for bool {
    const METAVAR: &'static str = "true|false";
    const WITHOUT_VALUE: Option<&'static str> = Some("true");

    /// The words that transformers' argument parser takes.
    fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" => Ok(true),
            "false" | "f" | "no" | "n" | "0" => Ok(false),
            _ => Err("true or false".into()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! whole_number {
    ($($type:ty, $expected:literal;)+) => {$(
        impl FlagValue for $type {
            const METAVAR: &'static str = "N";

            fn parse(text: &str) -> Result<Self, String> {
                text.parse().map_err(|_| $expected.to_string())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}
whole_number! {
    usize, "a whole number of 0 or more";
    u64, "a whole number of 0 or more";
    i64, "a whole number";
}

macro_rules! real_number {
    ($($type:ty),+) => {$(
        impl FlagValue for $type {
            const METAVAR: &'static str = "X";

            fn parse(text: &str) -> Result<Self, String> {
                let number: Option<$type> = text.parse().ok();
                number.filter(|x| x.is_finite()).ok_or_else(|| "a finite number".to_string())
            }

            fn show(&self) -> String {
                if *self != 0.0 && self.abs() < 1e-3 { format!("{self:e}") } else { self.to_string() }
            }
        }
    )+};
}
real_number!(f32, f64);

impl FlagValue for String {
    const METAVAR: &'static str = "TEXT";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_string())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl FlagValue for PathBuf {
    const METAVAR: &'static str = "PATH";

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("a path".into()) } else { Ok(text.into()) }
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl<T: FlagValue> FlagValue for Option<T> {
    const METAVAR: &'static str = T::METAVAR;
    const WITHOUT_VALUE: Option<&'static str> = T::WITHOUT_VALUE;

    fn parse(text: &str) -> Result<Self, String> {
        T::parse(text).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map(T::show).unwrap_or_default()
    }
}

/// Makes a type with a fixed list of words a [`FlagValue`]. The first word of a value is the one that is shown.
macro_rules! choice {
    ($type:ty, $metavar:literal $(, without_value $without:literal)?; $($value:expr => $word:literal $(| $other:literal)*,)+) => {
        impl $crate::args::value::FlagValue for $type {
            const METAVAR: &'static str = $metavar;
            $(const WITHOUT_VALUE: Option<&'static str> = Some($without);)?

            fn parse(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($word $(| $other)* => Ok($value),)+
                    _ => Err(format!("one of {}", [$($word),+].join(", "))),
                }
            }

            fn show(&self) -> String {
                [$(($value, $word)),+].iter().find(|(value, _)| value == self).map(|(_, word)| *word).unwrap_or_default().into()
            }
        }
    };
}
pub(crate) use choice;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_take_the_words_of_transformers() {
        for (text, value) in [("True", true), ("1", true), ("yes", true), ("FALSE", false), ("n", false), ("0", false)]
        {
            assert_eq!(bool::parse(text), Ok(value), "{text}");
        }
        assert_eq!(bool::parse("maybe"), Err("true or false".into()));
    }

    #[test]
    fn numbers_refuse_what_is_not_one() {
        assert_eq!(f64::parse("2e-2"), Ok(0.02));
        assert!(f64::parse("nan").is_err() && f64::parse("inf").is_err() && f64::parse("2e-").is_err());
        assert!(usize::parse("-1").is_err() && usize::parse("1.5").is_err());
        assert_eq!(5e-5_f64.show(), "5e-5");
    }
}
