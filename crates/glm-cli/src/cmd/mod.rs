//! One file a verb.

pub mod chat;
pub mod demo;
pub mod dev;
pub mod inspect;
pub mod score;
pub mod train;
