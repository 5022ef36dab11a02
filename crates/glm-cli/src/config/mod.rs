//! Typed settings of every verb: what the rest of the program gets to see of flags and files.

pub mod adapter;
pub mod advice;
pub mod base;
mod chat;
pub mod dev;
mod machine;
mod method;
pub mod origin;
mod outputs;
mod peers;
mod plan;
mod preflight;
pub mod quantized_cache;
mod replay;
mod resolve;
pub mod run;
pub mod serve;
mod summary;
pub mod tools;

pub use chat::{BASE, ChatSettings};
pub use dev::{DemoBaseSettings, DemoSettings, PathSettings, RandomBaseSettings};
pub use machine::{BenchSettings, DoctorSettings};
pub use plan::resolve_plan;
pub use replay::ReplaySettings;
pub use resolve::resolve;
pub use run::RunConfig;
pub use serve::ServeSettings;
