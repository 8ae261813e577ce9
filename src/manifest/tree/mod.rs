//! Trees: the files of a folder, in pages that are shared between versions.
//!
//! Leaf pages hold entries, inner pages hold pages. Where a page ends depends on the paths alone, so a
//! change of content rewrites one page of each level and moves no boundary.

mod builder;
mod diff;
mod reader;

pub use builder::TreeBuilder;
pub use diff::{Change, diff};
pub use reader::{TreeIter, TreeReader, validate};

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::path::{PathOrder, check_path};
use super::{Error, Page, Result, wire};
use crate::id::{FileId, PageId, TreeId};
use crate::limits::{MAX_TREE_LEVELS, MAX_TREE_PAGE_ENTRIES};

const TREE: &str = "tree";
const WHAT: &str = "tree page";

/// What an entry of a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileMode {
    /// An ordinary file, git's 100644.
    Regular,
    /// A file that may be executed, git's 100755.
    Executable,
    /// A symbolic link, git's 120000; its bytes are the target.
    Symlink,
}

impl FileMode {
    /// The number that git uses.
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Regular => 0o100_644,
            Self::Executable => 0o100_755,
            Self::Symlink => 0o120_000,
        }
    }

    /// The mode of git's number; none for directories, submodules and all else.
    #[must_use]
    pub fn from_bits(bits: u32) -> Option<Self> {
        [Self::Regular, Self::Executable, Self::Symlink].into_iter().find(|mode| mode.bits() == bits)
    }
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Path below the tree's root, raw bytes with `/` between components.
    pub path: Vec<u8>,
    /// File, executable or link.
    pub mode: FileMode,
    /// The file's size.
    pub size_bytes: u64,
    /// The file's id.
    pub file_id: FileId,
}

/// One page below an inner page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildRef {
    /// The last path below the page.
    pub last_path: Vec<u8>,
    /// The page.
    pub page_id: PageId,
    /// How many files are below it, at least 1.
    pub entries: u64,
    /// Their sizes added up.
    pub size_bytes: u64,
}

/// A tree, and what it adds up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeTotals {
    /// The tree's id, that of its root page.
    pub tree_id: TreeId,
    /// How many files it has.
    pub entries: u64,
    /// Their sizes added up.
    pub size_bytes: u64,
}

/// One decoded page of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreePage {
    /// Level 0: files, strictly ascending by path.
    Leaf(Vec<TreeEntry>),
    /// Pages of the level below, strictly ascending by last path.
    Inner {
        /// 1 or more.
        level: u8,
        /// The pages below, at least one.
        children: Vec<ChildRef>,
    },
}

#[derive(Serialize, Deserialize)]
struct WireEntry(ByteBuf, u32, u64, FileId);
#[derive(Serialize, Deserialize)]
struct WireChild(ByteBuf, PageId, u64, u64);
#[derive(Serialize, Deserialize)]
struct WireLeaf<'a>(#[serde(borrow)] &'a str, u8, u8, Vec<WireEntry>);
#[derive(Serialize, Deserialize)]
struct WireInner<'a>(#[serde(borrow)] &'a str, u8, u8, Vec<WireChild>);

impl TreePage {
    /// The page's level: 0 for a leaf.
    #[must_use]
    pub fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    /// Reads one page. Checks everything that the page alone can tell, so not whether it ends where the
    /// page rule says.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        // The level is a small number right behind the tag and the version.
        match bytes.get(7) {
            Some(0) => decode_leaf(bytes),
            Some(_) => decode_inner(bytes),
            None => Err(Error::WrongKind { what: WHAT }),
        }
    }

    /// The page's canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Leaf(entries) => {
                let one = |e: &TreeEntry| {
                    let path = ByteBuf::from(e.path.clone());
                    WireEntry(path, e.mode.bits(), e.size_bytes, e.file_id)
                };
                let entries = entries.iter().map(one).collect();
                wire::encode(&WireLeaf(TREE, wire::VERSION, 0, entries))
            }
            Self::Inner { level, children } => {
                let one = |c: &ChildRef| {
                    let path = ByteBuf::from(c.last_path.clone());
                    WireChild(path, c.page_id, c.entries, c.size_bytes)
                };
                let children = children.iter().map(one).collect();
                wire::encode(&WireInner(TREE, wire::VERSION, *level, children))
            }
        }
    }

    /// How many files are at or below the page, and their sizes added up.
    fn totals(&self) -> Result<(u64, u64)> {
        let mut totals = (0, 0);
        match self {
            Self::Leaf(entries) => {
                for entry in entries {
                    totals = add(totals, (1, entry.size_bytes))?;
                }
            }
            Self::Inner { children, .. } => {
                for child in children {
                    totals = add(totals, (child.entries, child.size_bytes))?;
                }
            }
        }
        Ok(totals)
    }

    /// The first and last path that the page itself names.
    fn bounds(&self) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Leaf(entries) => Some((&entries.first()?.path, &entries.last()?.path)),
            Self::Inner { children, .. } => Some((&children.first()?.last_path, &children.last()?.last_path)),
        }
    }
}

fn rule(rule: &'static str) -> Error {
    Error::Rule { what: WHAT, rule }
}

fn add(a: (u64, u64), b: (u64, u64)) -> Result<(u64, u64)> {
    match (a.0.checked_add(b.0), a.1.checked_add(b.1)) {
        (Some(entries), Some(size_bytes)) => Ok((entries, size_bytes)),
        _ => Err(rule("counts and sizes fit 64 bits")),
    }
}

fn check_entry(entry: &TreeEntry) -> Result<()> {
    check_path(&entry.path)?;
    if entry.size_bytes == 0 && entry.file_id != FileId::of(b"") {
        return Err(rule("an empty file has the id of no bytes"));
    }
    // No file system takes a link without a target, so such a tree could never be restored.
    if entry.size_bytes == 0 && entry.mode == FileMode::Symlink {
        return Err(rule("a link has a target"));
    }
    Ok(())
}

fn decode_leaf(bytes: &[u8]) -> Result<TreePage> {
    let WireLeaf(_, _, _, wire_entries) = wire::decode(WHAT, TREE, bytes)?;
    if wire_entries.len() > MAX_TREE_PAGE_ENTRIES {
        return Err(rule("a page has at most 4,096 entries"));
    }
    let mut order = PathOrder::default();
    let mut entries = Vec::with_capacity(wire_entries.len());
    for WireEntry(path, mode, size_bytes, file_id) in wire_entries {
        let entry = TreeEntry {
            path: path.into_vec(),
            mode: FileMode::from_bits(mode).ok_or_else(|| rule("a mode is 100644, 100755 or 120000"))?,
            size_bytes,
            file_id,
        };
        check_entry(&entry)?;
        order.push(&entry.path)?;
        entries.push(entry);
    }
    Ok(TreePage::Leaf(entries))
}

fn decode_inner(bytes: &[u8]) -> Result<TreePage> {
    let WireInner(_, _, level, wire_children) = wire::decode(WHAT, TREE, bytes)?;
    if level == 0 || level >= MAX_TREE_LEVELS {
        return Err(rule("a tree has at most 8 levels"));
    }
    if wire_children.is_empty() || wire_children.len() > MAX_TREE_PAGE_ENTRIES {
        return Err(rule("an inner page has 1 to 4,096 entries"));
    }
    let mut order = PathOrder::default();
    let mut children = Vec::with_capacity(wire_children.len());
    for WireChild(path, page_id, entries, size_bytes) in wire_children {
        check_path(&path)?;
        order.push(&path)?;
        if entries == 0 {
            return Err(rule("a page below another has files"));
        }
        children.push(ChildRef { last_path: path.into_vec(), page_id, entries, size_bytes });
    }
    Ok(TreePage::Inner { level, children })
}

/// The tree without files: its one page, whose id is the tree's.
#[must_use]
pub fn empty_tree() -> Page {
    Page::new(TreePage::Leaf(Vec::new()).encode())
}

/// Where pages end: page rule 1, part of tree version 1.
///
/// A page of `level` ends after the entry `path` when it has at least 512 entries and the little-endian
/// `u32` at byte `4 * level` of BLAKE3(`path`) has its low 9 bits zero, or when it has
/// [`MAX_TREE_PAGE_ENTRIES`], or when its paths have 1 MiB or more, which bounds the page's bytes. Of an
/// inner entry the path is the last path below it.
#[derive(Debug, Clone, Copy, Default)]
struct PageRule {
    entries: usize,
    path_bytes: usize,
}

impl PageRule {
    const MIN_ENTRIES: usize = 512;
    const MASK: u32 = (1 << 9) - 1;
    const MAX_PAGE_PATH_BYTES: usize = 1 << 20;

    /// Counts the entry `path` and says whether the page ends with it.
    fn ends_after(&mut self, level: u8, path: &[u8]) -> bool {
        self.entries += 1;
        self.path_bytes += path.len();
        if self.entries >= MAX_TREE_PAGE_ENTRIES || self.path_bytes >= Self::MAX_PAGE_PATH_BYTES {
            return true;
        }
        if self.entries < Self::MIN_ENTRIES {
            return false;
        }
        let digest = blake3::hash(path);
        let at = 4 * usize::from(level);
        let word: [u8; 4] = digest.as_bytes()[at..at + 4].try_into().expect("eight levels of four bytes make a digest");
        u32::from_le_bytes(word) & Self::MASK == 0
    }
}

#[cfg(test)]
mod tests;
