//! Reading a tree page by page, each page checked against the entry that names it.

use super::{ChildRef, TreeBuilder, TreeEntry, TreePage, TreeTotals};
use crate::id::{PageId, TreeId};
use crate::manifest::path::PathOrder;
use crate::manifest::{Error, Result, check_page};

/// A page that is not open yet, and what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) page_id: PageId,
    /// All paths of the page are greater than this one; none for the first page of a tree.
    pub(super) after: Option<Vec<u8>>,
    /// The level above's word on it: level, last path, totals. None for a root.
    pub(super) claim: Option<(u8, ChildRef)>,
}

impl Node {
    pub(super) fn root(tree_id: TreeId) -> Self {
        Self { page_id: PageId(tree_id.0), after: None, claim: None }
    }

    /// Decodes the node's page and checks it against the claim.
    fn open(&self, bytes: &[u8]) -> Result<TreePage> {
        check_page(self.page_id, bytes)?;
        let page = TreePage::decode(bytes)?;
        let rule = |rule| Error::PageRule { page_id: self.page_id, rule };
        let totals = page.totals()?;
        let bounds = page.bounds();
        if let Some((level, child)) = &self.claim {
            if page.level() != *level {
                return Err(rule("it is of the level below"));
            }
            if bounds.is_none_or(|(_, last)| last != child.last_path) {
                return Err(rule("its last path is the one named"));
            }
            if totals != (child.entries, child.size_bytes) {
                return Err(rule("its count and size are those named"));
            }
        }
        if let (Some(after), Some((first, _))) = (&self.after, bounds)
            && first <= after.as_slice()
        {
            return Err(rule("its paths come after those of the page before"));
        }
        Ok(page)
    }

    /// The pages below an inner page.
    fn below(&self, level: u8, children: Vec<ChildRef>) -> Vec<Self> {
        let mut after = self.after.clone();
        children
            .into_iter()
            .map(|child| Self {
                page_id: child.page_id,
                after: after.replace(child.last_path.clone()),
                claim: Some((level - 1, child)),
            })
            .collect()
    }
}

#[derive(Debug)]
enum Open {
    Leaf(std::vec::IntoIter<TreeEntry>),
    Inner(std::vec::IntoIter<Node>),
}

/// What a cursor stands at.
#[derive(Debug)]
pub(super) enum Head {
    Page(Node),
    Entry(TreeEntry),
}

/// A walk over a tree that opens a page only when asked to.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) head: Option<Head>,
    stack: Vec<Open>,
}

impl Cursor {
    pub(super) fn new(tree_id: TreeId) -> Self {
        Self { head: Some(Head::Page(Node::root(tree_id))), stack: Vec::new() }
    }

    /// Leaves the head behind and goes to what follows it.
    pub(super) fn advance(&mut self) -> Option<Head> {
        let mut next = None;
        while let Some(open) = self.stack.last_mut() {
            next = match open {
                Open::Leaf(entries) => entries.next().map(Head::Entry),
                Open::Inner(nodes) => nodes.next().map(Head::Page),
            };
            if next.is_some() {
                break;
            }
            self.stack.pop();
        }
        std::mem::replace(&mut self.head, next)
    }

    /// Opens the page at the head and goes to what is first in it. Nothing happens at an entry.
    pub(super) fn expand<F, B, E>(&mut self, fetch: &mut F) -> Result<(), E>
    where
        F: FnMut(PageId) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<Error>,
    {
        let Some(Head::Page(node)) = &self.head else {
            return Ok(());
        };
        let bytes = fetch(node.page_id)?;
        let open = match node.open(bytes.as_ref())? {
            TreePage::Leaf(entries) => Open::Leaf(entries.into_iter()),
            TreePage::Inner { level, children } => Open::Inner(node.below(level, children).into_iter()),
        };
        self.stack.push(open);
        self.advance();
        Ok(())
    }
}

/// A tree whose pages come from `fetch`, a closure from page id to bytes.
///
/// Every page is checked before any of it is used: its digest, its form, and what the page above says.
#[derive(Debug)]
pub struct TreeReader<F> {
    tree_id: TreeId,
    fetch: F,
}

impl<F, B, E> TreeReader<F>
where
    F: FnMut(PageId) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<Error>,
{
    /// A reader of the tree `tree_id`. Nothing is fetched yet.
    pub fn new(tree_id: TreeId, fetch: F) -> Self {
        Self { tree_id, fetch }
    }

    /// What the tree adds up to, from its root page alone.
    pub fn totals(&mut self) -> Result<TreeTotals, E> {
        let node = Node::root(self.tree_id);
        let bytes = (self.fetch)(node.page_id)?;
        let (entries, size_bytes) = node.open(bytes.as_ref())?.totals()?;
        Ok(TreeTotals { tree_id: self.tree_id, entries, size_bytes })
    }

    /// The entry `path`, if the tree has it. Fetches one page of each level.
    pub fn lookup(&mut self, path: &[u8]) -> Result<Option<TreeEntry>, E> {
        let mut node = Node::root(self.tree_id);
        loop {
            let bytes = (self.fetch)(node.page_id)?;
            match node.open(bytes.as_ref())? {
                TreePage::Leaf(mut entries) => {
                    let found = entries.binary_search_by(|entry| entry.path.as_slice().cmp(path));
                    return Ok(found.ok().map(|at| entries.swap_remove(at)));
                }
                TreePage::Inner { level, children } => {
                    let at = children.partition_point(|child| child.last_path.as_slice() < path);
                    let mut below = node.below(level, children);
                    if at == below.len() {
                        return Ok(None);
                    }
                    node = below.swap_remove(at);
                }
            }
        }
    }

    /// All entries in path order; each page is fetched once, when its first entry is wanted. After an error
    /// the iterator ends.
    pub fn iter(&mut self) -> TreeIter<'_, F> {
        TreeIter { cursor: Cursor::new(self.tree_id), order: PathOrder::default(), fetch: &mut self.fetch }
    }
}

/// The entries of a tree, from [`TreeReader::iter`].
#[derive(Debug)]
pub struct TreeIter<'a, F> {
    cursor: Cursor,
    order: PathOrder,
    fetch: &'a mut F,
}

impl<F, B, E> TreeIter<'_, F>
where
    F: FnMut(PageId) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<Error>,
{
    fn step(&mut self) -> Result<Option<TreeEntry>, E> {
        while let Some(Head::Page(_)) = self.cursor.head {
            self.cursor.expand(self.fetch)?;
        }
        let Some(Head::Entry(entry)) = self.cursor.advance() else {
            return Ok(None);
        };
        // Pages check their own paths; a file in one page can still be a directory in a later one.
        self.order.push(&entry.path)?;
        Ok(Some(entry))
    }
}

impl<F, B, E> Iterator for TreeIter<'_, F>
where
    F: FnMut(PageId) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<Error>,
{
    type Item = Result<TreeEntry, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.cursor.head = None;
            self.cursor.stack.clear();
        }
        step.transpose()
    }
}

/// Reads the whole tree and checks that it is, page for page, what [`TreeBuilder`] makes of its entries.
///
/// Because the builder has one result for given entries, the same root id means the same pages.
pub fn validate<F, B, E>(tree_id: TreeId, fetch: F) -> Result<TreeTotals, E>
where
    F: FnMut(PageId) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<Error>,
{
    let mut builder = TreeBuilder::new(|_| Ok::<(), E>(()));
    for entry in TreeReader::new(tree_id, fetch).iter() {
        builder.push(entry?)?;
    }
    let totals = builder.finish()?;
    if totals.tree_id == tree_id {
        Ok(totals)
    } else {
        Err(Error::TreeShape { expected: totals.tree_id, actual: tree_id }.into())
    }
}
