//! One base, many adapters, many people at a time: a scheduler that answers all requests in one batch, OpenAI's API, and a web
//! page.

mod admin;
mod config;
mod http;
mod info;
mod legacy;
mod metrics;
mod model;
mod models;
mod openai;
mod page;
mod runs;
mod scheduler;
mod watch;

pub use admin::adapters_in;
pub use config::{Defaults, ServeConfig};
pub use http::Server;
pub use http::error::ApiError;
pub use metrics::Metrics;
pub use model::Model;
pub use models::{AdapterError, AdapterInfo, Answerer, Models, Turns, check_name};
pub use openai::chat_prompt;
pub use scheduler::{Event, Failure, Job, Limits, Refused, Scheduler, Used};
pub use watch::{Watch, Watched};
