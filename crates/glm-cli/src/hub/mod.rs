//! A base by its name on a Hugging Face hub: found in the cache that Python's `huggingface_hub` shares, or downloaded
//! into it, resumed and checked. How and why: `docs/decisions/0009-hub.md`.

mod cache;
mod client;
mod explain;
mod files;
mod link;
mod name;
mod settings;
mod show;
mod transfer;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use cache::RepoCache;
use client::{Client, Listing, Metadata};
pub use name::{HubName, check_revision, no_such_folder};
use settings::Environment;
pub use settings::{HubConfig, variable};

/// The folder of a base that is given by `path`: that folder, or the snapshot of the hub name that `path` is.
///
/// A folder that exists is always meant. A snapshot that is whole is used without any request; else what it lacks is
/// downloaded, each file checked before it can be seen.
///
/// # Errors
/// Names the path, or the model and the file, what was found, and what to do.
pub fn resolve(path: &Path, config: &HubConfig) -> anyhow::Result<PathBuf> {
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let Some(name) = HubName::of(path) else { bail!("{}", no_such_folder(path)) };
    let environment = Environment::read(config)?;
    let repo = RepoCache::new(&environment.cache, &name);
    let found = repo.snapshot(&config.revision);
    let missing = found.as_ref().map_or_else(
        || vec![format!("a finished download of {}", config.revision)],
        |found| files::missing(&found.folder),
    );
    if let (Some(found), true) = (&found, missing.is_empty()) {
        eprintln!("{name}: found in {} (commit {})", repo.folder().display(), found.commit);
        return Ok(found.folder.clone());
    }
    let lacks = explain::Lacks { path, repo: repo.folder(), missing: &missing };
    if environment.offline {
        bail!("{}", lacks.offline(&config.revision));
    }
    let work = Download {
        client: Client::new(&environment),
        repo: &repo,
        name: &name,
        revision: &config.revision,
        cache: &environment.cache,
    };
    let listing = work.client.listing(&name, work.revision).map_err(|error| {
        anyhow::anyhow!("{}", explain::Asked { name: &name, path, environment: &environment }.listing(&error, &lacks))
    })?;
    work.run(&listing)
}

/// A download of one revision of one model.
struct Download<'a> {
    client: Client,
    repo: &'a RepoCache,
    name: &'a HubName,
    revision: &'a str,
    cache: &'a Path,
}

impl Download<'_> {
    fn run(&self, listing: &Listing) -> anyhow::Result<PathBuf> {
        let snapshot = self.repo.snapshot_folder(&listing.commit);
        std::fs::create_dir_all(&snapshot).with_context(|| format!("{}: cannot be made", snapshot.display()))?;
        let here = |error: anyhow::Error| error.context(format!("{} at {}", self.name, self.client.endpoint()));
        let small = files::small(&listing.files);
        self.fetch(&small, listing, &snapshot).map_err(here)?;
        // Whole weights that are there already, in whichever form, are not fetched again in the other one.
        if !files::weights_missing(&snapshot).is_empty() {
            let form = files::weight_form(&listing.files).with_context(|| self.name.to_string())?;
            self.fetch(&[form.to_owned()], listing, &snapshot).map_err(here)?;
            let shards = files::shards(&snapshot.join(form), &listing.files).map_err(here)?;
            self.fetch(&shards, listing, &snapshot).map_err(here)?;
        }
        let missing = files::missing(&snapshot);
        if !missing.is_empty() {
            bail!(
                "{} at {} has no {}: it is no base that can be used",
                self.name,
                self.client.endpoint(),
                missing.join(", ")
            );
        }
        // Last: whoever finds the revision finds it whole.
        self.repo.write_ref(self.revision, &listing.commit)?;
        Ok(snapshot)
    }

    /// Fetches those of `names` that the snapshot does not hold.
    fn fetch(&self, names: &[String], listing: &Listing, snapshot: &Path) -> anyhow::Result<()> {
        let wanted: Vec<&String> = names.iter().filter(|name| !snapshot.join(name).is_file()).collect();
        let mut files = Vec::with_capacity(wanted.len());
        for name in wanted {
            files.push((name, self.metadata(name, listing)?));
        }
        self.check_space(&files)?;
        for (at, (file, metadata)) in files.iter().enumerate() {
            let label = show::Label { file, at: at + 1, of: files.len() };
            let blob = self.repo.blob(&metadata.etag);
            let _lock = self.repo.lock(&metadata.etag)?;
            // Another process may have done it meanwhile.
            if snapshot.join(file).is_file() {
                continue;
            }
            if !is_whole(&blob, metadata) {
                let url = self.client.file_url(self.name, &listing.commit, file);
                transfer::fetch(&self.client, &url, &blob, metadata, &label)?;
            }
            link::link(&blob, &snapshot.join(file))?;
        }
        Ok(())
    }

    /// By commit, as the content: a branch may move on between two files.
    fn metadata(&self, file: &str, listing: &Listing) -> anyhow::Result<Metadata> {
        let url = self.client.file_url(self.name, &listing.commit, file);
        let metadata = self.client.metadata(&url).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
        match &metadata.commit {
            Some(commit) if *commit != listing.commit => bail!(
                "{file}: commit {} was asked for, and the server gives commit {commit}: use another server (HF_ENDPOINT)",
                listing.commit
            ),
            _ => Ok(metadata),
        }
    }

    fn check_space(&self, files: &[(&String, Metadata)]) -> anyhow::Result<()> {
        let needed = files.iter().filter(|(_, metadata)| !is_whole(&self.repo.blob(&metadata.etag), metadata)).fold(
            0u64,
            |sum, (_, metadata)| {
                let have = std::fs::metadata(transfer::incomplete(&self.repo.blob(&metadata.etag)));
                let rest = metadata.size.unwrap_or(0).saturating_sub(have.map_or(0, |have| have.len()));
                sum.saturating_add(rest)
            },
        );
        // A file system that does not say is tried.
        match fs4::available_space(self.cache) {
            Ok(free) if free < needed => bail!(
                "{} more are needed, but only {} are free in {}: make room, or give another folder with --cache_dir or \
                 HF_HOME",
                show::bytes(needed),
                show::bytes(free),
                self.cache.display()
            ),
            _ => Ok(()),
        }
    }
}

fn is_whole(blob: &Path, metadata: &Metadata) -> bool {
    std::fs::metadata(blob).is_ok_and(|found| found.is_file() && metadata.size.is_none_or(|size| size == found.len()))
}
