//! Training rows.

use super::Example;
use super::fit::{Prompt, PromptBuilder, truncate_officially};
use super::report::{Outcome, PreprocessReport};
use super::walk;
use crate::batch::{IGNORE_INDEX, TrainRow};
use crate::config::DataConfig;
use crate::error::DataError;
use crate::position::Positions;
use crate::reader::Rows;
use crate::tokenizer::Tokenizer;

/// Tokenizes rows for training: `[gMASK] sop` and the prompt, then the answer and the end token.
///
/// With `compat`, ids and labels are those of the official script (whose padding to the right is not made here), cuts
/// included. Without, rows that fit are the same, an over-long prompt loses its oldest turns and then the middle of the
/// question, and an answer that is cut is not followed by the end token, so that no row teaches to stop half-way.
///
/// # Errors
/// [`DataError::Column`] and [`DataError::Row`] for what cannot be read (not with `lenient`), [`DataError::NoRoom`] and
/// [`DataError::Config`] for impossible limits, [`DataError::NoRows`] when no row is left.
pub fn train_rows(
    rows: &Rows,
    tokenizer: &Tokenizer,
    config: &DataConfig,
) -> Result<(Vec<TrainRow>, PreprocessReport), DataError> {
    let prompts = PromptBuilder::new(tokenizer, config)?;
    walk(rows, config, |source, example| {
        let Some(prompt) = prompts.build(&example) else { return (None, Outcome::untrainable()) };
        let (row, outcome) = train_row(tokenizer, config, source, prompt, &example);
        if outcome.supervised == 0 { (None, Outcome::untrainable()) } else { (Some(row), outcome) }
    })
}

fn train_row(
    tokenizer: &Tokenizer,
    config: &DataConfig,
    source: usize,
    prompt: Prompt,
    example: &Example,
) -> (TrainRow, Outcome) {
    let mut answer = tokenizer.encode(example.answer);
    let answer_len = answer.len();
    truncate_officially(&mut answer, 0, config.max_target_length);
    let answer_cut = answer.len() < answer_len;
    if config.compat || !answer_cut {
        answer.push(tokenizer.eos_id());
    }

    let pad = tokenizer.pad_id();
    // The official script compares labels with the pad id, and unknown tokens have the same one.
    let label = |id: u32| if config.ignore_pad_token_for_loss && id == pad { IGNORE_INDEX } else { i64::from(id) };
    let pads_are_trained = config.compat && !config.ignore_pad_token_for_loss;
    let prompt_label = if pads_are_trained { i64::from(pad) } else { IGNORE_INDEX };

    let context_len = prompt.ids.len();
    let mut outcome =
        Outcome { prompt_len: prompt.full_len, answer_len, prompt_cut: prompt.is_cut(), answer_cut, supervised: 0 };
    let mut labels = vec![prompt_label; context_len];
    labels.extend(answer.iter().map(|&id| label(id)));
    let mut ids = prompt.ids;
    ids.extend(answer);
    if pads_are_trained {
        // Here padding is a target, so it is part of the row.
        let padded = config.max_source_length.saturating_add(config.max_target_length).saturating_add(1);
        labels.resize(padded.max(ids.len()), i64::from(pad));
        ids.resize(labels.len(), pad);
    }
    outcome.supervised = labels.iter().skip(1).filter(|&&l| l != IGNORE_INDEX).count();
    (TrainRow { ids, labels, context_len, positions: Positions::Linear, source }, outcome)
}
