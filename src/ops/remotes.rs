//! Which places hold copies: those in git's configuration, and beside git remotes that are folders.

use super::{Error, Kind, Result};
use crate::remote::{Access, Remote};
use crate::repo::Repo;
use crate::transfer::RemoteView;
use crate::{fsio, git};
use serde::Serialize;
use std::path::PathBuf;

/// A place that holds copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChunkRemote {
    /// Its name; that of the git remote where it is implied by one.
    pub name: String,
    /// A path or URL.
    pub url: String,
    /// Whether it was not configured, but is beside a git remote that is a folder.
    pub implied: bool,
}

const PREFIX: &str = "clade.remote.";

/// The configured remotes, by name.
pub fn configured(repo: &Repo) -> Result<Vec<ChunkRemote>> {
    let mut out = Vec::new();
    for (key, values) in repo.git.config_with_prefix(PREFIX)? {
        let name = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(".url"));
        if let (Some(name), Some(url)) = (name, values.last()) {
            out.push(ChunkRemote { name: name.to_owned(), url: url.clone(), implied: false });
        }
    }
    Ok(out)
}

/// All remotes to read from: the configured ones; without any, those beside git remotes that are folders.
pub fn readable(repo: &Repo) -> Result<Vec<ChunkRemote>> {
    let configured = configured(repo)?;
    if !configured.is_empty() {
        return Ok(configured);
    }
    let mut out = Vec::new();
    for remote in repo.git.remotes()? {
        if let Some(dir) = beside(repo, &remote)?
            && fsio::is_dir(&dir)
        {
            out.push(ChunkRemote { name: remote.name, url: dir.to_string_lossy().into_owned(), implied: true });
        }
    }
    Ok(out)
}

/// The remotes that a push to `git_remote` uploads to.
///
/// # Errors
/// When none is configured and the git remote is no folder.
pub fn writable(repo: &Repo, git_remote: &str) -> Result<Vec<ChunkRemote>> {
    let configured = configured(repo)?;
    if !configured.is_empty() {
        return Ok(configured);
    }
    let remotes = repo.git.remotes()?;
    let found = remotes.iter().find(|r| r.name == git_remote || r.url == git_remote);
    let by_path =
        git::Remote { name: git_remote.to_owned(), url: git_remote.to_owned(), push_url: git_remote.to_owned() };
    match beside(repo, found.unwrap_or(&by_path))? {
        Some(dir) => Ok(vec![ChunkRemote {
            name: git_remote.to_owned(),
            url: dir.to_string_lossy().into_owned(),
            implied: true,
        }]),
        None => Err(Error::new(
            Kind::NotFound,
            format!("no remote for the bytes is configured, and git remote {git_remote:?} is not a folder"),
        )
        .hint("add a place for the bytes: `clade remote add NAME URL`")),
    }
}

/// `<git dir>/clade-remote` of a git remote that is a folder.
fn beside(repo: &Repo, remote: &git::Remote) -> Result<Option<PathBuf>> {
    Ok(repo.git.remote_git_dir(remote)?.map(|dir| dir.join("clade-remote")))
}

/// Opens a remote for reading.
pub fn open_to_read(repo: &Repo, remote: &ChunkRemote) -> Result<RemoteView> {
    let opened = Remote::open(&remote.url, Access::Read)?;
    Ok(RemoteView::open(opened, &repo.layout.dir)?)
}

/// Opens a remote for writing; an implied one is made where it is missing.
pub fn open_to_write(repo: &Repo, remote: &ChunkRemote) -> Result<RemoteView> {
    let opened = match Remote::open(&remote.url, Access::Write) {
        Err(crate::remote::Error::NotARemote { .. }) if remote.implied => {
            Remote::create(&remote.url, u32::from(crate::chunk::Profile::One.number()))?
        }
        other => other?,
    };
    Ok(RemoteView::open(opened, &repo.layout.dir)?)
}

/// What `clade remote add` did.
#[derive(Debug, Clone, Serialize)]
pub struct RemoteAddOutcome {
    /// The remote.
    #[serde(flatten)]
    pub remote: ChunkRemote,
    /// Its identity.
    pub remote_id: String,
    /// Log entries that it has.
    pub log_entries: u64,
}

/// Adds a remote: makes it or opens it, proves that it keeps what clade relies on, and writes git's config.
pub fn add(repo: &Repo, name: &str, url: &str) -> Result<RemoteAddOutcome> {
    let valid = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if !valid {
        return Err(Error::usage(format!("{name:?} cannot be a remote's name: letters, digits, - _ . only")));
    }
    if configured(repo)?.iter().any(|r| r.name == name) {
        return Err(Error::usage(format!("remote {name:?} exists already"))
            .hint(format!("`clade remote remove {name}` forgets it; its bytes stay where they are")));
    }
    // A relative path means the same from every folder only when it is made absolute.
    let url =
        if url.contains("://") { url.to_owned() } else { repo.context.cwd.join(url).to_string_lossy().into_owned() };
    let opened = Remote::create(&url, u32::from(crate::chunk::Profile::One.number()))?;
    let view = RemoteView::open(opened, &repo.layout.dir)?;
    repo.git.set_config(&format!("{PREFIX}{name}.url"), &url)?;
    let remote = ChunkRemote { name: name.to_owned(), url, implied: false };
    Ok(RemoteAddOutcome { remote, remote_id: view.id().to_string(), log_entries: view.fold().seq })
}

/// Forgets a remote. What it holds stays there.
pub fn remove(repo: &Repo, name: &str) -> Result<ChunkRemote> {
    let remotes = configured(repo)?;
    let Some(found) = remotes.iter().find(|r| r.name == name) else {
        return Err(Error::not_found(format!("there is no remote {name:?}")).hint("`clade remote list` shows them"));
    };
    repo.git.unset_config(&format!("{PREFIX}{name}.url"), None)?;
    Ok(found.clone())
}
