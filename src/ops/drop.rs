//! `clade drop`: files back to pointers, where a remote holds their bytes.

use super::index_stat::Entries;
use super::{Error, Kind, Result, remotes};
use crate::fsio::{self, Stat, StatKind};
use crate::limits::MAX_POINTER_BYTES;
use crate::manifest::Pointer;
use crate::repo::{FileState, Repo};
use serde::Serialize;
use std::path::PathBuf;

/// What `clade drop` did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DropOutcome {
    /// Files that are pointers now.
    pub dropped: u64,
    /// Bytes that their contents had.
    pub dropped_bytes: u64,
    /// Files that stay, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// A file that was not dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Drops what is unchanged since it was added and complete at a remote. Nothing else is touched.
pub fn drop(repo: &Repo, paths: &[PathBuf], dry_run: bool) -> Result<DropOutcome> {
    let mut below = Vec::new();
    for path in paths {
        below.push(repo.relative(path)?);
    }
    let found = repo.filtered_paths(&below)?;
    if found.is_empty() {
        return Err(Error::not_found("nothing there is kept by clade").hint("`clade status` shows what there is"));
    }
    let mut views = Vec::new();
    for remote in remotes::readable(repo)? {
        views.push(remotes::open_to_read(repo, &remote)?);
    }
    if views.is_empty() {
        return Err(Error::new(Kind::NotFound, "no remote holds copies").hint("`clade push` uploads them first"));
    }
    let staged = repo.git.staged_files(Some(&found))?;
    let mut out = DropOutcome::default();
    let mut safe_to_drop: Vec<(Vec<u8>, Stat, Pointer)> = Vec::new();
    for path in found {
        repo.interrupt().check()?;
        let mut keep = |reason: &str| {
            let path = String::from_utf8_lossy(&path).into_owned();
            out.kept.push(Kept { path, reason: reason.to_owned() });
        };
        let FileState::Content(stat) = repo.file_state(&path)? else { continue };
        if stat.kind != StatKind::File || stat.size_bytes == 0 {
            continue;
        }
        let Some((file_id, size_bytes)) = repo.file_content(&path)? else { continue };
        let pointer = Pointer { file_id, size_bytes };
        let entry = staged.iter().find(|e| e.path == path && e.stage == 0);
        let in_index = match entry {
            Some(entry) => repo.git.small_blobs(&[entry.oid], MAX_POINTER_BYTES as u64)?.pop().map(|(_, b)| b),
            None => None,
        };
        if in_index.as_deref() != Some(&pointer.encode()[..]) {
            keep("it is changed and not staged: `clade add` it first");
            continue;
        }
        let wanted = crate::transfer::Wanted { file: file_id, size_bytes };
        let mut safe = false;
        for view in &mut views {
            safe = safe || view.has_file(repo.store()?, wanted, repo.interrupt())?;
        }
        if !safe {
            keep("no remote holds all of its bytes: `clade push` first");
            continue;
        }
        out.dropped += 1;
        out.dropped_bytes += size_bytes;
        safe_to_drop.push((path, stat, pointer));
    }
    if !dry_run {
        write_pointers(repo, &safe_to_drop)?;
    }
    Ok(out)
}

/// Replaces files by their pointers. A file that was edited since it was looked at stops it.
fn write_pointers(repo: &Repo, files: &[(Vec<u8>, Stat, Pointer)]) -> Result<()> {
    let entries = Entries::of(repo, files.iter().map(|(path, ..)| path.clone()).collect())?;
    entries.forget_stats(repo, files.iter().map(|(path, ..)| path))?;
    for (path, stat, pointer) in files {
        let absolute = repo.absolute(path)?;
        if fsio::stat(&absolute)? != Some(*stat) {
            return Err(crate::store::Error::Changed { path: absolute }.into());
        }
        fsio::write_atomic_in_place_of(&absolute, &pointer.encode())?;
    }
    entries.tell_pointers(repo, files.iter().map(|(path, ..)| path))
}
