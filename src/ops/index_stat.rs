//! What git's index says of files that stand for pointers.
//!
//! An entry keeps the size of the file that git wrote: the pointer. Once the content is there, git takes another
//! size for a change without looking, so the stat data is forgotten before a file is written (git then compares
//! contents, whatever happens next) and told anew afterwards (git then compares nothing).

use super::Result;
use crate::fsio::{self, Stat, StatKind};
use crate::git::{IndexUpdate, Oid, StatPatch, StepAside};
use crate::manifest::Pointer;
use crate::repo::Repo;
use std::collections::BTreeMap;

/// The entries of some paths.
pub(super) struct Entries {
    by_path: BTreeMap<Vec<u8>, (u32, Oid)>,
}

/// Stat data that no file has: git looks at the content.
const UNKNOWN: Stat =
    Stat { kind: StatKind::File, size_bytes: 0, mtime_ns: 0, ctime_ns: 0, dev: 0, ino: 0, mode: 0, uid: 0, gid: 0 };

impl Entries {
    /// Reads the entries of `paths`; conflicts are left out.
    pub(super) fn of(repo: &Repo, paths: Vec<Vec<u8>>) -> Result<Self> {
        let entries = repo.git.staged_files(Some(&paths))?;
        let whole = entries.into_iter().filter(|e| e.stage == 0);
        Ok(Self { by_path: whole.map(|e| (e.path, (e.mode, e.oid))).collect() })
    }

    pub(super) fn is_executable(&self, path: &[u8]) -> bool {
        matches!(self.by_path.get(path), Some((0o100_755, _)))
    }

    /// Makes git compare contents at `paths` until it is told otherwise.
    pub(super) fn forget_stats<'a>(&self, repo: &Repo, paths: impl Iterator<Item = &'a Vec<u8>>) -> Result<()> {
        let patches: Vec<StatPatch> = paths
            .filter_map(|path| {
                let (_, oid) = self.by_path.get(path)?;
                Some(StatPatch { path: path.clone(), expected: *oid, stat: UNKNOWN })
            })
            .collect();
        self.patch(repo, &patches).map(|_| ())
    }

    /// Tells the stat cache and git's index what files look like whose contents are what the pointers name. Returns
    /// why git will read them once more, if it will.
    pub(super) fn tell(&self, repo: &Repo, files: &[(Vec<u8>, Pointer)]) -> Result<Option<String>> {
        let (mut seen, mut patches) = (Vec::new(), Vec::new());
        for (path, pointer) in files {
            let Some(stat) = fsio::stat(&repo.absolute(path)?)? else { continue };
            seen.push((path.clone(), stat, pointer.file_id));
            if let Some((_, oid)) = self.by_path.get(path) {
                patches.push(StatPatch { path: path.clone(), expected: *oid, stat });
            }
        }
        repo.remember(&seen)?;
        self.patch(repo, &patches)
    }

    /// Tells git's index what files look like that are pointers.
    pub(super) fn tell_pointers<'a>(&self, repo: &Repo, paths: impl Iterator<Item = &'a Vec<u8>>) -> Result<()> {
        let mut patches = Vec::new();
        for path in paths {
            if let (Some((_, oid)), Some(stat)) = (self.by_path.get(path), fsio::stat(&repo.absolute(path)?)?) {
                patches.push(StatPatch { path: path.clone(), expected: *oid, stat });
            }
        }
        self.patch(repo, &patches).map(|_| ())
    }

    /// Patches the index; where that is not possible or not wanted, git itself makes the entries anew, without stat
    /// data.
    fn patch(&self, repo: &Repo, patches: &[StatPatch]) -> Result<Option<String>> {
        if patches.is_empty() {
            return Ok(None);
        }
        let reason = if repo.git.config_bool("clade.patchIndex")? == Some(false) {
            "clade.patchIndex is off"
        } else {
            match repo.git.patch_index_stat(patches)?.aside {
                None => return Ok(None),
                // Not the index that the files are checked against.
                Some(why @ (StepAside::OtherIndex | StepAside::NoIndex)) => return Ok(Some(explain(why).to_owned())),
                Some(why) => explain(why),
            }
        };
        let updates: Vec<IndexUpdate> = patches
            .iter()
            .filter_map(|p| {
                let (mode, oid) = *self.by_path.get(&p.path)?;
                Some(IndexUpdate::Set { path: p.path.clone(), mode, oid })
            })
            .collect();
        repo.git.update_index(&updates)?;
        Ok(Some(reason.to_owned()))
    }
}

fn explain(why: StepAside) -> &'static str {
    match why {
        StepAside::OtherIndex => "git works on an index of its own",
        StepAside::LockBusy => "another program is writing git's index",
        StepAside::NoIndex => "there is no index",
        StepAside::SplitIndex => "the index is split",
        StepAside::UnknownExtension => "the index has an unknown extension",
        StepAside::Damaged => "the index is damaged",
    }
}
