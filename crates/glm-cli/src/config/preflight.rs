//! What can be checked on disk before anything large is loaded.

use std::path::{Path, PathBuf};

use super::adapter::AdapterConfig;
use super::base::BaseConfig;
use super::chat::ChatSettings;
use super::replay::ReplaySettings;
use super::run::RunConfig;
use super::serve::ServeSettings;
use super::tools::{DataCheckSettings, DataConvertSettings, ExportSettings, VerifySettings};
use crate::args::types::{ExportForm, Resume};
use crate::args::usage::{UsageError, refuse};
use crate::hub::{HubName, no_such_folder};

impl RunConfig {
    /// Checks that the files and folders of the run are there, and that training would not run over an older run.
    ///
    /// An output folder is refused as transformers refuses it: when `--do_train` would write into a folder that holds
    /// something, and neither `--overwrite_output_dir` nor `--resume_from_checkpoint` says what is to become of that.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        self.inputs()?;
        if let Some(Resume::Path(checkpoint)) = &self.resume {
            present("--resume_from_checkpoint", checkpoint)?;
        }
        if self.do_train && !self.overwrite_output_dir && self.resume.is_none() {
            unused_output(&self.output_dir)?;
        }
        Ok(())
    }

    /// Checks what a plan reads; it writes nothing, and may tell of a run that is under way in its folder.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight_plan(&self) -> Result<(), UsageError> {
        self.inputs()
    }

    fn inputs(&self) -> Result<(), UsageError> {
        model(&self.base, self.adapter.as_ref())?;
        for (used, name, file) in [
            (self.do_train, "--train_file", &self.files.train),
            (self.do_eval, "--validation_file", &self.files.validation),
            (self.do_predict, "--test_file", &self.files.test),
        ] {
            if let (true, Some(file)) = (used, file) {
                rows_of(name, file)?;
            }
        }
        Ok(())
    }
}

impl ExportSettings {
    /// Checks that base and adapter are there, and that the place to write to is free.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        base_folder(&self.base.path)?;
        if let Some(files) = &self.adapter {
            present(files.place(), files.path())?;
        }
        let (out, file) = (self.out.as_path(), matches!(self.to, ExportForm::Gguf | ExportForm::Bundle));
        let empty = || std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_none());
        if out.symlink_metadata().is_ok_and(|found| file || !found.is_dir() || !empty()) {
            refuse!(
                "--out {}: it is there already; an export never replaces anything: name another place, or remove it",
                out.display()
            );
        }
        Ok(())
    }
}

impl VerifySettings {
    /// Checks that base, adapter and rows are there.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        base_folder(&self.base.path)?;
        present(self.adapter.place(), self.adapter.path())?;
        rows_of("--test_file", &self.file)
    }
}

impl ReplaySettings {
    /// Checks that base, adapter and rows are there.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        base_folder(&self.base.path)?;
        if let Some(files) = &self.adapter {
            present(files.place(), files.path())?;
        }
        rows_of("--test_file", &self.file)
    }
}

impl ServeSettings {
    /// Checks that the folders of the server are there.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        model(&self.base, self.adapter.as_ref())?;
        named(&self.adapters)?;
        if let Some(watch) = &self.watch {
            rows_of("--watch_file", &watch.file)?;
            if let Some((_, run)) = watch.runs.iter().find(|(_, run)| run.exists() && !run.is_dir()) {
                refuse!("--watch {}: expected the output folder of a training, found a file", run.display());
            }
        }
        for (flag, folder) in [("--adapter_dir", &self.adapter_dir), ("--runs_dir", &self.runs)] {
            if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_dir()) {
                refuse!("{flag} {}: there is no such folder", folder.display());
            }
        }
        Ok(())
    }
}

impl ChatSettings {
    /// Checks that the folders of the conversation are there.
    ///
    /// # Errors
    /// Names the key, the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        model(&self.base, self.adapter.as_ref())?;
        named(&self.adapters)
    }
}

impl DataCheckSettings {
    /// Checks that the file is there before anything is downloaded, and the folder of the base.
    ///
    /// # Errors
    /// Names the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        rows(&self.file)?;
        self.base.as_ref().map_or(Ok(()), |base| base_folder(&base.path))
    }
}

impl DataConvertSettings {
    /// Checks that the one file is there and the other is not.
    ///
    /// # Errors
    /// Names the path and what to do.
    pub fn preflight(&self) -> Result<(), UsageError> {
        rows(&self.from)?;
        if self.into.exists() {
            refuse!("{}: it exists already; give another file, for nothing is replaced", self.into.display());
        }
        Ok(())
    }
}

fn rows(file: &Path) -> Result<(), UsageError> {
    match file.try_exists() {
        Ok(true) if file.is_dir() => refuse!("{}: expected a file of rows, found a folder", file.display()),
        Ok(true) => Ok(()),
        Ok(false) => refuse!("{}: there is no such file; give a json, jsonl or csv file of rows", file.display()),
        Err(error) => refuse!("{}: {error}", file.display()),
    }
}

fn rows_of(name: &str, file: &Path) -> Result<(), UsageError> {
    present(name, file)?;
    if file.is_dir() {
        refuse!("{name} {}: expected a file of rows, found a folder", file.display());
    }
    Ok(())
}

fn model(base: &BaseConfig, adapter: Option<&AdapterConfig>) -> Result<(), UsageError> {
    base_folder(&base.path)?;
    match adapter.and_then(AdapterConfig::origin) {
        Some(files) => present(files.place(), files.path()),
        None => Ok(()),
    }
}

fn named(adapters: &[(String, PathBuf)]) -> Result<(), UsageError> {
    adapters.iter().try_for_each(|(_, path)| present("--adapter", path))
}

fn base_folder(path: &Path) -> Result<(), UsageError> {
    if path.is_dir() {
        return Ok(());
    }
    let shown = path.display();
    if path.exists() {
        refuse!("--model_name_or_path {shown}: expected a folder, found a file");
    }
    match HubName::of(path) {
        Some(_) => Ok(()),
        None => refuse!("--model_name_or_path {}", no_such_folder(path)),
    }
}

fn present(name: &str, path: &Path) -> Result<(), UsageError> {
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => refuse!("{name} {}: there is no such file or folder", path.display()),
        Err(error) => refuse!("{name} {}: {error}", path.display()),
    }
}

fn unused_output(folder: &Path) -> Result<(), UsageError> {
    let shown = folder.display();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => refuse!("--output_dir {shown}: {error}"),
    };
    let names: Vec<String> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let step = |name: &String| name.strip_prefix("checkpoint-")?.parse::<u64>().ok();
    match (names.iter().max_by_key(|name| step(name)), names.iter().any(|name| step(name).is_some())) {
        (Some(newest), true) => refuse!(
            "--output_dir {shown} holds an older run ({newest}): give --resume_from_checkpoint auto to go on with it, \
             --overwrite_output_dir to train over it, or another folder"
        ),
        (Some(_), false) => refuse!(
            "--output_dir {shown} is not empty: give --overwrite_output_dir to train into it, or another folder"
        ),
        (None, _) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_folders_with_content_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(unused_output(folder.path()), Ok(()));
        assert_eq!(unused_output(&folder.path().join("new")), Ok(()));
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert!(unused_output(folder.path()).unwrap_err().0.contains("is not empty"));
        for step in [9, 1000, 200] {
            std::fs::create_dir(folder.path().join(format!("checkpoint-{step}"))).unwrap();
        }
        let message = unused_output(folder.path()).unwrap_err().0;
        assert!(
            message.contains("(checkpoint-1000)") && message.contains("--resume_from_checkpoint auto"),
            "{message}"
        );
    }

    #[test]
    fn a_path_that_is_not_there_must_be_a_hub_name() {
        assert_eq!(base_folder(Path::new("THUDM/no-such-model")), Ok(()));
        let message = base_folder(Path::new("./no-such-model")).unwrap_err().0;
        assert!(message.contains("./no-such-model: there is no such folder"), "{message}");
        assert!(message.contains("owner/name"), "{message}");
    }
}
