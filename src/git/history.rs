//! Which commits changed which paths.

use super::config::text;
use super::{Error, Git, Oid, Result};
use std::collections::BTreeSet;

/// A file that a commit changed, compared with one of its parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// The path.
    pub path: Vec<u8>,
    /// The object before; `None` when the path is new.
    pub old: Option<Oid>,
    /// The object after; `None` when the path is gone.
    pub new: Option<Oid>,
    /// The mode after (before, when the path is gone), one of [`mode`](super::mode).
    pub mode: u32,
}

/// A commit and what it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The commit.
    pub oid: Oid,
    /// Its parents, as far as this clone knows them: none at the edge of a shallow clone.
    pub parents: Vec<Oid>,
    /// When it was committed, seconds since 1970.
    pub time_s: i64,
    /// The author, as `Name <address>`.
    pub author: String,
    /// The first line of the message.
    pub subject: String,
    /// Changed files; a merge lists those of every parent, so that one path may come twice.
    pub changes: Vec<PathChange>,
}

/// What is printed of a commit before its changes.
const FIELDS: &str = "--format=%x01%H%x00%P%x00%ct%x00%an%x00%ae%x00%s";

impl Git {
    /// The commits that lead to `tips` (commits or tags) and changed one of `paths` (none: any path; a folder
    /// stands for all below it; one with a line end is not found), the newest first. Of each only the changes at `paths`. Every branch of history
    /// is followed, so each version that `tips` ever had at a path is among the changes. At the edge of a
    /// shallow clone, where parents are unknown, all files count as new.
    ///
    /// # Errors
    /// When `git` fails, for example because a tree is not here.
    pub fn log(&self, tips: &[Oid], paths: &[Vec<u8>], max_count: Option<usize>) -> Result<Vec<CommitInfo>> {
        let mut limit = vec!["rev-list".to_owned(), "--stdin".to_owned(), "--full-history".to_owned()];
        limit.push("--date-order".to_owned());
        limit.extend(max_count.map(|n| format!("--max-count={n}")));
        let mut stdin = lines(tips);
        if !paths.is_empty() {
            // On the command line of one process for all would be too long for many paths.
            stdin.extend_from_slice(b"--\n");
            for path in paths {
                if path.contains(&b'\n') {
                    continue;
                }
                stdin.extend_from_slice(path);
                stdin.push(b'\n');
            }
        }
        if tips.is_empty() {
            return Ok(Vec::new());
        }
        let args: Vec<&str> = std::iter::once("--literal-pathspecs").chain(limit.iter().map(String::as_str)).collect();
        let commits = self.run_with(&args, stdin)?.stdout;
        self.changes(commits, paths)
    }

    /// What each of `commits` (ids in lines) changed, at `paths` or at any path.
    pub(super) fn changes(&self, commits: Vec<u8>, paths: &[Vec<u8>]) -> Result<Vec<CommitInfo>> {
        if commits.is_empty() {
            return Ok(Vec::new());
        }
        let base = ["diff-tree", "--stdin", "-r", "-m", "--root", "-z", "--no-renames", "--raw", "--no-abbrev", FIELDS];
        let out = self.run_with(&base, commits)?.stdout;
        let mut all = self.parse_changes(&out)?;
        if !paths.is_empty() {
            let wanted: BTreeSet<&[u8]> = paths.iter().map(|p| p.strip_suffix(b"/").unwrap_or(p)).collect();
            for commit in &mut all {
                commit.changes.retain(|c| is_below_any(&c.path, &wanted));
            }
            all.retain(|commit| !commit.changes.is_empty());
        }
        Ok(all)
    }

    fn parse_changes(&self, bytes: &[u8]) -> Result<Vec<CommitInfo>> {
        let wrong = |detail: &str| Error::Output { command: "diff-tree".to_owned(), detail: detail.to_owned() };
        let mut out: Vec<CommitInfo> = Vec::new();
        let mut fields = bytes.split(|b| *b == 0);
        while let Some(field) = fields.next() {
            let field = field.strip_prefix(b"\n").unwrap_or(field);
            if let Some(id) = field.strip_prefix(b"\x01") {
                let mut next = || fields.next().map(text).ok_or_else(|| wrong("a commit is cut"));
                let oid = self.parse_oid("diff-tree", &text(id))?;
                let (parents, time, name, email, subject) = (next()?, next()?, next()?, next()?, next()?);
                // A merge comes once for each parent.
                if out.last().is_none_or(|last| last.oid != oid) {
                    let parents =
                        parents.split_whitespace().map(|p| self.parse_oid("diff-tree", p)).collect::<Result<_>>()?;
                    let time_s = time.parse().map_err(|_| wrong("a time is no number"))?;
                    let author = format!("{name} <{email}>");
                    out.push(CommitInfo { oid, parents, time_s, author, subject, changes: Vec::new() });
                }
            } else if let Some(raw) = field.strip_prefix(b":") {
                let raw = text(raw);
                let path = fields.next().ok_or_else(|| wrong("a path is missing"))?.to_vec();
                let commit = out.last_mut().ok_or_else(|| wrong("a change before any commit"))?;
                let parts: Vec<&str> = raw.split(' ').collect();
                let [old_mode, new_mode, old, new, _status] = parts[..] else { return Err(wrong(&raw)) };
                let some = |oid: &str| self.parse_oid("diff-tree", oid).map(|o| Some(o).filter(|o| !o.is_null()));
                let (old, new) = (some(old)?, some(new)?);
                let mode = if new.is_some() { new_mode } else { old_mode };
                let mode = u32::from_str_radix(mode, 8).map_err(|_| wrong(&raw))?;
                commit.changes.push(PathChange { path, old, new, mode });
            } else if !field.is_empty() {
                return Err(wrong(&text(field)));
            }
        }
        Ok(out)
    }
}

pub(super) fn lines(oids: &[Oid]) -> Vec<u8> {
    oids.iter().flat_map(|o| format!("{o}\n").into_bytes()).collect()
}

/// Whether `path` or a folder above it is among `wanted`.
fn is_below_any(path: &[u8], wanted: &BTreeSet<&[u8]>) -> bool {
    let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    ends.chain([0, path.len()]).any(|end| wanted.contains(&path[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn every_version_of_a_path_is_found_also_on_side_branches() {
        let repo = TestRepo::new();
        let base = repo.commit(&[("m", b"1"), ("other", b"x")]);
        repo.git(&["checkout", "-q", "-b", "side"]);
        let side = repo.commit(&[("m", b"side")]);
        repo.git(&["checkout", "-q", "main"]);
        repo.commit(&[("other", b"y"), ("[m]*", b"odd")]);
        repo.git(&["merge", "-q", "-s", "ours", "--no-edit", "side"]);
        let tip = repo.oid("HEAD");
        let git = repo.open();
        let log = git.log(&[tip], &[b"m".to_vec()], None).expect("walks");
        let new: Vec<Oid> = log.iter().flat_map(|c| c.changes.iter().filter_map(|x| x.new)).collect();
        assert!(new.contains(&repo.oid("side:m")) && new.contains(&repo.oid("HEAD:m")));
        let first = log.iter().find(|c| c.oid == base).expect("the first commit");
        assert!(first.parents.is_empty() && first.changes[0].old.is_none());
        assert_eq!((first.author.as_str(), first.time_s), ("A U Thor <author@example.com>", 1_700_000_000));
        assert!(log.iter().any(|c| c.oid == side && c.parents == [base] && c.subject == "c"));
        assert!(log.iter().all(|c| c.changes.iter().all(|x| x.path == b"m")));
        let odd = git.log(&[tip], &[b"[m]*".to_vec()], None).expect("walks");
        assert!(odd.iter().any(|c| c.changes.iter().any(|x| x.path == b"[m]*")));
        assert_eq!(git.log(&[tip], &[], Some(1)).expect("walks").len(), 1);
        assert!(git.log(&[], &[], None).expect("nothing to walk").is_empty());
    }

    #[test]
    fn folders_cover_what_is_below() {
        let below = |path: &[u8], folder| is_below_any(path, &BTreeSet::from([folder]));
        assert!(below(b"a/b", b"a") && below(b"a", b"a") && below(b"x/y", b""));
        assert!(!below(b"ab", b"a") && !below(b"a", b"a/b"));
    }
}
