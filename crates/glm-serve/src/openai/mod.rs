//! The routes of OpenAI's API.

mod answers;
mod chat;
mod completions;
mod fields;
mod models;
mod prompt;
mod reading;
mod stream;
mod words;

pub use answers::{ask, whole};
pub use chat::chat;
pub use completions::completions;
pub use fields::Fields;
pub use models::{model, models};
pub use prompt::chat_prompt;
pub use reading::reading;
