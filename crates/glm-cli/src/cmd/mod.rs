//! The verbs, one file each, and what they share.

pub mod bench;
pub mod chat;
pub mod data;
pub mod demo;
pub mod dev;
pub mod doctor;
pub mod export;
pub mod inspect;
pub mod plan;
pub mod replay;
pub mod score;
pub mod serve;
pub mod train;
pub mod verify_adapter;

pub mod adapter;
pub mod base;
pub mod checkpoint;
pub mod language;
mod not_base;
pub mod output;
mod peaks;
pub mod predict;
pub mod progress;
pub mod quantized_cache;
pub mod signals;
pub mod threads;
