//! Trees of the ledger: added to, united and compared, folder by folder; equal folders are not read.

use super::objects::{peel, read_tree};
use super::{Error, Git, Oid, Result, TreeEntry, mode};
use gix::objs::Kind;
use std::collections::BTreeMap;

/// The entries of one folder by name.
type Folder = BTreeMap<Vec<u8>, (u32, Oid)>;

/// Ledger paths have a handful of levels; a deeper tree is not one of ours.
const MAX_LEVELS: usize = 32;

/// How two trees differ.
#[derive(Debug, Default)]
pub(super) struct TreeDiff {
    pub(super) added: Vec<TreeEntry>,
    pub(super) changed: Vec<Vec<u8>>,
    pub(super) removed: Vec<Vec<u8>>,
}

impl Git {
    /// The tree of `base` (a tree) with files added, durable. A path that is there already must have the
    /// same blob.
    pub(super) fn tree_with(&self, base: Option<Oid>, files: &BTreeMap<Vec<u8>, Oid>) -> Result<Oid> {
        let files: Vec<(&[u8], Oid)> = files.iter().map(|(path, oid)| (&path[..], *oid)).collect();
        self.insert(base, &files, 0)
    }

    /// `files` share the folder that `base` is; their paths start in it and are sorted.
    fn insert(&self, base: Option<Oid>, files: &[(&[u8], Oid)], level: usize) -> Result<Oid> {
        let wrong = |path: &[u8]| Error::LedgerPath { path: String::from_utf8_lossy(path).into_owned() };
        let mut folder = match base {
            Some(tree) => self.folder(tree)?,
            None => Folder::new(),
        };
        let mut below: BTreeMap<&[u8], Vec<(&[u8], Oid)>> = BTreeMap::new();
        for &(path, oid) in files {
            let at = path.iter().position(|b| *b == b'/');
            let name = &path[..at.unwrap_or(path.len())];
            if matches!(name, b"" | b"." | b".." | b".git") || name.contains(&0) || level > MAX_LEVELS {
                return Err(wrong(path));
            }
            match at {
                Some(at) => below.entry(name).or_default().push((&path[at + 1..], oid)),
                None => {
                    let there = folder.insert(name.to_vec(), (mode::FILE, oid));
                    if there.is_some_and(|there| there != (mode::FILE, oid)) {
                        return Err(wrong(path));
                    }
                }
            }
        }
        for (name, files) in below {
            let there = folder.get(name).copied();
            if there.is_some_and(|(mode, _)| mode != mode::TREE) {
                return Err(wrong(name));
            }
            let tree = self.insert(there.map(|(_, oid)| oid), &files, level + 1)?;
            folder.insert(name.to_vec(), (mode::TREE, tree));
        }
        self.write_folder(&folder)
    }

    /// The union of two trees, durable; the first path that has two contents is an error.
    pub(super) fn tree_union(&self, ours: Oid, theirs: Oid) -> Result<Oid> {
        self.unite(ours, theirs, &mut Vec::new())
            .and_then(|united| united.map_err(|path| Error::LedgerConflict { ours, theirs, path }))
    }

    fn unite(&self, ours: Oid, theirs: Oid, at: &mut Vec<u8>) -> Result<Result<Oid, String>> {
        if ours == theirs {
            return Ok(Ok(ours));
        }
        let (own, other) = (self.folder(ours)?, self.folder(theirs)?);
        let mut all = own.clone();
        for (name, entry) in &other {
            let united = match own.get(name) {
                None => *entry,
                Some(mine) if mine == entry => continue,
                Some(mine) => {
                    let len = at.len();
                    at.extend_from_slice(name);
                    let both_folders = mine.0 == mode::TREE && entry.0 == mode::TREE;
                    if !both_folders || at.iter().filter(|b| **b == b'/').count() > MAX_LEVELS {
                        return Ok(Err(String::from_utf8_lossy(at).into_owned()));
                    }
                    at.push(b'/');
                    let below = self.unite(mine.1, entry.1, at)?;
                    at.truncate(len);
                    match below {
                        Ok(tree) => (mode::TREE, tree),
                        conflict => return Ok(conflict),
                    }
                }
            };
            all.insert(name.clone(), united);
        }
        Ok(Ok(if all == own {
            ours
        } else if all == other {
            theirs
        } else {
            self.write_folder(&all)?
        }))
    }

    /// What `new` has that `old` has not, and the other way round.
    pub(super) fn tree_diff(&self, old: Option<Oid>, new: Oid) -> Result<TreeDiff> {
        let mut out = TreeDiff::default();
        self.compare(old, Some(new), &mut Vec::new(), 0, &mut out)?;
        Ok(out)
    }

    fn compare(
        &self,
        old: Option<Oid>,
        new: Option<Oid>,
        at: &mut Vec<u8>,
        level: usize,
        out: &mut TreeDiff,
    ) -> Result<()> {
        if old == new {
            return Ok(());
        }
        if level > MAX_LEVELS {
            return Err(Error::LedgerPath { path: String::from_utf8_lossy(at).into_owned() });
        }
        let read = |tree: Option<Oid>| tree.map_or_else(|| Ok(Folder::new()), |t| self.folder(t));
        let (before, after) = (read(old)?, read(new)?);
        let names: std::collections::BTreeSet<&Vec<u8>> = before.keys().chain(after.keys()).collect();
        for name in names {
            let (was, is) = (before.get(name).copied(), after.get(name).copied());
            if was == is {
                continue;
            }
            let len = at.len();
            at.extend_from_slice(name);
            let tree = |e: Option<(u32, Oid)>| e.filter(|(m, _)| *m == mode::TREE).map(|(_, oid)| oid);
            let file = |e: Option<(u32, Oid)>| e.filter(|(m, _)| *m != mode::TREE);
            match (file(was), file(is)) {
                (Some(_), Some(_)) => out.changed.push(at.clone()),
                (Some(_), None) => out.removed.push(at.clone()),
                (None, Some((mode, oid))) => out.added.push(TreeEntry { path: at.clone(), mode, oid }),
                (None, None) => {}
            }
            if tree(was).is_some() || tree(is).is_some() {
                at.push(b'/');
                self.compare(tree(was), tree(is), at, level + 1, out)?;
            }
            at.truncate(len);
        }
        Ok(())
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// [`super::Error::MissingObject`], [`super::Error::BadObject`].
    pub fn tree_of(&self, commit: Oid) -> Result<Oid> {
        peel(&self.gix()?, commit, Kind::Tree)
    }

    fn folder(&self, tree: Oid) -> Result<Folder> {
        Ok(read_tree(&self.gix()?, tree)?.into_iter().map(|e| (e.path, (e.mode, e.oid))).collect())
    }

    fn write_folder(&self, folder: &Folder) -> Result<Oid> {
        let mut entries: Vec<_> = folder.iter().collect();
        // git orders a folder as if its name ended with a slash.
        entries.sort_by_cached_key(|(name, (mode, _))| {
            let mut key = (*name).clone();
            if *mode == mode::TREE {
                key.push(b'/');
            }
            key
        });
        let mut bytes = Vec::new();
        for (name, (mode, oid)) in entries {
            bytes.extend_from_slice(format!("{mode:o} ").as_bytes());
            bytes.extend_from_slice(name);
            bytes.push(0);
            bytes.extend_from_slice(oid.as_bytes());
        }
        self.write_durable(Kind::Tree, &bytes)
    }
}
