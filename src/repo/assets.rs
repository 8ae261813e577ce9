//! Which assets a commit or the index holds, and what they contain.

use super::{Repo, Result};
use crate::git::{Oid, TreeEntry as GitEntry};
use crate::id::{ContentId, FileId, TreeId};
use crate::ledger::AssetKind;
use crate::limits::{GIB, MAX_POINTER_BYTES};
use crate::manifest::{self, FileMode, Page, Parsed, Pointer, TreeBuilder, TreeEntry};
use std::collections::BTreeMap;

/// One file of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Path from the top of the working tree, raw bytes.
    pub path: Vec<u8>,
    /// git's mode.
    pub mode: u32,
    /// BLAKE3 of the bytes: a pointer's file, else of the bytes in git.
    pub file_id: FileId,
    /// Their number.
    pub size_bytes: u64,
    /// The blob in git; none for a file of the working tree that git does not have.
    pub blob: Option<Oid>,
    /// Whether git holds a pointer for it.
    pub is_pointer: bool,
}

/// An asset at one point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetVersion {
    /// The asset's name.
    pub asset: String,
    /// Its kind.
    pub kind: AssetKind,
    /// Who is told about it.
    pub owner: Option<String>,
    /// The version.
    pub content: ContentId,
    /// Bytes of all files.
    pub size_bytes: u64,
    /// The file, or the deepest folder that holds all files (without a slash at its end; empty for the top).
    pub path: String,
    /// The files, by path.
    pub members: Vec<Member>,
}

impl AssetVersion {
    /// Makes the version of `members`, which must not be empty. Pages of a tree go to `sink`.
    pub(super) fn of(
        asset: String,
        kind: AssetKind,
        owner: Option<String>,
        mut members: Vec<Member>,
        sink: &mut dyn FnMut(Page) -> Result<()>,
    ) -> Result<Self> {
        members.sort_by(|a, b| a.path.cmp(&b.path));
        let size_bytes = members.iter().map(|m| m.size_bytes).sum();
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if let [member] = &members[..] {
            let (content, path) = (ContentId::File(member.file_id), lossy(&member.path));
            return Ok(Self { asset, kind, owner, content, size_bytes, path, members });
        }
        let root = common_folder(&members);
        let tree = tree_of(members.iter().map(|m| (&m.path[root.len()..], m)), sink)?;
        let path = lossy(root.strip_suffix(b"/").unwrap_or(root));
        Ok(Self { asset, kind, owner, content: ContentId::Tree(tree), size_bytes, path, members })
    }

    /// A member's path below the asset's folder; its name for an asset of one file.
    #[must_use]
    pub fn member_path<'a>(&self, member: &'a Member) -> &'a [u8] {
        match self.content {
            ContentId::File(_) => match member.path.iter().rposition(|b| *b == b'/') {
                Some(slash) => &member.path[slash + 1..],
                None => &member.path,
            },
            ContentId::Tree(_) if self.path.is_empty() => &member.path,
            ContentId::Tree(_) => &member.path[self.path.len() + 1..],
        }
    }
}

/// The tree id of files given by their paths in the tree.
fn tree_of<'a>(
    files: impl Iterator<Item = (&'a [u8], &'a Member)>,
    sink: &mut dyn FnMut(Page) -> Result<()>,
) -> Result<TreeId> {
    let mut builder = TreeBuilder::new(sink);
    for (path, member) in files {
        builder.push(TreeEntry {
            path: path.to_vec(),
            mode: FileMode::from_bits(member.mode).unwrap_or(FileMode::Regular),
            size_bytes: member.size_bytes,
            file_id: member.file_id,
        })?;
    }
    Ok(builder.finish()?.tree_id)
}

/// The longest beginning that all paths share and that ends in a slash.
fn common_folder(members: &[Member]) -> &[u8] {
    let (first, last) = (&members[0].path, &members[members.len() - 1].path);
    // Sorted: what the first and the last share, all share.
    let same = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let slash = first[..same].iter().rposition(|b| *b == b'/');
    &first[..slash.map_or(0, |at| at + 1)]
}

/// What the attributes of a path make it part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) asset: String,
    pub(super) kind: Option<AssetKind>,
    pub(super) owner: Option<String>,
    /// Whether the filter handles it.
    pub(super) filtered: bool,
}

impl Claim {
    pub(super) fn of(path: &[u8], attributes: &crate::git::PathAttributes) -> Option<Self> {
        let filtered = attributes.filter.as_deref() == Some("clade");
        let kind = attributes.kind.as_deref().map(AssetKind::from);
        if !filtered && attributes.asset.is_none() && kind.is_none() {
            return None;
        }
        let asset = attributes.asset.clone().unwrap_or_else(|| String::from_utf8_lossy(path).into_owned());
        Some(Self { asset, kind, owner: attributes.owner.clone(), filtered })
    }
}

/// Kind and owner as far as any attribute says them, and the members.
type Group = (Option<AssetKind>, Option<String>, Vec<Member>);

/// Members of assets by asset name, with what their attributes say.
#[derive(Default)]
pub(super) struct Grouped {
    groups: BTreeMap<String, Group>,
}

impl Grouped {
    pub(super) fn push(&mut self, claim: Claim, member: Member) {
        let (kind, owner, members) = self.groups.entry(claim.asset).or_default();
        if kind.is_none() {
            *kind = claim.kind;
        }
        if owner.is_none() {
            *owner = claim.owner;
        }
        members.push(member);
    }

    pub(super) fn versions(self, sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Vec<AssetVersion>> {
        let mut out = Vec::with_capacity(self.groups.len());
        for (asset, (kind, owner, members)) in self.groups {
            // A folder asset is a model when any of its files is one.
            let kind = kind.unwrap_or_else(|| {
                let path = |m: &Member| String::from_utf8_lossy(&m.path).into_owned();
                let any = members.iter().any(|m| AssetKind::of_path(&path(m)) == AssetKind::Model);
                if any { AssetKind::Model } else { AssetKind::Dataset }
            });
            out.push(AssetVersion::of(asset, kind, owner, members, sink)?);
        }
        Ok(out)
    }
}

impl Repo {
    /// The assets of a commit or tree, by name. Pages of folder assets are not stored.
    pub fn assets_in(&self, treeish: Oid) -> Result<Vec<AssetVersion>> {
        self.assets_with(treeish, None, &mut |_| Ok(()))
    }

    /// The assets of a commit or tree whose pages go to `sink`; only the one of this name where given.
    pub fn assets_with(
        &self,
        treeish: Oid,
        name: Option<&str>,
        sink: &mut dyn FnMut(Page) -> Result<()>,
    ) -> Result<Vec<AssetVersion>> {
        let entries: Vec<GitEntry> =
            self.git.tree_entries(treeish)?.into_iter().filter(|e| e.mode != GITLINK).collect();
        let paths: Vec<Vec<u8>> = entries.iter().map(|e| e.path.clone()).collect();
        let attributes = self.git.attributes_in(treeish, &paths)?;
        let claimed: Vec<(GitEntry, Claim)> = entries
            .into_iter()
            .zip(attributes)
            .filter_map(|(e, a)| Some((Claim::of(&e.path, &a)?, e)).map(|(c, e)| (e, c)))
            .filter(|(_, c)| name.is_none_or(|n| n == c.asset))
            .collect();
        self.group(claimed)?.versions(sink)
    }

    /// Reads what git holds for claimed entries.
    fn group(&self, claimed: Vec<(GitEntry, Claim)>) -> Result<Grouped> {
        let oids: Vec<Oid> = claimed.iter().filter(|(_, c)| c.filtered).map(|(e, _)| e.oid).collect();
        let small: BTreeMap<Oid, Vec<u8>> =
            self.git.small_blobs(&oids, MAX_POINTER_BYTES as u64)?.into_iter().collect();
        let mut out = Grouped::default();
        for (entry, claim) in claimed {
            let pointer = small.get(&entry.oid).and_then(|bytes| match manifest::parse(bytes) {
                Parsed::Pointer(pointer) => Some(pointer),
                _ => None,
            });
            let (file_id, size_bytes) = match &pointer {
                Some(Pointer { file_id, size_bytes }) => (*file_id, *size_bytes),
                None => self.blob_content(entry.oid)?,
            };
            let is_pointer = pointer.is_some();
            let GitEntry { path, mode, oid } = entry;
            out.push(claim, Member { path, mode, file_id, size_bytes, blob: Some(oid), is_pointer });
        }
        Ok(out)
    }

    /// File id and size of the bytes of a blob; found out once a blob.
    pub fn blob_content(&self, oid: Oid) -> Result<(FileId, u64)> {
        if let Some(kept) = self.index().blob_content(&oid.to_string())? {
            return Ok(kept);
        }
        let bytes = self.git.read_blob(oid, 16 * GIB)?;
        let id = FileId::of(&bytes);
        self.index().put_blob_content(&oid.to_string(), id, bytes.len() as u64)?;
        Ok((id, bytes.len() as u64))
    }
}

/// git's mode of a submodule.
const GITLINK: u32 = 0o160_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str, bytes: &[u8]) -> Member {
        Member {
            path: path.as_bytes().to_vec(),
            mode: 0o100_644,
            file_id: FileId::of(bytes),
            size_bytes: bytes.len() as u64,
            blob: None,
            is_pointer: true,
        }
    }

    fn version(members: Vec<Member>) -> AssetVersion {
        AssetVersion::of("a".to_owned(), AssetKind::Model, None, members, &mut |_| Ok(())).expect("builds")
    }

    #[test]
    fn one_member_is_a_file_several_are_a_tree_below_their_folder() {
        let one = version(vec![member("m/w.pt", b"1")]);
        assert_eq!(one.content, ContentId::File(FileId::of(b"1")));
        assert_eq!((one.path.as_str(), one.member_path(&one.members[0])), ("m/w.pt", &b"w.pt"[..]));
        let two = version(vec![member("m/x/2", b"2"), member("m/x1", b"1")]);
        assert_eq!((two.path.as_str(), two.size_bytes), ("m", 2));
        let paths: Vec<&[u8]> = two.members.iter().map(|m| two.member_path(m)).collect();
        assert_eq!(paths, [&b"x/2"[..], &b"x1"[..]]);
        // Moving the folder changes nothing; renaming a member does.
        let moved = version(vec![member("elsewhere/deep/x1", b"1"), member("elsewhere/deep/x/2", b"2")]);
        assert_eq!(two.content, moved.content);
        let renamed = version(vec![member("m/x2", b"1"), member("m/x/2", b"2")]);
        assert_ne!(two.content, renamed.content);
        let top = version(vec![member("a", b"1"), member("b", b"2")]);
        assert_eq!((top.path.as_str(), top.member_path(&top.members[1])), ("", &b"b"[..]));
    }
}
