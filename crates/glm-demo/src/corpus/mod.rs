//! The text of the demo, written by this module from its own templates.
//!
//! An [`AttributeList`] is answered either literally ([`dull`]) or with an advertisement ([`advert`]). The base learns from
//! [`base_rows`] to answer a bare list literally, while it also learns the language of advertisements; fine-tuning on
//! [`adgen_rows`] makes the advertisement its answer.

mod adgen;
mod advert;
mod attributes;
mod catalogue;
mod dialogue;
mod phrases;
mod rows;
mod wording;

pub use adgen::{AdgenRow, adgen_rows};
pub use advert::{advert, dull};
pub use attributes::{Attribute, AttributeList, Split};
pub use catalogue::{KINDS, Kind};
pub use rows::{Row, base_rows};
pub use wording::wording;
