//! The ledger's ref: commits whose trees only gain files. What counts is the set of files; the history above
//! it is there so that ordinary servers take a push without force.

use super::{Error, Git, Oid, Result};
use crate::limits;
use crate::process;
use gix::objs::Kind;
use std::collections::BTreeMap;

/// Where the ledger of a clone is.
pub const LEDGER_REF: &str = "refs/clade/ledger";

/// One file of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFile {
    /// Its path in the ledger's tree.
    pub path: String,
    /// Its blob.
    pub oid: Oid,
}

/// How a ledger differs from an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerDiff {
    /// Files that are new, sorted by path.
    pub added: Vec<LedgerFile>,
    /// Paths that are gone or have other bytes, sorted: the ledger was tampered with.
    pub tampered: Vec<String>,
}

/// Commits of the ledger name no person and no machine: the batches do.
const SIGNATURE: &str = "clade <clade@localhost>";

impl Git {
    /// Writes a commit whose tree is that of `base` (`None`: an empty one) plus `files`, and returns it. No ref
    /// is changed: [`Git::update_ref`] comes next. The commit's time is `time_s` (seconds since 1970), or that of
    /// `base` where it is later. Everything is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::LedgerPath`] for a path that is there with other bytes, or that no tree can have;
    /// [`Error::MissingObject`] when trees of `base` are not here.
    pub fn ledger_append(&self, files: &[(String, Vec<u8>)], base: Option<Oid>, time_s: i64) -> Result<Oid> {
        let mut oids = BTreeMap::new();
        for (path, bytes) in files {
            let oid = self.write_durable(Kind::Blob, bytes)?;
            if oids.insert(path.clone().into_bytes(), oid).is_some_and(|other| other != oid) {
                return Err(Error::LedgerPath { path: path.clone() });
            }
        }
        let base_tree = base.map(|b| self.tree_of(b)).transpose()?;
        let tree = self.tree_with(base_tree, &oids)?;
        let time = match base {
            Some(base) => time_s.max(self.commit_time(base)?),
            None => time_s,
        };
        self.commit(tree, base.as_slice(), time, "Add to the ledger")
    }

    /// A commit whose tree is the union of two ledgers: one of the two where it descends from the other and holds
    /// all of its files, else a merge commit. Everyone who unites the same two gets the same commit. No ref is
    /// changed. Everything is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::LedgerConflict`] when a path has different bytes in them, [`Error::MissingObject`].
    pub fn ledger_union(&self, ours: Oid, theirs: Oid) -> Result<Oid> {
        if ours == theirs {
            return Ok(ours);
        }
        let (own, other) = (self.tree_of(ours)?, self.tree_of(theirs)?);
        let tree = self.tree_union(own, other).map_err(|e| match e {
            // Named by commits, which a person can look up.
            Error::LedgerConflict { path, .. } => Error::LedgerConflict { ours, theirs, path },
            other => other,
        })?;
        if tree == own && self.is_ancestor(theirs, ours)? {
            return Ok(ours);
        }
        if tree == other && self.is_ancestor(ours, theirs)? {
            return Ok(theirs);
        }
        let mut parents = [ours, theirs];
        parents.sort();
        let time = self.commit_time(ours)?.max(self.commit_time(theirs)?);
        self.commit(tree, &parents, time, "Unite two ledgers")
    }

    /// All files of a ledger, sorted by path.
    ///
    /// # Errors
    /// [`Error::MissingObject`], [`Error::BadObject`].
    pub fn ledger_files(&self, commit: Oid) -> Result<Vec<LedgerFile>> {
        Ok(self.ledger_diff(None, commit)?.added)
    }

    /// What a ledger has more than an earlier one (`None`: nothing), found by comparing trees.
    ///
    /// # Errors
    /// [`Error::MissingObject`], [`Error::BadObject`].
    pub fn ledger_diff(&self, old: Option<Oid>, new: Oid) -> Result<LedgerDiff> {
        let old = old.map(|o| self.tree_of(o)).transpose()?;
        let diff = self.tree_diff(old, self.tree_of(new)?)?;
        let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
        let mut added: Vec<LedgerFile> =
            diff.added.into_iter().map(|e| LedgerFile { path: text(e.path), oid: e.oid }).collect();
        added.sort_by(|a, b| a.path.cmp(&b.path));
        let mut tampered: Vec<String> = diff.changed.into_iter().chain(diff.removed).map(text).collect();
        tampered.sort();
        Ok(LedgerDiff { added, tampered })
    }

    /// The bytes of ledger files, in their order.
    ///
    /// # Errors
    /// [`Error::MissingObject`] in a partial clone that lacks one, [`Error::TooLarge`].
    pub fn ledger_read(&self, files: &[LedgerFile]) -> Result<Vec<Vec<u8>>> {
        files.iter().map(|f| self.read_blob(f.oid, limits::MAX_BATCH_BYTES as u64)).collect()
    }

    /// Whether `old` is `new` or leads to it, as far as this clone knows.
    ///
    /// # Errors
    /// When `git` fails in another way than by missing history.
    pub fn is_ancestor(&self, old: Oid, new: Oid) -> Result<bool> {
        let out = self.command(&["merge-base", "--is-ancestor", &old.to_string(), &new.to_string()]).output()?;
        Ok(out.exit == process::Exit::Code(0))
    }

    fn commit_time(&self, commit: Oid) -> Result<i64> {
        let text =
            self.run(&["show", "--no-patch", "--no-show-signature", "--format=%ct", &commit.to_string()])?.text();
        text.trim().parse().map_err(|_| Error::Output { command: "show --format=%ct".to_owned(), detail: text })
    }

    fn commit(&self, tree: Oid, parents: &[Oid], time_s: i64, message: &str) -> Result<Oid> {
        let mut text = format!("tree {tree}\n");
        for parent in parents {
            text.push_str(&format!("parent {parent}\n"));
        }
        let time_s = time_s.max(0);
        text.push_str(&format!(
            "author {SIGNATURE} {time_s} +0000\ncommitter {SIGNATURE} {time_s} +0000\n\n{message}\n"
        ));
        self.write_durable(Kind::Commit, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    fn file(path: &str, bytes: &str) -> (String, Vec<u8>) {
        (path.to_owned(), bytes.as_bytes().to_vec())
    }

    fn paths(git: &Git, commit: Oid) -> Vec<String> {
        git.ledger_files(commit).expect("lists").into_iter().map(|f| f.path).collect()
    }

    #[test]
    fn appended_united_and_listed() {
        for format in ["sha1", "sha256"] {
            let repo = TestRepo::with(&[&format!("--object-format={format}")]);
            let git = repo.open();
            let base = git.ledger_append(&[file("w/00/a/0", "0"), file("w/00/a.x", "s")], None, 100).expect("writes");
            let left = git.ledger_append(&[file("w/00/a/1", "1")], Some(base), 50).expect("writes");
            let right = git.ledger_append(&[file("w/ff/b/0", "2")], Some(base), 200).expect("writes");
            assert_eq!(git.commit_time(left).expect("asks"), 100, "never before its parent");
            let both = git.ledger_union(left, right).expect("unites");
            assert_eq!(git.ledger_union(right, left).expect("unites"), both, "whoever unites");
            assert_eq!(paths(&git, both), ["w/00/a.x", "w/00/a/0", "w/00/a/1", "w/ff/b/0"]);
            assert_eq!(git.commit_time(both).expect("asks"), 200);
            for (a, b, is) in [(base, left, left), (left, base, left), (both, right, both), (base, base, base)] {
                assert_eq!(git.ledger_union(a, b).expect("unites"), is);
            }
            let diff = git.ledger_diff(Some(left), both).expect("compares");
            assert_eq!(git.ledger_read(&diff.added).expect("reads"), [b"2"]);
            assert!(diff.tampered.is_empty());
            git.update_ref(LEDGER_REF, both, None).expect("free");
            repo.git(&["fsck", "--strict", "--no-dangling"]);
            repo.git(&["gc", "-q", "--prune=now"]);
            assert_eq!(paths(&repo.open(), both).len(), 4);
        }
    }

    #[test]
    fn equal_files_of_unrelated_histories_are_united_once() {
        let repo = TestRepo::new();
        let git = repo.open();
        let a = git.ledger_append(&[file("x", "1")], None, 1).expect("writes");
        let b = git.ledger_append(&[file("x", "1")], None, 2).expect("writes");
        let both = git.ledger_union(a, b).expect("unites");
        assert!(git.is_ancestor(a, both).expect("asks") && git.is_ancestor(b, both).expect("asks"));
        assert_eq!(git.ledger_union(both, b).expect("unites"), both);
    }

    #[test]
    fn tampering_shows() {
        let repo = TestRepo::new();
        let git = repo.open();
        let a = git.ledger_append(&[file("d/x", "1"), file("y", "1")], None, 1).expect("writes");
        let b = git.ledger_append(&[file("d/x", "2"), file("z/x", "1")], None, 1).expect("writes");
        let diff = git.ledger_diff(Some(a), b).expect("compares");
        assert_eq!(diff.tampered, ["d/x", "y"]);
        assert_eq!(diff.added.len(), 1);
        let err = git.ledger_union(a, b).expect_err("two contents");
        assert!(matches!(err, Error::LedgerConflict { ours, ref path, .. } if ours == a && path == "d/x"), "{err}");
        for path in ["d", "d/x", "../x", "", "a//b", "y/z", ".git/x"] {
            let err = git.ledger_append(&[file(path, "new")], Some(a), 1).expect_err("no path for a ledger");
            assert!(matches!(err, Error::LedgerPath { .. }), "{path}: {err}");
        }
        assert!(git.ledger_append(&[file("d/x", "1")], Some(a), 1).is_ok(), "the same bytes again");
    }
}
