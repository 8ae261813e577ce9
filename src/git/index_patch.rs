//! After a file was filled with its content, its index entry still has the stat data of the pointer, and git
//! would read the whole file to learn that it is unchanged. This puts the file's stat data into the entry and
//! leaves every other byte of the index as it is, so that no extension is lost.

use super::index_file::{self, EntryStat};
use super::{Error, Git, Oid, Result, mode};
use crate::clock::Stopwatch;
use crate::{fsio, limits};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// One file whose entry shall say that it is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatPatch {
    /// The path.
    pub path: Vec<u8>,
    /// The blob that the entry must have: the pointer of the content in the working tree.
    pub expected: Oid,
    /// The file as it is now. Its content must be what the pointer names.
    pub stat: fsio::Stat,
}

/// Why nothing was patched. The files are right all the same; git will read them once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepAside {
    /// git works on an index of its own (`GIT_INDEX_FILE`).
    OtherIndex,
    /// Another program is writing the index.
    LockBusy,
    /// There is no index.
    NoIndex,
    /// The index is split over two files.
    SplitIndex,
    /// The index has an extension that must be understood and is not.
    UnknownExtension,
    /// The index was damaged before.
    Damaged,
}

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PatchReport {
    /// Entries that got new stat data.
    pub patched_count: usize,
    /// Paths whose entry is of another blob, in conflict, left out of the working tree, or not there; sorted.
    pub unmatched: Vec<Vec<u8>>,
    /// Patched paths that git will read once more, because they changed in the second in which the index was
    /// written, or later; sorted. See [`Git::index_time_s`].
    pub racy: Vec<Vec<u8>>,
    /// Why nothing was patched.
    pub aside: Option<StepAside>,
}

/// Another program holds the lock for moments only.
const LOCK_WAIT: Duration = Duration::from_millis(500);

impl Git {
    /// When the index was last written, in whole seconds since 1970; `None` when there is none. git trusts the stat
    /// data of a file only if the file changed in an earlier second, so a file that was just filled should
    /// be dated back to before this.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn index_time_s(&self) -> Result<Option<i64>> {
        Ok(fsio::stat(&self.index_path())?.map(|s| whole_seconds(s.mtime_ns)))
    }

    /// Puts the stat data of files into their index entries. The index keeps its time, so that other files that
    /// changed since are still noticed.
    ///
    /// # Errors
    /// When the index cannot be read or written. That it cannot be patched is no error but
    /// [`PatchReport::aside`].
    pub fn patch_index_stat(&self, patches: &[StatPatch]) -> Result<PatchReport> {
        let aside = |why| Ok(PatchReport { aside: Some(why), ..PatchReport::default() });
        if patches.is_empty() {
            return Ok(PatchReport::default());
        }
        let path = self.git_dir.join("index");
        if self.env.index_file.is_some() && self.index_path() != path {
            return aside(StepAside::OtherIndex);
        }
        let Some(lock) = IndexLock::take(&path)? else { return aside(StepAside::LockBusy) };
        // Only now: before, somebody else might still have written it.
        let Some(stat) = fsio::stat(&path)? else { return aside(StepAside::NoIndex) };
        let mut bytes = fsio::read_limited(&path, limits::MAX_GIT_INDEX_BYTES)?;
        let mut open: HashMap<&[u8], &StatPatch> = patches.iter().map(|p| (&p.path[..], p)).collect();
        let mut found: Vec<(usize, &StatPatch)> = Vec::new();
        let walked = index_file::walk(&bytes, self.format, |e| {
            let usable =
                e.stage == 0 && matches!(e.mode, mode::FILE | mode::EXECUTABLE) && !e.skip_worktree && !e.intent_to_add;
            if let Some(patch) = open.get(e.path).filter(|p| usable && p.expected == e.oid) {
                found.push((e.at, patch));
                open.remove(e.path);
            }
        });
        let shape = match walked {
            Ok(shape) => shape,
            Err(_) => return aside(StepAside::Damaged),
        };
        if shape.is_split {
            return aside(StepAside::SplitIndex);
        }
        if shape.has_unknown {
            return aside(StepAside::UnknownExtension);
        }
        let mut report = PatchReport { patched_count: found.len(), ..PatchReport::default() };
        report.unmatched = open.into_keys().map(<[u8]>::to_vec).collect();
        report.unmatched.sort();
        if found.is_empty() {
            return Ok(report);
        }
        for (at, patch) in found {
            index_file::overwrite_stat(&mut bytes, at, &EntryStat::of(&patch.stat));
            if whole_seconds(patch.stat.mtime_ns) >= whole_seconds(stat.mtime_ns) {
                report.racy.push(patch.path.clone());
            }
        }
        if !shape.has_no_checksum {
            let end = bytes.len() - self.format.len_bytes();
            let sum = index_file::checksum(&bytes[..end], self.format)
                .map_err(|reason| Error::Index { path: path.clone(), reason })?;
            bytes[end..].copy_from_slice(&sum);
        }
        lock.commit(&bytes, &stat, &path)?;
        Ok(report)
    }
}

fn whole_seconds(ns: i128) -> i64 {
    i64::try_from(ns.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

/// git's own lock: the file beside the index, removed unless it becomes the index.
struct IndexLock {
    file: Option<fsio::File>,
}

impl IndexLock {
    /// `None` when another program keeps it.
    fn take(index: &Path) -> Result<Option<Self>> {
        let path = index.with_extension("lock");
        let start = Stopwatch::start();
        loop {
            match fsio::File::create_new(&path) {
                Ok(file) => return Ok(Some(Self { file: Some(file) })),
                Err(fsio::Error::Io { source, .. }) if source.kind() == ErrorKind::AlreadyExists => {
                    if start.elapsed() > LOCK_WAIT {
                        return Ok(None);
                    }
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn commit(mut self, bytes: &[u8], old: &fsio::Stat, index: &Path) -> Result<()> {
        let file = self.file.as_mut().expect("taken only here");
        let lock = file.path().to_path_buf();
        file.write_all(bytes)?;
        file.sync_data()?;
        fsio::set_mode(&lock, old.mode & 0o7777)?;
        // A later time would make git trust entries of files that changed while the old index was written.
        fsio::set_mtime_ns(&lock, u64::try_from(old.mtime_ns).unwrap_or(0))?;
        fsio::rename(&lock, index)?;
        self.file = None;
        Ok(())
    }
}

impl Drop for IndexLock {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            let _ = fsio::remove_file(file.path());
        }
    }
}
