//! Files that appear whole or not at all.

use super::{Error, File, Result, fault, meta};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file under a random name, removed again unless it is persisted.
#[derive(Debug)]
#[must_use = "a temporary file that is not persisted is removed"]
pub struct TempFile {
    file: Option<File>,
    path: PathBuf,
}

impl TempFile {
    /// Creates an empty file in `dir`, which must exist. The name starts with `prefix` and is random.
    pub fn new_in(dir: &Path, prefix: &str) -> Result<Self> {
        let path = dir.join(format!("{prefix}{}.tmp", uuid::Uuid::new_v4().simple()));
        let file = File::create_new(&path)?;
        // So that others can tell it from one that a killed process left.
        file.lock_exclusive()?;
        Ok(Self { file: Some(file), path })
    }

    /// The open file.
    pub fn file(&mut self) -> &mut File {
        self.file.as_mut().expect("the file is taken only when the value is consumed")
    }

    /// Where the file is now.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs the file, moves it over `dest` and syncs `dest`'s folder: durable when it returns.
    pub fn persist(self, dest: &Path) -> Result<()> {
        self.file_ref().sync_all()?;
        self.persist_unsynced(dest)?;
        meta::sync_dir(parent(dest))
    }

    /// Moves the file over `dest` in one step without making it durable.
    pub fn persist_unsynced(mut self, dest: &Path) -> Result<()> {
        meta::rename(&self.path, dest)?;
        self.file = None;
        Ok(())
    }

    /// Syncs the file and gives it the name `dest`, unless something has that name: then `false`, and
    /// nothing changed. Durable when it returns `true`.
    pub fn persist_new(self, dest: &Path) -> Result<bool> {
        self.file_ref().sync_all()?;
        fault::point(|| ()).map_err(|e| Error::io("link", dest, e))?;
        match fs::hard_link(&self.path, dest) {
            Ok(()) => {
                meta::sync_dir(parent(dest))?;
                Ok(true)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(e) => Err(Error::io("link", dest, e)),
        }
    }

    fn file_ref(&self) -> &File {
        self.file.as_ref().expect("the file is taken only when the value is consumed")
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The folder that holds `path`.
pub(super) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    }
}

/// Replaces or creates `path` with `bytes`: readers see the old content or the new, never a mixture, also
/// after a crash. The folder must exist. Durable when it returns.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temp = TempFile::new_in(parent(path), ".clade-")?;
    temp.file().write_all(bytes)?;
    temp.persist(path)
}

/// Like [`write_atomic`], and keeps the permission bits of the file that is replaced.
pub fn write_atomic_in_place_of(path: &Path, bytes: &[u8]) -> Result<()> {
    let mode = meta::stat(path)?.map(|s| s.mode);
    let mut temp = TempFile::new_in(parent(path), ".clade-")?;
    temp.file().write_all(bytes)?;
    if let Some(mode) = mode {
        meta::set_mode(temp.path(), mode & 0o7777)?;
    }
    temp.persist(path)
}

/// Creates `path` with `bytes` unless it exists: then `false`, and it is untouched. Durable when it returns
/// `true`. Of several racing callers exactly one gets `true`.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let mut temp = TempFile::new_in(parent(path), ".clade-")?;
    temp.file().write_all(bytes)?;
    temp.persist_new(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_whole_and_created_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("f");
        assert!(create_new(&path, b"one").expect("creates"));
        assert!(!create_new(&path, b"two").expect("finds it there"));
        assert_eq!(super::super::read(&path).expect("reads"), b"one");
        write_atomic(&path, b"three").expect("replaces");
        assert_eq!(super::super::read(&path).expect("reads"), b"three");
        assert_eq!(meta::list_dir(dir.path()).expect("lists").len(), 1, "no temporary file stays");
    }

    #[test]
    fn an_unpersisted_file_goes_away() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        drop(TempFile::new_in(dir.path(), "x").expect("creates"));
        assert!(meta::list_dir(dir.path()).expect("lists").is_empty());
    }
}
