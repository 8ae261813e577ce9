//! The files of the working tree: which of them are assets, and what they hold now.

use super::assets::{Claim, Grouped};
use super::{AssetVersion, Error, Member, Repo, Result};
use crate::fsio::{self, Stat, StatKind};
use crate::id::FileId;
use crate::index::CachedFile;
use crate::limits::MAX_POINTER_BYTES;
use crate::manifest::{self, Page, Parsed, Pointer};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// What a path of the working tree is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// Nothing is there.
    Absent,
    /// A pointer: the bytes are not here.
    Pointer(Pointer),
    /// An ordinary file or a link.
    Content(Stat),
    /// A folder, device, socket or pipe.
    Other,
}

/// A path that a person typed, from the top of the working tree.
pub(super) fn relative(repo: &Repo, path: &Path) -> Result<Vec<u8>> {
    let top = repo.git.require_work_tree()?;
    let absolute = normalize(&repo.context.cwd.join(path));
    let top_real = normalize(top);
    let inside = absolute.strip_prefix(&top_real).map(Path::to_path_buf).or_else(|_| {
        // The working tree may be reached through a link.
        let parent = absolute.parent().and_then(fsio::real_path);
        let real = parent.map(|p| p.join(absolute.file_name().unwrap_or_default())).unwrap_or(absolute.clone());
        let top = fsio::real_path(&top_real).unwrap_or(top_real.clone());
        real.strip_prefix(&top).map(Path::to_path_buf)
    });
    match inside {
        Ok(inside) => Ok(inside.as_os_str().as_bytes().to_vec()),
        Err(_) => Err(Error::Outside { path: path.to_path_buf(), work_tree: top.to_path_buf() }),
    }
}

/// Resolves `.` and `..` by name only.
fn normalize(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

impl Repo {
    /// The absolute path of a path from the top of the working tree.
    pub fn absolute(&self, path: &[u8]) -> Result<PathBuf> {
        Ok(self.git.require_work_tree()?.join(OsStr::from_bytes(path)))
    }

    /// What is at a path of the working tree.
    pub fn file_state(&self, path: &[u8]) -> Result<FileState> {
        let absolute = self.absolute(path)?;
        let Some(stat) = fsio::stat(&absolute)? else { return Ok(FileState::Absent) };
        if !matches!(stat.kind, StatKind::File | StatKind::Symlink) {
            return Ok(FileState::Other);
        }
        if stat.kind == StatKind::File && stat.size_bytes < MAX_POINTER_BYTES as u64 && stat.size_bytes > 0 {
            let bytes = fsio::read_limited(&absolute, MAX_POINTER_BYTES as u64)?;
            if let Parsed::Pointer(pointer) = manifest::parse(&bytes) {
                return Ok(FileState::Pointer(pointer));
            }
        }
        Ok(FileState::Content(stat))
    }

    /// What a file of the working tree holds: its id and size, or those that its pointer names. Reads the
    /// file unless it is known to be untouched since it was last read.
    pub fn file_content(&self, path: &[u8]) -> Result<Option<(FileId, u64)>> {
        let stat = match self.file_state(path)? {
            FileState::Absent | FileState::Other => return Ok(None),
            FileState::Pointer(pointer) => return Ok(Some((pointer.file_id, pointer.size_bytes))),
            FileState::Content(stat) => stat,
        };
        let absolute = self.absolute(path)?;
        if stat.kind == StatKind::Symlink {
            let target = fsio::read_link(&absolute)?;
            let bytes = target.as_os_str().as_bytes();
            return Ok(Some((FileId::of(bytes), bytes.len() as u64)));
        }
        if let Some(id) = self.index().cached_file(&self.layout.worktree, path, &stat)? {
            return Ok(Some((id, stat.size_bytes)));
        }
        let id = hash_file(&absolute)?;
        if fsio::stat(&absolute)? != Some(stat) {
            return Err(crate::store::Error::Changed { path: absolute }.into());
        }
        self.remember(&[(path.to_vec(), stat, id)])?;
        Ok(Some((id, stat.size_bytes)))
    }

    /// Remembers what files held when they had these stats.
    pub fn remember(&self, files: &[(Vec<u8>, Stat, FileId)]) -> Result<()> {
        // The stats were taken before now, so an older "seen" time would only trust less.
        let seen_ns = self.now_ms().saturating_mul(1_000_000);
        let files: Vec<CachedFile> = files
            .iter()
            .map(|(path, stat, file_id)| CachedFile { path: path.clone(), stat: *stat, seen_ns, file_id: *file_id })
            .collect();
        Ok(self.index().remember_files(&self.layout.worktree, &files)?)
    }

    /// The paths that the index of this worktree holds at or below `paths` (all where none is given), with
    /// what their attributes make them part of.
    pub(super) fn claimed_paths(&self, below: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, u32, Claim)>> {
        let entries = self.git.staged_files(None)?;
        let wanted: Vec<(Vec<u8>, u32)> = entries
            .into_iter()
            .filter(|e| e.stage <= 2 && (below.is_empty() || below.iter().any(|b| is_below(b, &e.path))))
            .map(|e| (e.path, e.mode))
            .collect();
        let paths: Vec<Vec<u8>> = wanted.iter().map(|(p, _)| p.clone()).collect();
        let attributes = self.git.attributes(&paths)?;
        let mut out: Vec<(Vec<u8>, u32, Claim)> = wanted
            .into_iter()
            .zip(attributes)
            .filter_map(|((path, mode), a)| Claim::of(&path, &a).map(|claim| (path, mode, claim)))
            .collect();
        // A conflict leaves a path several times in the index.
        out.dedup_by(|a, b| a.0 == b.0);
        Ok(out)
    }

    /// The paths under the filter that the index holds at or below `paths`; all where none is given.
    pub fn filtered_paths(&self, below: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let claimed = self.claimed_paths(below)?;
        Ok(claimed.into_iter().filter(|(_, _, c)| c.filtered).map(|(path, _, _)| path).collect())
    }

    /// The assets of the working tree, by name, as far as git tracks them. Absent files are no members. Pages
    /// of folder assets go to `sink`.
    pub fn assets_in_worktree(
        &self,
        name: Option<&str>,
        sink: &mut dyn FnMut(Page) -> Result<()>,
    ) -> Result<Vec<AssetVersion>> {
        let mut groups = Grouped::default();
        for (path, mode, claim) in self.claimed_paths(&[])? {
            self.interrupt().check()?;
            if name.is_some_and(|n| n != claim.asset) {
                continue;
            }
            let Some((file_id, size_bytes)) = self.file_content(&path)? else { continue };
            let is_pointer = claim.filtered;
            groups.push(claim, Member { path, mode, file_id, size_bytes, blob: None, is_pointer });
        }
        groups.versions(sink)
    }
}

/// Whether `path` is `folder` or lies below it; the empty folder is the top.
pub(super) fn is_below(folder: &[u8], path: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    folder.is_empty() || path == folder || (path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}

/// BLAKE3 of a file, read in blocks.
pub(super) fn hash_file(path: &Path) -> Result<FileId> {
    use std::io::Read as _;
    let mut file = fsio::File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; 4 * 1024 * 1024];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(FileId::from(hasher.finalize())),
            Ok(n) => {
                hasher.update_rayon(&block[..n]);
            }
            Err(source) => {
                return Err(fsio::Error::Io { op: "read", path: path.to_path_buf(), source }.into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_by_folders() {
        assert!(is_below(b"", b"a/b"));
        assert!(is_below(b"a", b"a"));
        assert!(is_below(b"a/", b"a/b"));
        assert!(!is_below(b"a", b"ab"));
        assert_eq!(normalize(Path::new("/a/./b/../c")), Path::new("/a/c"));
    }
}
