//! `POST /`, as `api.py` of ChatGLM-6B and ChatGLM2-6B has it.

use crate::http::client::Client;
use crate::http::error::ApiError;
use crate::http::state::Shared;
use crate::openai::{Fields, ask, chat_prompt, reading, whole};
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use glm_data::{Json as Value, Turn};
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;
use std::time::SystemTime;

/// Fields of the request; those that are 0 or missing have the official defaults.
#[derive(Debug, Deserialize)]
struct Question {
    prompt: String,
    #[serde(default)]
    history: Option<Vec<Turn>>,
    #[serde(default)]
    max_length: Option<usize>,
    #[serde(default)]
    top_p: Option<f32>,
    #[serde(default)]
    temperature: Option<f32>,
}

/// Answers a question after earlier turns.
///
/// # Errors
/// As the other routes.
pub async fn answer(
    State(state): State<Shared>,
    client: Client,
    body: Bytes,
) -> Result<Json<serde_json::Value>, ApiError> {
    let question: Question = serde_json::from_slice(&body).map_err(|error| {
        ApiError::invalid("", format!("expected {{\"prompt\": text, \"history\": [[question, answer], …]}}: {error}"))
    })?;
    let mut history = question.history.unwrap_or_default();
    let fields = Fields {
        max_length: Some(question.max_length.filter(|length| *length > 0).unwrap_or(2048)),
        top_p: Some(question.top_p.filter(|p| *p != 0.0).unwrap_or(0.7)),
        temperature: Some(question.temperature.filter(|heat| *heat != 0.0).unwrap_or(0.95)),
        ..Fields::default()
    };
    let said = |role: &str, content: &str| {
        Value::Object(vec![("role".into(), Value::Text(role.into())), ("content".into(), Value::Text(content.into()))])
    };
    let turns = history.iter().flat_map(|(question, answer)| [said("user", question), said("assistant", answer)]);
    let messages = turns.chain([said("user", &question.prompt)]).collect();
    let answerer = state.models.default();
    let (shared, who) = (state.clone(), Arc::clone(&answerer));
    let encode = move || chat_prompt(&shared.models.model().tokenizer, &who, messages, None);
    let prompt = reading(body.len(), encode).await??;
    let tokenizer = &state.models.model().tokenizer;
    let mut asked = ask(&state, &client.0, &fields, answerer, vec![prompt], "chatglm")?;
    let (answers, _) = whole(&mut asked, tokenizer, true, 1).await?;
    let response = answers.into_iter().next().map(|answer| answer.text).unwrap_or_default();
    history.push((question.prompt, response.clone()));
    Ok(Json(json!({ "response": response, "history": history, "status": 200, "time": time(SystemTime::now()) })))
}

/// `2023-05-01 12:30:00`, in UTC.
fn time(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86400, seconds % 86400);
    let (year, month, day) = date(days);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`, for days from 1970 on).
fn date(days: u64) -> (u64, u64, u64) {
    let from_march = days + 719_468;
    let (era, day_of_era) = (from_march / 146_097, from_march % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + 400 * era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds| time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00:00");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(at(1_709_251_199), "2024-02-29 23:59:59");
        assert_eq!(at(4_102_444_800), "2100-01-01 00:00:00");
    }
}
