//! Recipes, tree pages and pointers: parse and encode only.
//!
//! A recipe says which chunks and holes a file consists of; a tree says which files a folder consists of;
//! a pointer is the small text that git stores in place of either. All three are canonical: there is
//! exactly one encoding of a given content, and a reader refuses every other, so that the BLAKE3 of the
//! bytes can stand for the content. Nothing here reads or stores anything: pages are handed to a sink while
//! they are built and asked for through a closure while they are read. Such a closure has its own error
//! type, into which [`Error`] must convert.
//!
//! The byte tables are in `docs/reference/formats/{recipe,tree,pointer}.md`.

mod path;
mod pointer;
mod recipe;
mod tree;
mod wire;

pub use path::{PathDefect, check_path};
pub use pointer::{DirectoryPointer, Parsed, Pointer, PointerDefect, parse};
pub use recipe::{BuiltRecipe, Recipe, RecipeBuilder, Term, TermPageRef, Terms, decode_term_page};
pub use tree::{
    Change, ChildRef, FileMode, TreeBuilder, TreeEntry, TreeIter, TreePage, TreeReader, TreeTotals, diff, empty_tree,
    validate,
};

use crate::id::PageId;

/// A metadata page to be stored as a record of kind page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// BLAKE3 of `bytes`.
    pub id: PageId,
    /// The page's canonical bytes.
    pub bytes: Vec<u8>,
}

impl Page {
    fn new(bytes: Vec<u8>) -> Self {
        Self { id: PageId::of(&bytes), bytes }
    }
}

/// Why bytes are not the manifest they should be, or why one cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than any manifest of the kind has.
    #[error("{what} of {len_bytes} bytes exceeds the limit of {max_bytes}")]
    TooLarge {
        /// Which kind of manifest.
        what: &'static str,
        /// How many bytes were given.
        len_bytes: usize,
        /// How many are allowed.
        max_bytes: usize,
    },
    /// The bytes are something else altogether.
    #[error("the bytes are not a {what}")]
    WrongKind {
        /// Which kind of manifest was expected.
        what: &'static str,
    },
    /// The manifest was written by a newer version of clade.
    #[error("{what} has version {version}, this reader knows version 1")]
    Version {
        /// Which kind of manifest.
        what: &'static str,
        /// The version it states.
        version: u8,
    },
    /// The bytes are not the MessagePack value they should be.
    #[error("{what} cannot be decoded")]
    Encoding {
        /// Which kind of manifest.
        what: &'static str,
        /// Where decoding stopped.
        source: rmp_serde::decode::Error,
    },
    /// The value is right but its encoding is not the canonical one.
    #[error("{what} is not in canonical form")]
    NotCanonical {
        /// Which kind of manifest.
        what: &'static str,
    },
    /// A rule of the format is broken.
    #[error("{what} breaks a rule of its format: {rule}")]
    Rule {
        /// Which kind of manifest.
        what: &'static str,
        /// The rule, as it should be.
        rule: &'static str,
    },
    /// A page's bytes do not have the id under which they were asked for.
    #[error("page {expected} has the content of {actual}")]
    PageDigest {
        /// The id asked for.
        expected: PageId,
        /// The id of the bytes that came.
        actual: PageId,
    },
    /// A page is not what the entry that names it says.
    #[error("page {page_id} contradicts the entry that names it: {rule}")]
    PageRule {
        /// The page.
        page_id: PageId,
        /// The rule, as it should be.
        rule: &'static str,
    },
    /// A path that a tree cannot hold.
    #[error("path {path:?} cannot be in a tree: {defect}")]
    Path {
        /// The path, with bytes outside UTF-8 replaced, cut after 200 characters.
        path: String,
        /// What is wrong with it.
        defect: PathDefect,
    },
    /// A whole tree is valid page by page, but is not what the builder makes of its entries.
    #[error("tree {actual} has other page boundaries than its entries demand ({expected})")]
    TreeShape {
        /// The id that the builder gives to the same entries.
        expected: crate::id::TreeId,
        /// The id of the tree that was read.
        actual: crate::id::TreeId,
    },
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Refuses `bytes` unless they are what `id` names.
fn check_page(id: PageId, bytes: &[u8]) -> Result<()> {
    let actual = PageId::of(bytes);
    if actual == id { Ok(()) } else { Err(Error::PageDigest { expected: id, actual }) }
}
