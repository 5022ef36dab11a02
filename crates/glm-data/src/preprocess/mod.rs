//! From rows to ids and labels.

mod chat;
mod encode;
mod eval;
mod example;
mod fit;
mod official;
mod report;
mod sampler;
mod train;

pub use chat::chat_ids;
pub use eval::{EvalRow, eval_rows};
pub use report::{Lengths, PreprocessReport};
pub use train::train_rows;

pub(crate) use example::Example;
pub(crate) use report::{Outcome, Recorder};
pub(crate) use sampler::{Made, Purpose, Sampler};

use crate::config::OnOverflow;
use crate::error::DataError;
use crate::format::row_error;
use crate::reader::Row;

/// Goes through the rows, makes what can be made and counts the rest.
fn walk<T>(
    sampler: &Sampler,
    mut make: impl FnMut(&Row) -> Result<Vec<Made<T>>, DataError>,
) -> Result<(Vec<T>, PreprocessReport), DataError> {
    let (rows, config) = (sampler.rows, sampler.encoder.config);
    let mut recorder = Recorder::new(rows, config, &sampler.layout);
    let mut samples = Vec::with_capacity(rows.rows.len());
    for row in &rows.rows {
        match make(row) {
            Ok(made) => {
                recorder.record(row, &made);
                for made in made {
                    match made {
                        Made::Sample(sample, _) => samples.push(sample),
                        Made::TooLong(_, reason) if config.on_overflow == OnOverflow::Error => {
                            return Err(row_error(rows, row, &reason));
                        }
                        Made::TooLong(..) | Made::Empty | Made::Untrainable => {}
                    }
                }
            }
            Err(_) if config.lenient => recorder.broken(row),
            Err(error) => return Err(error),
        }
    }
    let report = recorder.finish();
    if samples.is_empty() {
        return Err(DataError::NoRows { file: rows.file.clone(), summary: report.counts() });
    }
    Ok((samples, report))
}
