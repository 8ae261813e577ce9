//! `clade add`: what `git add` does, on all cores and without a pipe.

use super::{Error, Kind, Result};
use crate::fsio::{self, Stat, StatKind};
use crate::git::{IndexUpdate, StatPatch};
use crate::limits::MAX_TENSOR_HEADER_BYTES;
use crate::manifest::Pointer;
use crate::repo::{FileState, Repo};
use crate::store::{Presence, SessionKind};
use crate::tensor;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What is to be added.
#[derive(Debug, Clone, Default)]
pub struct AddOptions {
    /// Files and folders as they were typed.
    pub paths: Vec<PathBuf>,
    /// Store damaged model files as they are.
    pub as_is: bool,
}

/// What `clade add` did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AddOutcome {
    /// Files under the filter that were staged.
    pub files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Plain bytes that the store did not have.
    pub new_bytes: u64,
    /// Bytes that were written for them.
    pub stored_bytes: u64,
    /// Files that git keeps itself.
    pub plain_files: u64,
}

/// Stores and stages. All or nothing for what is under the filter: after an error nothing is staged, and what
/// was stored is found again by the next call.
pub fn add(repo: &Repo, options: &AddOptions) -> Result<AddOutcome> {
    let mut below = Vec::new();
    for path in &options.paths {
        let relative = repo.relative(path)?;
        below.push(relative);
    }
    let found = repo.git.list_files(&below)?;
    for (path, typed) in below.iter().zip(&options.paths) {
        let absolute = repo.absolute(path)?;
        if fsio::stat(&absolute)?.is_none() && !found.iter().any(|f| is_at_or_below(path, f)) {
            return Err(Error::not_found(format!("{} is not there", typed.display()))
                .hint("paths count from the folder you are in; `clade status` shows what there is"));
        }
    }
    let attributes = repo.git.attributes(&found)?;
    let (mut ours, mut plain) = (Vec::new(), 0);
    for (path, attribute) in found.into_iter().zip(attributes) {
        if attribute.filter.as_deref() == Some("clade") {
            ours.push(path);
        } else {
            plain += 1;
        }
    }
    let mut out = stage(repo, &ours, options.as_is)?;
    out.plain_files = plain;
    repo.git.stage(&below)?;
    Ok(out)
}

fn is_at_or_below(folder: &[u8], path: &[u8]) -> bool {
    folder.is_empty() || path == folder || (path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}

/// Stores the files under the filter at `paths` and puts their pointers into git's index.
pub fn stage(repo: &Repo, paths: &[Vec<u8>], as_is: bool) -> Result<AddOutcome> {
    let store = repo.store()?;
    let mut out = AddOutcome::default();
    let mut files: Vec<(Vec<u8>, PathBuf, Stat)> = Vec::new();
    let mut staged: Vec<(Vec<u8>, Option<Stat>, Pointer)> = Vec::new();
    let mut total = 0;
    for path in paths {
        match repo.file_state(path)? {
            FileState::Content(stat) if stat.kind == StatKind::File && stat.size_bytes > 0 => {
                total += stat.size_bytes;
                files.push((path.clone(), repo.absolute(path)?, stat));
            }
            FileState::Pointer(pointer) => staged.push((path.clone(), None, pointer)),
            // Links, empty and removed files are git's own business.
            _ => {}
        }
    }
    if !as_is {
        for (path, absolute, stat) in &files {
            check_model(path, absolute, stat)?;
        }
    }
    repo.progress().begin("Storing", Some(total), Some(files.len() as u64));
    let mut session = store.session(SessionKind::Batch, repo.progress(), repo.interrupt());
    let mut seen = Vec::new();
    for (path, absolute, stat) in files {
        let known = repo.index().cached_file(&repo.layout.worktree, &path, &stat).map_err(crate::repo::Error::from)?;
        let known = match known {
            Some(id) if store.presence(id, stat.size_bytes)? == Presence::Complete => Some(id),
            _ => None,
        };
        let (file_id, stat) = match known {
            Some(id) => {
                repo.progress().bytes(stat.size_bytes);
                (id, stat)
            }
            None => {
                let (done, stat) = session.add_path(&absolute)?;
                out.new_bytes += done.new_bytes;
                seen.push((path.clone(), stat, done.file_id));
                (done.file_id, stat)
            }
        };
        out.files += 1;
        out.size_bytes += stat.size_bytes;
        staged.push((path, Some(stat), Pointer { file_id, size_bytes: stat.size_bytes }));
    }
    out.stored_bytes = session.finish()?.stored_bytes;
    repo.progress().end();
    repo.remember(&seen)?;
    write_pointers(repo, &staged)?;
    Ok(out)
}

/// Puts pointers into git's index, with the stat of the files that they stand for.
fn write_pointers(repo: &Repo, staged: &[(Vec<u8>, Option<Stat>, Pointer)]) -> Result<()> {
    if staged.is_empty() {
        return Ok(());
    }
    let (mut updates, mut patches) = (Vec::new(), Vec::new());
    for (path, stat, pointer) in staged {
        let oid = repo.git.write_blob(&pointer.encode())?;
        let executable = match stat {
            Some(stat) => stat.is_executable(),
            None => fsio::stat(&repo.absolute(path)?)?.is_some_and(|s| s.is_executable()),
        };
        let mode = if executable { 0o100_755 } else { 0o100_644 };
        updates.push(IndexUpdate::Set { path: path.clone(), mode, oid });
        if let Some(stat) = stat {
            patches.push(StatPatch { path: path.clone(), expected: oid, stat: *stat });
        }
    }
    repo.git.update_index(&updates)?;
    if repo.git.config_bool("clade.patchIndex")? != Some(false) {
        repo.git.patch_index_stat(&patches)?;
    }
    Ok(())
}

/// Refuses a model file that ends before its own header says so: most often a download that broke off.
fn check_model(path: &[u8], absolute: &Path, stat: &Stat) -> Result<()> {
    if !path.to_ascii_lowercase().ends_with(b".safetensors") {
        return Ok(());
    }
    let file = fsio::File::open(absolute)?;
    let mut head = vec![0; 8.min(usize::try_from(stat.size_bytes).unwrap_or(8))];
    file.read_exact_at(&mut head, 0)?;
    if let Some(need) = tensor::safetensors_header_bytes(&head) {
        let want = need.min(stat.size_bytes).min(MAX_TENSOR_HEADER_BYTES as u64);
        head = vec![0; usize::try_from(want).unwrap_or(8)];
        file.read_exact_at(&mut head, 0)?;
    }
    match tensor::safetensors_problem(&head, stat.size_bytes) {
        None => Ok(()),
        Some(problem) => {
            let path = String::from_utf8_lossy(path).into_owned();
            Err(Error::new(Kind::NotFound, format!("{path} is not a whole safetensors file: {problem}"))
                .hint("get the file again; nothing was staged")
                .hint(format!("to keep it as it is: `clade add --as-is {path}`")))
        }
    }
}
