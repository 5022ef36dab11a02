//! One line makes a key: its name, type, default and help serve the flag, the json file, the toml file and the help text.

use super::value::FlagValue;

/// What becomes of a key that is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is obeyed.
    Used,
    /// It is accepted so that old scripts run, and changes nothing, for this reason.
    Unused(&'static str),
    /// Only its default can be honoured, for this reason; another value is refused.
    OnlyDefault(&'static str),
    /// It is another project's name of this key.
    AliasOf(&'static str),
}

/// Description of a key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Name, with underscores.
    pub name: &'static str,
    /// `no_` and the name.
    pub negated: &'static str,
    /// Help text.
    pub help: &'static str,
    /// Heading that it stands under in the help text.
    pub heading: &'static str,
    /// Default as the help text shows it; empty when there is none.
    pub default: String,
    /// Stands for the value in the help text.
    pub metavar: &'static str,
    /// What the flag means without a value.
    pub without_value: Option<&'static str>,
    /// Whether it may be given several times.
    pub repeats: bool,
    /// What becomes of it.
    pub status: Status,
}

/// A set of keys with their present values.
pub trait KeySet: Default {
    /// The descriptions, in the order of the help text.
    fn keys() -> Vec<Key>;
    /// Sets `name` from text; `None` when the set has no such key, else what was expected where the text does not fit.
    fn set(&mut self, name: &str, text: &str) -> Option<Result<(), String>>;
    /// Names of the keys whose value is not the default.
    fn changed(&self) -> Vec<&'static str>;
}

/// A value's part of [`Key`], so that the macro stays short.
pub fn describe<T: FlagValue>(key: Key, default: &T) -> Key {
    Key { default: default.show(), metavar: T::METAVAR, without_value: T::WITHOUT_VALUE, repeats: T::REPEATS, ..key }
}

/// Defines a [`KeySet`]: `/// help` and `name: Type = default;`, or `name: Type = default, unused "why";`, or
/// `name: Type = default, only_default "why";`, or `name: Type = default, alias_of "other_name";`.
macro_rules! keys {
    (@status) => { $crate::args::keys::Status::Used };
    (@status unused $why:literal) => { $crate::args::keys::Status::Unused($why) };
    (@status only_default $why:literal) => { $crate::args::keys::Status::OnlyDefault($why) };
    (@status alias_of $name:literal) => { $crate::args::keys::Status::AliasOf($name) };
    ($(#[doc = $about:literal])+ pub struct $set:ident in $heading:literal;
     $($(#[doc = $help:literal])+ $name:ident: $type:ty = $default:expr $(, $status:ident $why:literal)?;)+) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $set {
            $($(#[doc = $help])+ pub $name: $type,)+
        }

        impl Default for $set {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl $crate::args::keys::KeySet for $set {
            fn keys() -> Vec<$crate::args::keys::Key> {
                let defaults = Self::default();
                vec![$($crate::args::keys::describe(
                    $crate::args::keys::Key {
                        name: stringify!($name),
                        negated: concat!("no_", stringify!($name)),
                        help: concat!($($help),+),
                        heading: $heading,
                        default: String::new(),
                        metavar: "",
                        without_value: None,
                        repeats: false,
                        status: $crate::args::keys::keys!(@status $($status $why)?),
                    },
                    &defaults.$name,
                )),+]
            }

            fn set(&mut self, name: &str, text: &str) -> Option<Result<(), String>> {
                match name {
                    $(stringify!($name) => {
                        Some($crate::args::value::FlagValue::parse(text).map(|value| self.$name = value))
                    })+
                    _ => None,
                }
            }

            fn changed(&self) -> Vec<&'static str> {
                let defaults = Self::default();
                let mut names = Vec::new();
                $(if self.$name != defaults.$name {
                    names.push(stringify!($name));
                })+
                names
            }
        }
    };
}
pub(crate) use keys;

/// Joins several [`KeySet`]s into one.
macro_rules! key_sets {
    ($(#[doc = $about:literal])+ pub struct $set:ident { $($(#[doc = $help:literal])+ $part:ident: $type:ty,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $set {
            $($(#[doc = $help])+ pub $part: $type,)+
        }

        impl $crate::args::keys::KeySet for $set {
            fn keys() -> Vec<$crate::args::keys::Key> {
                let mut keys = Vec::new();
                $(keys.extend(<$type>::keys());)+
                keys
            }

            fn set(&mut self, name: &str, text: &str) -> Option<Result<(), String>> {
                None$(.or_else(|| self.$part.set(name, text)))+
            }

            fn changed(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(names.extend(self.$part.changed());)+
                names
            }
        }
    };
}
pub(crate) use key_sets;
