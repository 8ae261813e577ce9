//! What a push would bring to a remote.

use super::history::lines;
use super::{Error, Git, Oid, Result, mode};
use gix::objs::Kind;
use std::collections::{BTreeMap, BTreeSet};

/// One line that git gives to `pre-push`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// What is pushed, as the user named it.
    pub local_name: String,
    /// The object that is pushed; `None` for a deletion.
    pub local: Option<Oid>,
    /// The ref on the remote.
    pub remote_name: String,
    /// What the remote had there when git looked; `None` when nothing.
    pub remote: Option<Oid>,
}

impl PushedRef {
    /// Reads the input of `pre-push`.
    ///
    /// # Errors
    /// [`Error::Output`] for a line of another form.
    pub fn parse_all(input: &str) -> Result<Vec<Self>> {
        let mut out = Vec::new();
        for line in input.lines() {
            let wrong = || Error::Output { command: "push".to_owned(), detail: line.to_owned() };
            // From the end: the local name may be any text, `HEAD@{1 day ago}` for example.
            let mut parts = line.rsplitn(4, ' ');
            let (Some(remote), Some(remote_name), Some(local), Some(local_name)) =
                (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                return Err(wrong());
            };
            let oid = |hex| Oid::parse(hex).ok_or_else(wrong).map(|o| Some(o).filter(|o| !o.is_null()));
            out.push(Self {
                local_name: local_name.to_owned(),
                local: oid(local)?,
                remote_name: remote_name.to_owned(),
                remote: oid(remote)?,
            });
        }
        Ok(out)
    }
}

/// A small file of a pushed range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallBlob {
    /// Where a commit has it; empty when the blob itself is pushed.
    pub path: Vec<u8>,
    /// The blob.
    pub oid: Oid,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Git {
    /// The files (path and blob, each pair once, sorted) that the history of `tips` adds or changes and that the
    /// remote is not known to have: commits that lead to one of its remote-tracking refs or to one of `known` are
    /// left out; `known` may name objects that are not here. A `remote` without tracking refs (a URL) has nothing.
    /// At the edge of a shallow clone all files count: too many, never too few.
    ///
    /// # Errors
    /// When `git` fails, and [`Error::MissingObject`].
    pub fn files_in_range(&self, tips: &[Oid], remote: &str, known: &[Oid]) -> Result<Vec<(Vec<u8>, Oid)>> {
        let mut commits = Vec::new();
        let mut found: BTreeSet<(Vec<u8>, Oid)> = BTreeSet::new();
        {
            let repo = self.gix()?;
            for &tip in tips {
                let object = repo
                    .find_object(tip.to_gix())
                    .and_then(|o| o.peel_tags_to_end())
                    .map_err(|e| super::objects::bad("object", tip, &e))?;
                let oid = Oid::from_gix(&object.id);
                match object.kind {
                    Kind::Commit => commits.push(oid),
                    Kind::Tree => {
                        let files = self.tree_entries(oid)?;
                        found.extend(files.into_iter().filter(|e| e.is_file()).map(|e| (e.path, e.oid)));
                    }
                    _ => {
                        found.insert((Vec::new(), oid));
                    }
                }
            }
        }
        if !commits.is_empty() {
            let missing: BTreeSet<Oid> = self.missing(known)?.into_iter().collect();
            let mut stdin = lines(&commits);
            for oid in known.iter().filter(|o| !missing.contains(o)) {
                stdin.extend_from_slice(format!("^{oid}\n").as_bytes());
            }
            // The refs by name: as a glob, `--remotes=` would read pattern characters in the remote's name.
            for r in self.refs(&[&format!("refs/remotes/{remote}/")])? {
                stdin.extend_from_slice(format!("^{}\n", r.peeled).as_bytes());
            }
            let range = self.run_with(&["rev-list", "--stdin"], stdin)?.stdout;
            for commit in self.changes(range, &[])? {
                for change in commit.changes {
                    if let (Some(new), mode::FILE | mode::EXECUTABLE) = (change.new, change.mode) {
                        found.insert((change.path, new));
                    }
                }
            }
        }
        Ok(found.into_iter().collect())
    }

    /// The files of [`Git::files_in_range`] with less than `below_bytes` bytes, with their bytes, sorted by path
    /// and blob: among them are all pointers of the range.
    ///
    /// # Errors
    /// Those of [`Git::files_in_range`]; [`Error::MissingObject`] where a partial clone lacks a blob of the range.
    pub fn pointer_blobs_in_range(
        &self,
        tips: &[Oid],
        remote: &str,
        known: &[Oid],
        below_bytes: u64,
    ) -> Result<Vec<SmallBlob>> {
        let files = self.files_in_range(tips, remote, known)?;
        let oids: BTreeSet<Oid> = files.iter().map(|(_, oid)| *oid).collect();
        let oids: Vec<Oid> = oids.into_iter().collect();
        let small: BTreeMap<Oid, Vec<u8>> = self.small_blobs(&oids, below_bytes)?.into_iter().collect();
        let pick =
            |(path, oid): (Vec<u8>, Oid)| small.get(&oid).map(|bytes| SmallBlob { path, oid, bytes: bytes.clone() });
        Ok(files.into_iter().filter_map(pick).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    fn paths(blobs: &[SmallBlob]) -> Vec<String> {
        blobs.iter().map(|b| String::from_utf8_lossy(&b.path).into_owned()).collect()
    }

    #[test]
    fn only_what_the_remote_lacks() {
        let repo = TestRepo::new();
        repo.commit(&[("old", b"1")]);
        repo.git(&["clone", "-q", "--bare", ".", "../o.git"]);
        repo.git(&["remote", "add", "o", "../o.git"]);
        repo.git(&["fetch", "-q", "o"]);
        let new = repo.commit(&[("d/new", b"2"), ("big", &[0; 2000])]);
        let tip = repo.commit(&[("d/new", b"3")]);
        let git = repo.open();
        let found = git.pointer_blobs_in_range(&[tip], "o", &[], 1024).expect("walks");
        assert_eq!(paths(&found), ["d/new", "d/new"]);
        let bytes: BTreeSet<&[u8]> = found.iter().map(|b| &b.bytes[..]).collect();
        assert_eq!(bytes, BTreeSet::from([&b"2"[..], b"3"]), "also the version in between");
        let gone = Oid::from_slice(&[5; 20]).expect("an id");
        let known = git.pointer_blobs_in_range(&[tip], "o", &[new, gone], 1024).expect("walks");
        assert_eq!(known.len(), 1);
        let all = git.pointer_blobs_in_range(&[tip], "https://example.com/x", &[], 1024).expect("walks");
        assert_eq!(paths(&all), ["d/new", "d/new", "old"]);
    }

    #[test]
    fn tags_of_trees_and_blobs_and_shallow_clones() {
        let repo = TestRepo::new();
        repo.commit(&[("gone", b"0")]);
        repo.commit(&[("a", b"1")]);
        repo.git(&["tag", "-a", "-m", "t", "tree", "HEAD^{tree}"]);
        let git = repo.open();
        let found = git.pointer_blobs_in_range(&[repo.oid("tree"), repo.oid("HEAD:a")], "o", &[], 1024);
        assert_eq!(paths(&found.expect("walks")), ["", "a", "gone"]);
        let url = format!("file://{}", repo.path().display());
        repo.git(&["clone", "-q", "--depth=1", &url, "../shallow"]);
        let shallow = repo.discover(&repo.path().join("../shallow")).expect("found");
        let head = shallow.resolve_commit("HEAD").expect("asks").expect("there");
        let found = shallow.pointer_blobs_in_range(&[head], "elsewhere", &[], 1024).expect("walks");
        assert_eq!(paths(&found), ["a", "gone"]);
        assert!(shallow.pointer_blobs_in_range(&[head], "origin", &[], 1024).expect("walks").is_empty());
    }

    #[test]
    fn the_hooks_lines() {
        let (one, zero) = ("1".repeat(40), "0".repeat(40));
        let all = PushedRef::parse_all(&format!("a b {one} refs/heads/x {zero}\n(delete) {zero} refs/heads/y {one}\n"));
        let all = all.expect("two lines");
        assert_eq!((all[0].local_name.as_str(), all[0].remote), ("a b", None));
        assert_eq!((all[1].local, all[1].remote_name.as_str()), (None, "refs/heads/y"));
        assert!(PushedRef::parse_all("one two").is_err());
    }
}
