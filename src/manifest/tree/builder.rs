//! Sorted entries in, pages out.

use super::{ChildRef, Page, PageRule, TreeEntry, TreePage, TreeTotals, add, check_entry, rule};
use crate::id::{PageId, TreeId};
use crate::limits::MAX_TREE_LEVELS;
use crate::manifest::path::PathOrder;
use crate::manifest::{Error, Result};

#[derive(Debug, Default)]
struct Level {
    rule: PageRule,
    children: Vec<ChildRef>,
    last: Option<ChildRef>,
    pages: u64,
}

/// Builds a tree from its entries in path order. Memory: one open page a level.
///
/// The same entries always give the same pages. `sink` receives every page once, children before parents,
/// the root last; an error of the sink ends the build.
#[derive(Debug)]
pub struct TreeBuilder<F> {
    sink: F,
    order: PathOrder,
    leaf: Vec<TreeEntry>,
    levels: Vec<Level>,
    totals: (u64, u64),
}

impl<F, E> TreeBuilder<F>
where
    F: FnMut(Page) -> Result<(), E>,
    E: From<Error>,
{
    /// A tree whose pages go to `sink`.
    pub fn new(sink: F) -> Self {
        Self { sink, order: PathOrder::default(), leaf: Vec::new(), levels: vec![Level::default()], totals: (0, 0) }
    }

    /// Adds the next file. Paths must be valid ([`super::super::check_path`]) and strictly ascending by bytes.
    pub fn push(&mut self, entry: TreeEntry) -> Result<(), E> {
        check_entry(&entry)?;
        self.order.push(&entry.path)?;
        self.totals = add(self.totals, (1, entry.size_bytes))?;
        let ends = self.levels[0].rule.ends_after(0, &entry.path);
        self.leaf.push(entry);
        if ends { self.close(0) } else { Ok(()) }
    }

    /// Ends the tree. A tree without entries is one empty leaf.
    pub fn finish(mut self) -> Result<TreeTotals, E> {
        let mut level = 0;
        loop {
            let open = if level == 0 {
                !self.leaf.is_empty() || self.levels[0].pages == 0
            } else {
                !self.levels[level].children.is_empty()
            };
            if open {
                self.close(level)?;
            }
            if self.levels[level].pages == 1 {
                let root = self.levels[level].last.take();
                let root = root.expect("a level with a page remembers the last one");
                return Ok(TreeTotals {
                    tree_id: TreeId(root.page_id.0),
                    entries: self.totals.0,
                    size_bytes: self.totals.1,
                });
            }
            level += 1;
        }
    }

    /// Ends the open page of `level` and enters it into the level above.
    ///
    /// The first page of a level waits in `last` until there is a second, for a level with a single page is
    /// the root and has nothing above.
    fn close(&mut self, level: usize) -> Result<(), E> {
        let number = u8::try_from(level).ok().filter(|&n| n < MAX_TREE_LEVELS);
        let number = number.ok_or_else(|| rule("a tree has at most 8 levels"))?;
        let page = if level == 0 {
            TreePage::Leaf(std::mem::take(&mut self.leaf))
        } else {
            TreePage::Inner { level: number, children: std::mem::take(&mut self.levels[level].children) }
        };
        let (entries, size_bytes) = page.totals()?;
        let bytes = page.encode();
        let child = ChildRef {
            last_path: page.bounds().map_or_else(Vec::new, |(_, last)| last.to_vec()),
            page_id: PageId::of(&bytes),
            entries,
            size_bytes,
        };
        let id = child.page_id;
        let this = &mut self.levels[level];
        this.rule = PageRule::default();
        this.pages += 1;
        let before = this.last.replace(child);
        let second = this.pages == 2;
        (self.sink)(Page { id, bytes })?;
        if let Some(first) = before.filter(|_| second) {
            self.enter(level + 1, first)?;
        }
        if self.levels[level].pages > 1 {
            let child = self.levels[level].last.clone();
            self.enter(level + 1, child.expect("set above"))?;
        }
        Ok(())
    }

    fn enter(&mut self, level: usize, child: ChildRef) -> Result<(), E> {
        if self.levels.len() == level {
            self.levels.push(Level::default());
        }
        // Beyond the last level `close` refuses; until then the number fits.
        let number = u8::try_from(level).unwrap_or(MAX_TREE_LEVELS - 1);
        let number = number.min(MAX_TREE_LEVELS - 1);
        let this = &mut self.levels[level];
        let ends = this.rule.ends_after(number, &child.last_path);
        this.children.push(child);
        if ends { self.close(level) } else { Ok(()) }
    }
}
