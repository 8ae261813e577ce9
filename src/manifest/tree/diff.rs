//! What differs between two trees, without opening what they share.

use std::cmp::Ordering;

use super::TreeEntry;
use super::reader::{Cursor, Head, Node};
use crate::id::{PageId, TreeId};
use crate::manifest::{Error, Result};

/// One difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the second tree has the path.
    Added(TreeEntry),
    /// Only the first tree has the path.
    Removed(TreeEntry),
    /// Both have the path, with another mode or content.
    Modified {
        /// The first tree's entry.
        before: TreeEntry,
        /// The second tree's entry.
        after: TreeEntry,
    },
}

impl Change {
    /// The path that differs.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        match self {
            Self::Added(entry) | Self::Removed(entry) => &entry.path,
            Self::Modified { after, .. } => &after.path,
        }
    }
}

/// What to do next with the two heads.
enum Step {
    SkipBoth,
    Expand { first: bool, second: bool },
    TakeFirst,
    TakeSecond,
    TakeBoth,
}

/// Calls `on_change` for every path in which the trees `before` and `after` differ, in path order.
///
/// A page that both trees have in the same place is neither fetched nor compared, so the work follows the
/// difference and not the size. Whether the trees are valid beyond the pages that were opened is not checked.
pub fn diff<F, B, E, C>(before: TreeId, after: TreeId, mut fetch: F, mut on_change: C) -> Result<(), E>
where
    F: FnMut(PageId) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<Error>,
    C: FnMut(Change) -> Result<(), E>,
{
    let mut a = Cursor::new(before);
    let mut b = Cursor::new(after);
    while let Some(step) = decide(a.head.as_ref(), b.head.as_ref()) {
        match step {
            Step::SkipBoth => {
                a.advance();
                b.advance();
            }
            Step::Expand { first, second } => {
                if first {
                    a.expand(&mut fetch)?;
                }
                if second {
                    b.expand(&mut fetch)?;
                }
            }
            Step::TakeFirst => {
                if let Some(Head::Entry(entry)) = a.advance() {
                    on_change(Change::Removed(entry))?;
                }
            }
            Step::TakeSecond => {
                if let Some(Head::Entry(entry)) = b.advance() {
                    on_change(Change::Added(entry))?;
                }
            }
            Step::TakeBoth => {
                if let (Some(Head::Entry(before)), Some(Head::Entry(after))) = (a.advance(), b.advance())
                    && before != after
                {
                    on_change(Change::Modified { before, after })?;
                }
            }
        }
    }
    Ok(())
}

fn decide(a: Option<&Head>, b: Option<&Head>) -> Option<Step> {
    let expand = |first, second| Step::Expand { first, second };
    Some(match (a, b) {
        (None, None) => return None,
        (Some(Head::Page(_)), None) => expand(true, false),
        (None, Some(Head::Page(_))) => expand(false, true),
        (Some(Head::Entry(_)), None) => Step::TakeFirst,
        (None, Some(Head::Entry(_))) => Step::TakeSecond,
        (Some(Head::Page(a)), Some(Head::Page(b))) => {
            if a.page_id == b.page_id {
                Step::SkipBoth
            } else if ends_before(a, b) {
                expand(true, false)
            } else if ends_before(b, a) {
                expand(false, true)
            } else {
                match level(a).cmp(&level(b)) {
                    Ordering::Greater => expand(true, false),
                    Ordering::Less => expand(false, true),
                    Ordering::Equal => expand(true, true),
                }
            }
        }
        // An entry that comes before all of a page is a difference by itself: the page stays closed.
        (Some(Head::Page(page)), Some(Head::Entry(entry))) => {
            if precedes(entry, page) {
                Step::TakeSecond
            } else {
                expand(true, false)
            }
        }
        (Some(Head::Entry(entry)), Some(Head::Page(page))) => {
            if precedes(entry, page) {
                Step::TakeFirst
            } else {
                expand(false, true)
            }
        }
        (Some(Head::Entry(a)), Some(Head::Entry(b))) => match a.path.cmp(&b.path) {
            Ordering::Less => Step::TakeFirst,
            Ordering::Greater => Step::TakeSecond,
            Ordering::Equal => Step::TakeBoth,
        },
    })
}

fn precedes(entry: &TreeEntry, page: &Node) -> bool {
    page.after.as_ref().is_some_and(|after| entry.path <= *after)
}

/// Whether all of `a` comes before all of `b`.
fn ends_before(a: &Node, b: &Node) -> bool {
    match (&a.claim, &b.after) {
        (Some((_, child)), Some(after)) => child.last_path <= *after,
        _ => false,
    }
}

/// A root counts as higher than any level: it has to be opened to learn its own.
fn level(node: &Node) -> u8 {
    node.claim.as_ref().map_or(u8::MAX, |(level, _)| *level)
}
