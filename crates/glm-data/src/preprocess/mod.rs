//! From rows to ids and labels.

mod eval;
mod fields;
mod fit;
mod report;
mod train;

pub use eval::{EvalRow, eval_rows};
pub use report::{Lengths, PreprocessReport};
pub use train::train_rows;

use crate::config::DataConfig;
use crate::error::DataError;
use crate::reader::Rows;
use fields::Example;
use report::{Outcome, Recorder};

/// Goes through the rows, makes what can be made and counts the rest.
fn walk<T>(
    rows: &Rows,
    config: &DataConfig,
    mut make: impl FnMut(usize, Example) -> (Option<T>, Outcome),
) -> Result<(Vec<T>, PreprocessReport), DataError> {
    if config.max_target_length == 0 && !config.compat {
        return Err(DataError::Config("max_target_length is 0, which leaves nothing to learn; raise it".into()));
    }
    fields::check_columns(rows, config)?;
    let mut recorder = Recorder::new(rows, config);
    let mut made = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        match fields::example(rows, row, config) {
            Ok(None) => recorder.empty(),
            Ok(Some(example)) => {
                let (item, outcome) = make(row.index, example);
                recorder.record(row, &outcome);
                made.extend(item);
            }
            Err(_) if config.lenient => recorder.broken(row),
            Err(error) => return Err(error),
        }
    }
    let report = recorder.finish();
    if made.is_empty() {
        return Err(DataError::NoRows { file: rows.file.clone(), summary: report.counts() });
    }
    Ok((made, report))
}
