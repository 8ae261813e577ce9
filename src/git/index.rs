//! The user's index: listed from its bytes, changed through the program.

use super::config::{split_z, text};
use super::index_file::{self, EntryStat};
use super::{Error, Git, Oid, Result};
use crate::{fsio, limits};

/// One entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry {
    /// The path. In a sparse index a whole folder is one entry, of mode [`TREE`](super::mode::TREE), with a slash at its end.
    pub path: Vec<u8>,
    /// One of [`mode`](super::mode).
    pub mode: u32,
    /// The blob.
    pub oid: Oid,
    /// 0, or 1 to 3 during a conflict: base, ours, theirs.
    pub stage: u8,
    /// Whether a sparse checkout leaves it out of the working tree.
    pub skip_worktree: bool,
    /// Whether only the name was added yet (`git add -N`).
    pub intent_to_add: bool,
    /// Whether the user told git never to look at the file.
    pub assume_valid: bool,
    /// The stat data; `None` where the index is split over two files.
    pub stat: Option<EntryStat>,
}

/// A change of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexUpdate {
    /// Sets the entry at a path, without stat data.
    Set {
        /// The path.
        path: Vec<u8>,
        /// One of [`mode`](super::mode).
        mode: u32,
        /// The blob, which must exist.
        oid: Oid,
    },
    /// Removes the entry at a path.
    Remove {
        /// The path.
        path: Vec<u8>,
    },
}

impl Git {
    /// All entries of the index, in its order: by path, then stage. None when there is no index yet.
    ///
    /// # Errors
    /// [`Error::Index`] for a damaged one.
    pub fn index_entries(&self) -> Result<Vec<IndexEntry>> {
        let path = self.index_path();
        let bytes = match fsio::read_limited(&path, limits::MAX_GIT_INDEX_BYTES) {
            Ok(bytes) => bytes,
            Err(e) if e.is_not_found() => return Ok(Vec::new()),
            Err(e) => return Err(e.into()),
        };
        let mut out = Vec::new();
        let shape = index_file::walk(&bytes, self.format, |e| {
            out.push(IndexEntry {
                path: e.path.to_vec(),
                mode: e.mode,
                oid: e.oid,
                stage: e.stage,
                skip_worktree: e.skip_worktree,
                intent_to_add: e.intent_to_add,
                assume_valid: e.assume_valid,
                stat: Some(e.stat),
            });
        })
        .map_err(|reason| Error::Index { path, reason })?;
        if shape.is_split || shape.has_unknown { self.index_from_program() } else { Ok(out) }
    }

    fn index_from_program(&self) -> Result<Vec<IndexEntry>> {
        let wrong = |item: &[u8]| Error::Output { command: "ls-files".to_owned(), detail: text(item) };
        let out = self.run(&["ls-files", "-z", "--stage", "-v"])?;
        let mut entries = Vec::new();
        for item in split_z(&out.stdout) {
            let at = item.iter().position(|b| *b == b'\t').ok_or_else(|| wrong(item))?;
            let head = text(&item[..at]);
            let parts: Vec<&str> = head.split(' ').collect();
            let [tag, mode, oid, stage] = parts[..] else { return Err(wrong(item)) };
            entries.push(IndexEntry {
                path: item[at + 1..].to_vec(),
                mode: u32::from_str_radix(mode, 8).map_err(|_| wrong(item))?,
                oid: self.parse_oid("ls-files", oid)?,
                stage: stage.parse().map_err(|_| wrong(item))?,
                skip_worktree: tag.eq_ignore_ascii_case("s"),
                intent_to_add: false,
                assume_valid: tag.chars().all(|c| c.is_ascii_lowercase()),
                stat: None,
            });
        }
        Ok(entries)
    }

    /// Changes entries, all in one step. The new entries have no stat data, so that git looks at their content
    /// next time unless [`Git::patch_index_stat`] follows.
    ///
    /// # Errors
    /// When `git` fails, for example because the index is locked.
    pub fn update_index(&self, updates: &[IndexUpdate]) -> Result<()> {
        if updates.is_empty() {
            return Ok(());
        }
        let mut stdin = Vec::new();
        for update in updates {
            let (mode, oid, path) = match update {
                IndexUpdate::Set { path, mode, oid } => (*mode, *oid, path),
                IndexUpdate::Remove { path } => (0, self.format.null(), path),
            };
            stdin.extend_from_slice(format!("{mode:o} {oid}\t").as_bytes());
            stdin.extend_from_slice(path);
            stdin.push(0);
        }
        self.run_with(&["update-index", "-z", "--index-info"], stdin).map(drop)
    }

    /// Lets git compare all files whose stat data differ with the index and take over the stat data of those that
    /// are equal. Returns whether all are.
    ///
    /// # Errors
    /// When `git` fails, for example because the index is locked.
    pub fn refresh_index(&self) -> Result<bool> {
        Ok(self.ask(&["update-index", "--refresh"])?.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::mode;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn updated_listed_and_split() {
        let repo = TestRepo::new();
        let git = repo.open();
        assert!(git.index_entries().expect("none yet").is_empty());
        repo.commit(&[("a", b"1"), ("b", b"2")]);
        let oid = git.write_blob(b"3").expect("writes");
        let set = IndexUpdate::Set { path: b"d/new\nline".to_vec(), mode: mode::EXECUTABLE, oid };
        git.update_index(&[set, IndexUpdate::Remove { path: b"a".to_vec() }]).expect("updates");
        let list = git.index_entries().expect("lists");
        let names: Vec<&[u8]> = list.iter().map(|e| &e.path[..]).collect();
        assert_eq!(names, [&b"b"[..], b"d/new\nline"]);
        assert_eq!((list[1].mode, list[1].oid, list[1].stat.expect("none yet").size), (mode::EXECUTABLE, oid, 0));
        assert!(!git.refresh_index().expect("runs"), "the new file is not in the working tree");
        repo.git(&["update-index", "--assume-unchanged", "b"]);
        repo.git(&["update-index", "--split-index"]);
        let split = git.index_entries().expect("lists");
        assert_eq!(split.len(), 2);
        assert!(split[0].assume_valid && split[0].stat.is_none() && !split[1].assume_valid);
        assert_eq!(split[1].oid, oid);
    }
}
