//! Dialogues from the rows of every data format in use.
//!
//! The columns of the rows tell the format ([`Layout::of`]); each row then becomes a [`Conversation`]
//! ([`Layout::conversation`]), which is all that the rest of the crate knows.

mod alpaca;
mod chatglm3;
mod columns;
mod conversation;
mod convert;
mod layout;
mod messages;
mod python;
mod recognise;
mod sharegpt;
mod tools;

pub use alpaca::AlpacaJoin;
pub use conversation::{Conversation, Said};
pub use convert::{ConvertError, ConvertReport, ConvertTo, convert};
pub use layout::{Format, Layout};
pub use messages::asked;

pub(crate) use conversation::system_text;
pub(crate) use layout::{reason, row_error};

/// Why a row is no dialogue.
enum Fault {
    /// A column is not there.
    Missing(String),
    /// What was expected and found.
    Wrong(String),
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}
