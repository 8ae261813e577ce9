//! Bytes in place of pointers: after a checkout, and on `clade pull`.

use super::index_stat::Entries;
use super::{Result, fetching};
use crate::fsio;
use crate::manifest::{Parsed, Pointer, parse};
use crate::process;
use crate::repo::{FileState, Repo};
use crate::transfer::Wanted;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

/// Paths that a running git command has checked out as pointers, in a file named after its process. The hook
/// that the same process starts afterwards takes them.
pub struct Pending {
    path: PathBuf,
    dir: PathBuf,
}

impl Pending {
    /// The list of the git process with this id.
    #[must_use]
    pub fn of(repo: &Repo, git_pid: u32) -> Self {
        let dir = repo.layout.worktree_dir();
        Self { path: dir.join(format!("pending.{git_pid}")), dir }
    }

    /// Notes a path. A line is its pointer's id and size, and the path, with a zero byte at its end.
    pub fn push(&self, path: &[u8], pointer: &Pointer) -> Result<()> {
        fsio::create_dir_all(&self.dir)?;
        let mut line = format!("{} {} ", pointer.file_id, pointer.size_bytes).into_bytes();
        line.extend_from_slice(path);
        line.push(0);
        let mut file = fsio::File::append(&self.path)?;
        Ok(file.write_all(&line)?)
    }

    /// The lists of git processes that ended without their hook, or in the middle of it.
    pub fn leftovers(repo: &Repo) -> Result<Vec<Self>> {
        let dir = repo.layout.worktree_dir();
        let mut out = Vec::new();
        for name in fsio::list_dir(&dir)? {
            let pid = name.to_string_lossy().strip_prefix("pending.").and_then(|p| p.parse::<u32>().ok());
            if pid.is_some_and(|pid| !process::is_alive(pid)) {
                out.push(Self { path: dir.join(&name), dir: dir.clone() });
            }
        }
        Ok(out)
    }

    /// Whether the list is that of the git process with this id.
    #[must_use]
    pub fn is_of(&self, git_pid: u32) -> bool {
        self.path.ends_with(format!("pending.{git_pid}"))
    }

    /// Forgets the list: everything on it was dealt with.
    pub fn remove(&self) -> Result<()> {
        Ok(fsio::remove_file(&self.path)?)
    }

    /// What was noted. It stays noted until [`Pending::remove`], so that a killed hook is taken up again.
    pub fn read(&self) -> Result<Vec<(Vec<u8>, Pointer)>> {
        let Some(bytes) = fsio::read_opt(&self.path)? else { return Ok(Vec::new()) };
        let mut out = BTreeMap::new();
        for line in bytes.split(|b| *b == 0) {
            let mut parts = line.splitn(3, |b| *b == b' ');
            let (Some(id), Some(size), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let id = String::from_utf8_lossy(id).parse();
            let size = String::from_utf8_lossy(size).parse();
            if let (Ok(file_id), Ok(size_bytes)) = (id, size) {
                out.insert(path.to_vec(), Pointer { file_id, size_bytes });
            }
        }
        Ok(out.into_iter().collect())
    }

    /// Whether anything was noted.
    #[must_use]
    pub fn exists(&self) -> bool {
        fsio::exists(&self.path)
    }
}

/// What hydration did.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct HydrateOutcome {
    /// Files whose bytes are in place now.
    pub hydrated: u64,
    /// Their bytes.
    pub hydrated_bytes: u64,
    /// Paths that still are pointers, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftPointer>,
    /// Why git's index was not told, so that the next `git status` reads the files once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_untouched: Option<String>,
}

/// A path that still is a pointer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct LeftPointer {
    /// The path from the top of the working tree.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Puts bytes in place of the pointers at `paths`. A path that holds anything else than exactly that pointer
/// is left alone: edits are never overwritten. Files are fetched first where the store lacks them. Files that
/// are in place already are only told to git again, which may have written its index since.
pub fn hydrate(repo: &Repo, paths: &[(Vec<u8>, Pointer)]) -> Result<HydrateOutcome> {
    let mut out = HydrateOutcome::default();
    let (mut ready, mut there) = (Vec::new(), Vec::new());
    for (path, pointer) in paths {
        match repo.file_state(path)? {
            FileState::Pointer(found) if found == *pointer => ready.push((path.clone(), *pointer)),
            FileState::Content(stat) => {
                let known = repo.index().cached_file(&repo.layout.worktree, path, &stat);
                if known.map_err(crate::repo::Error::from)? == Some(pointer.file_id) {
                    there.push((path.clone(), *pointer));
                }
            }
            _ => {}
        }
    }
    let wanted: Vec<Wanted> = ready.iter().map(|(_, p)| Wanted { file: p.file_id, size_bytes: p.size_bytes }).collect();
    let absent = fetching::try_ensure(repo, &wanted)?;
    let (go, stay): (Vec<_>, Vec<_>) = ready.into_iter().partition(|(_, p)| !absent.contains_key(&p.file_id));
    for (path, pointer) in stay {
        let path = String::from_utf8_lossy(&path).into_owned();
        out.left.push(LeftPointer { path, reason: absent[&pointer.file_id].clone() });
    }
    let entries = Entries::of(repo, go.iter().chain(&there).map(|(path, _)| path.clone()).collect())?;
    entries.forget_stats(repo, go.iter().map(|(path, _)| path))?;
    let done = write_files(repo, &go, &entries, &mut out)?;
    out.hydrated = done.len() as u64;
    out.hydrated_bytes = done.iter().map(|(_, p)| p.size_bytes).sum();
    out.left.sort();
    let told: Vec<_> = done.into_iter().chain(there).collect();
    out.index_untouched = entries.tell(repo, &told)?;
    Ok(out)
}

/// Writes files in parallel and returns those that are in place.
fn write_files(
    repo: &Repo,
    go: &[(Vec<u8>, Pointer)],
    entries: &Entries,
    out: &mut HydrateOutcome,
) -> Result<Vec<(Vec<u8>, Pointer)>> {
    let store = repo.store()?;
    let total: u64 = go.iter().map(|(_, p)| p.size_bytes).sum();
    repo.progress().begin("Writing files", Some(total), Some(go.len() as u64));
    let index_time_s = repo.git.index_time_s()?;
    let done = Mutex::new(Vec::new());
    let left = Mutex::new(Vec::new());
    go.par_iter().try_for_each(|(path, pointer)| -> Result<()> {
        let say = |reason: String| {
            let path = String::from_utf8_lossy(path).into_owned();
            left.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(LeftPointer { path, reason });
        };
        let dest = repo.absolute(path)?;
        let mode = if entries.is_executable(path) { 0o777 } else { 0o666 };
        let unedited = || repo.file_state(path).is_ok_and(|state| state == FileState::Pointer(*pointer));
        match store.materialise_if(
            pointer.file_id,
            pointer.size_bytes,
            &dest,
            mode & !repo.context.umask,
            repo.progress(),
            repo.interrupt(),
            &unedited,
        ) {
            Ok(true) => {
                back_date(&dest, index_time_s)?;
                done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((path.clone(), *pointer));
                Ok(())
            }
            Ok(false) => {
                say("it was edited meanwhile".to_owned());
                Ok(())
            }
            Err(e) if e.is_integrity() => {
                say(e.to_string());
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    })?;
    repo.progress().end();
    out.left.extend(left.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner));
    Ok(done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// Sets a file's time to before the index was written: git believes the stat data of older files only, and would
/// read others once more to be sure.
fn back_date(path: &std::path::Path, index_time_s: Option<i64>) -> Result<()> {
    let Some(stat) = fsio::stat(path)? else { return Ok(()) };
    let now_ns = u64::try_from(stat.mtime_ns).unwrap_or(0);
    let index_ns = index_time_s.and_then(|s| u64::try_from(s).ok()).map_or(now_ns, |s| s.saturating_mul(1_000_000_000));
    Ok(fsio::set_mtime_ns(path, now_ns.min(index_ns).saturating_sub(3_000_000_000))?)
}

/// The pointers at or below `below` in the working tree; all where none is given.
pub fn pointers_in_worktree(repo: &Repo, below: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Pointer)>> {
    let mut out = Vec::new();
    for path in repo.filtered_paths(below)? {
        if let FileState::Pointer(pointer) = repo.file_state(&path)? {
            out.push((path, pointer));
        }
    }
    Ok(out)
}

/// The most bytes that a checkout puts in place by itself: `clade.hydrateMax`, at most half of what is free on
/// the disk; none in an automated build.
pub fn automatic_limit_bytes(repo: &Repo) -> Result<u64> {
    const DEFAULT: u64 = 20 * crate::limits::GIB;
    if let Some(set) = repo.git.config_int("clade.hydrateMax")? {
        return Ok(u64::try_from(set).unwrap_or(0));
    }
    if repo.context.is_ci {
        return Ok(0);
    }
    let free = fsio::disk_free_bytes(&repo.layout.dir)?;
    Ok(DEFAULT.min(free / 2))
}

/// Reads a pointer of git's object database.
pub fn parse_pointer(bytes: &[u8]) -> Option<Pointer> {
    match parse(bytes) {
        Parsed::Pointer(pointer) => Some(pointer),
        _ => None,
    }
}
