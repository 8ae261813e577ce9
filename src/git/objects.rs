//! Reading and writing git's objects, in this process.

use super::{Error, Git, Oid, Result};
use crate::fsio;
use crate::limits;
use gix::objs::{Kind, Write as _};

/// The kinds of tree and index entries, as git writes them.
pub mod mode {
    /// An ordinary file.
    pub const FILE: u32 = 0o100_644;
    /// An executable file.
    pub const EXECUTABLE: u32 = 0o100_755;
    /// A symbolic link.
    pub const SYMLINK: u32 = 0o120_000;
    /// A folder.
    pub const TREE: u32 = 0o40_000;
    /// The commit of a submodule.
    pub const COMMIT: u32 = 0o160_000;
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// The path from the tree that was asked for.
    pub path: Vec<u8>,
    /// One of [`mode`]; the old `100664` is reported as [`mode::FILE`].
    pub mode: u32,
    /// The object.
    pub oid: Oid,
}

impl TreeEntry {
    /// Whether it is a file, executable or not.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.mode, mode::FILE | mode::EXECUTABLE)
    }
}

/// Objects that were read are kept up to this many bytes, for their deltas.
const OBJECT_MEMORY_BYTES: usize = 4 * 1024 * 1024;

impl Git {
    /// All files, links and submodules below `treeish` (a commit, a tag or a tree), in git's order of paths.
    ///
    /// # Errors
    /// [`Error::MissingObject`] and [`Error::BadObject`].
    pub fn tree_entries(&self, treeish: Oid) -> Result<Vec<TreeEntry>> {
        let repo = self.gix()?;
        let root = peel(&repo, treeish, Kind::Tree)?;
        let mut out = Vec::new();
        // Entries still to visit, the next one last.
        let mut open = vec![TreeEntry { path: Vec::new(), mode: mode::TREE, oid: root }];
        while let Some(entry) = open.pop() {
            if entry.mode != mode::TREE {
                out.push(entry);
                continue;
            }
            let mut children = read_tree(&repo, entry.oid)?;
            for child in children.iter_mut().rev() {
                let mut path = entry.path.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.append(&mut child.path);
                if path.len() > limits::MAX_PATH_BYTES {
                    let reason = format!("a path has more than {} bytes", limits::MAX_PATH_BYTES);
                    return Err(Error::BadObject { what: "tree", oid: entry.oid, reason });
                }
                child.path = path;
            }
            open.extend(children.into_iter().rev());
        }
        Ok(out)
    }

    /// The entry at `path` below `treeish`; `None` when there is none.
    ///
    /// # Errors
    /// [`Error::MissingObject`] and [`Error::BadObject`].
    pub fn tree_entry(&self, treeish: Oid, path: &[u8]) -> Result<Option<TreeEntry>> {
        let repo = self.gix()?;
        let mut at = TreeEntry { path: Vec::new(), mode: mode::TREE, oid: peel(&repo, treeish, Kind::Tree)? };
        for name in path.split(|b| *b == b'/') {
            if at.mode != mode::TREE {
                return Ok(None);
            }
            match read_tree(&repo, at.oid)?.into_iter().find(|e| e.path == name) {
                Some(entry) => at = entry,
                None => return Ok(None),
            }
        }
        at.path = path.to_vec();
        Ok(Some(at))
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// [`Error::TooLarge`] above `max_bytes` (then it is not read), [`Error::MissingObject`], [`Error::BadObject`].
    pub fn read_blob(&self, oid: Oid, max_bytes: u64) -> Result<Vec<u8>> {
        read_blob(&self.gix()?, oid, max_bytes)
    }

    /// Size of a blob in bytes; `None` when it is not here.
    ///
    /// # Errors
    /// [`Error::BadObject`], also when it is no blob.
    pub fn blob_size(&self, oid: Oid) -> Result<Option<u64>> {
        let repo = self.gix()?;
        match repo.try_find_header(oid.to_gix()).map_err(|e| bad("blob", oid, &e))? {
            None => Ok(None),
            Some(header) if header.kind() == Kind::Blob => Ok(Some(header.size())),
            Some(header) => Err(bad("blob", oid, &format!("it is a {}", header.kind()))),
        }
    }

    /// Those of `oids` that are blobs of less than `below_bytes`, with their bytes, in the order of `oids`; larger
    /// ones are left out.
    ///
    /// # Errors
    /// [`Error::MissingObject`] when one is not here (see [`Git::missing`]), [`Error::BadObject`].
    pub fn small_blobs(&self, oids: &[Oid], below_bytes: u64) -> Result<Vec<(Oid, Vec<u8>)>> {
        let repo = self.gix()?;
        let mut out = Vec::new();
        for &oid in oids {
            let header = repo
                .try_find_header(oid.to_gix())
                .map_err(|e| bad("blob", oid, &e))?
                .ok_or(Error::MissingObject { what: "blob", oid })?;
            if header.kind() == Kind::Blob && header.size() < below_bytes {
                out.push((oid, read_blob(&repo, oid, below_bytes)?));
            }
        }
        Ok(out)
    }

    /// Those of `oids` that are not here, in their order. In a partial clone [`Git::fetch_objects`] gets them.
    ///
    /// # Errors
    /// When the object database cannot be opened.
    pub fn missing(&self, oids: &[Oid]) -> Result<Vec<Oid>> {
        let repo = self.gix()?;
        let mut out = Vec::new();
        for &oid in oids {
            if repo.try_find_header(oid.to_gix()).map_err(|e| bad("object", oid, &e))?.is_none() {
                out.push(oid);
            }
        }
        Ok(out)
    }

    /// Writes a blob and returns its id. Not durable by itself, like git's own.
    ///
    /// # Errors
    /// [`Error::WriteObject`].
    pub fn write_blob(&self, bytes: &[u8]) -> Result<Oid> {
        let repo = self.gix()?;
        let id = repo.write_blob(bytes).map_err(|e| Error::WriteObject { what: "blob", reason: format!("{e:#}") })?;
        Ok(Oid::from_gix(&id))
    }

    /// Writes an object from its canonical bytes; it is on disk when this returns.
    pub(super) fn write_durable(&self, kind: Kind, bytes: &[u8]) -> Result<Oid> {
        let repo = self.gix()?;
        let what = match kind {
            Kind::Tree => "tree",
            Kind::Commit => "commit",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        };
        let id =
            repo.objects.write_buf(kind, bytes).map_err(|e| Error::WriteObject { what, reason: format!("{e:#}") })?;
        let oid = Oid::from_gix(&id);
        let hex = oid.to_string();
        let objects = self.common_dir.join("objects");
        let dir = objects.join(&hex[..2]);
        let path = dir.join(&hex[2..]);
        // One that is in a pack was made durable by the git that packed it.
        if fsio::exists(&path) {
            fsio::File::open(&path)?.sync_all()?;
            fsio::sync_dir(&dir)?;
            fsio::sync_dir(&objects)?;
        }
        Ok(oid)
    }

    /// A handle for this thread.
    pub(super) fn gix(&self) -> Result<gix::Repository> {
        if let Some(shared) = self.objects.get() {
            return Ok(shared.to_thread_local());
        }
        // Isolated: nothing but the repository's own config says how its objects are stored.
        let options = gix::open::Options::isolated().open_path_as_is(true);
        let mut repo = gix::open_opts(&self.git_dir, options)
            .map_err(|e| Error::Open { git_dir: self.git_dir.clone(), reason: format!("{e:#}") })?;
        repo.object_cache_size_if_unset(OBJECT_MEMORY_BYTES);
        Ok(self.objects.get_or_init(|| repo.into_sync()).to_thread_local())
    }
}

pub(super) fn bad(what: &'static str, oid: Oid, reason: &impl std::fmt::Display) -> Error {
    Error::BadObject { what, oid, reason: format!("{reason:#}") }
}

fn read_blob(repo: &gix::Repository, oid: Oid, max_bytes: u64) -> Result<Vec<u8>> {
    let header = repo
        .try_find_header(oid.to_gix())
        .map_err(|e| bad("blob", oid, &e))?
        .ok_or(Error::MissingObject { what: "blob", oid })?;
    if header.kind() != Kind::Blob {
        return Err(bad("blob", oid, &format!("it is a {}", header.kind())));
    }
    if header.size() > max_bytes {
        return Err(Error::TooLarge { oid, size_bytes: header.size(), max_bytes });
    }
    let object = repo.find_object(oid.to_gix()).map_err(|e| bad("blob", oid, &e))?;
    Ok(object.detach().data)
}

/// The object that `oid` leads to: the tree of a commit, the commit of a tag.
pub(super) fn peel(repo: &gix::Repository, oid: Oid, to: Kind) -> Result<Oid> {
    let what = if to == Kind::Tree { "tree" } else { "commit" };
    let object = repo
        .try_find_object(oid.to_gix())
        .map_err(|e| bad(what, oid, &e))?
        .ok_or(Error::MissingObject { what: "object", oid })?;
    let peeled = object.peel_to_kind(to).map_err(|e| bad(what, oid, &e))?;
    Ok(Oid::from_gix(&peeled.id))
}

/// The entries of one tree; their paths are names.
pub(super) fn read_tree(repo: &gix::Repository, oid: Oid) -> Result<Vec<TreeEntry>> {
    let object = repo
        .try_find_object(oid.to_gix())
        .map_err(|e| bad("tree", oid, &e))?
        .ok_or(Error::MissingObject { what: "tree", oid })?;
    if object.kind != Kind::Tree {
        return Err(bad("tree", oid, &format!("it is a {}", object.kind)));
    }
    let mut out = Vec::new();
    for entry in gix::objs::TreeRefIter::from_bytes(&object.data, object.id.kind()) {
        let entry = entry.map_err(|e| bad("tree", oid, &e))?;
        use gix::objs::tree::EntryKind as K;
        let mode = match entry.mode.kind() {
            K::Tree => mode::TREE,
            K::Blob => mode::FILE,
            K::BlobExecutable => mode::EXECUTABLE,
            K::Link => mode::SYMLINK,
            K::Commit => mode::COMMIT,
        };
        out.push(TreeEntry { path: entry.filename.to_vec(), mode, oid: Oid::from_gix(entry.oid) });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn a_tree_is_what_git_lists() {
        for format in ["sha1", "sha256"] {
            let repo = TestRepo::with(&[&format!("--object-format={format}")]);
            let commit = repo.commit(&[("a-b", b"1"), ("a/x", b"2"), ("a/y/z", b"3"), ("a0", b"4")]);
            let git = repo.open();
            let listed = repo.git(&["ls-tree", "-r", "HEAD"]).text();
            let ours: Vec<String> = git
                .tree_entries(commit)
                .expect("reads")
                .iter()
                .map(|e| format!("{:06o} blob {}\t{}", e.mode, e.oid, String::from_utf8_lossy(&e.path)))
                .collect();
            assert_eq!(ours.join("\n"), listed);
            let entry = git.tree_entry(commit, b"a/y/z").expect("reads").expect("there");
            assert_eq!(git.read_blob(entry.oid, 1).expect("reads"), b"3");
            assert_eq!(git.tree_entry(commit, b"a/y/z/w").expect("reads"), None);
            assert_eq!(git.tree_entry(commit, b"a/n").expect("reads"), None);
        }
    }

    #[test]
    fn blobs_are_bounded_and_absence_is_told() {
        let repo = TestRepo::new();
        let commit = repo.commit(&[("a", b"x")]);
        let git = repo.open();
        let big = git.write_blob(&[7; 5000]).expect("writes");
        let small = git.write_blob(b"small").expect("writes");
        assert_eq!(big, repo_hash(&repo, &[7; 5000]));
        assert!(matches!(git.read_blob(big, 4999), Err(Error::TooLarge { size_bytes: 5000, .. })));
        assert_eq!(git.small_blobs(&[big, small], 1024).expect("reads"), [(small, b"small".to_vec())]);
        assert_eq!(git.blob_size(big).expect("looks"), Some(5000));
        let none = Oid::from_slice(&[9; 20]).expect("an id");
        assert_eq!(git.blob_size(none).expect("looks"), None);
        assert_eq!(git.missing(&[none, big]).expect("looks"), [none]);
        assert!(matches!(git.read_blob(none, 9), Err(Error::MissingObject { .. })));
        assert!(matches!(git.read_blob(commit, 9999), Err(Error::BadObject { .. })));
    }

    fn repo_hash(repo: &TestRepo, bytes: &[u8]) -> Oid {
        repo.write("tmp", bytes);
        Oid::parse(&repo.git(&["hash-object", "tmp"]).text()).expect("an id")
    }
}
