//! Recipes: the chunks and holes of which a file consists, in order.

use serde::{Deserialize, Serialize};

use super::{Error, Page, Result, check_page, wire};
use crate::id::{ChunkId, FileId, PageId};
use crate::limits::{MAX_CHUNK_BYTES, MAX_RECIPE_PAGES, MAX_RECIPE_TERMS};

const RECIPE: &str = "recipe";
const PAGED: &str = "recipe-pages";
const TERMS: &str = "terms";
const WHAT: &str = "recipe";
const WHAT_PAGE: &str = "term page";

/// One part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Term {
    /// The plain bytes of a chunk.
    Chunk {
        /// Which chunk.
        id: ChunkId,
        /// Its length, 1 to [`MAX_CHUNK_BYTES`].
        len_bytes: u32,
    },
    /// Zero bytes that are stored nowhere.
    Hole {
        /// How many, at least 1.
        len_bytes: u64,
    },
}

impl Term {
    /// How many bytes of the file the term gives.
    #[must_use]
    pub fn len_bytes(&self) -> u64 {
        match *self {
            Self::Chunk { len_bytes, .. } => u64::from(len_bytes),
            Self::Hole { len_bytes } => len_bytes,
        }
    }

    fn is_hole(&self) -> bool {
        matches!(self, Self::Hole { .. })
    }
}

/// A page of terms, as a paged recipe names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermPageRef {
    /// The page.
    pub page_id: PageId,
    /// How many bytes of the file its terms give.
    pub size_bytes: u64,
    /// How many terms it has: [`MAX_RECIPE_TERMS`], except in the last page.
    pub term_count: u32,
}

#[derive(Serialize, Deserialize)]
struct WireTerm(Option<ChunkId>, u64);
#[derive(Serialize, Deserialize)]
struct WireRecipe<'a>(#[serde(borrow)] &'a str, u8, u8, FileId, u64, Vec<WireTerm>);
#[derive(Serialize, Deserialize)]
struct WirePaged<'a>(#[serde(borrow)] &'a str, u8, u8, FileId, u64, Vec<TermPageRef>);
#[derive(Serialize, Deserialize)]
struct WireTerms<'a>(#[serde(borrow)] &'a str, u8, Vec<WireTerm>);

fn to_wire(terms: &[Term]) -> Vec<WireTerm> {
    let one = |term: &Term| match *term {
        Term::Chunk { id, len_bytes } => WireTerm(Some(id), u64::from(len_bytes)),
        Term::Hole { len_bytes } => WireTerm(None, len_bytes),
    };
    terms.iter().map(one).collect()
}

/// Checks the terms of one list by themselves: lengths, merged holes. Returns them and their total length.
fn from_wire(what: &'static str, wire: Vec<WireTerm>) -> Result<(Vec<Term>, u64)> {
    let rule = |rule| Error::Rule { what, rule };
    if wire.is_empty() || wire.len() > MAX_RECIPE_TERMS {
        return Err(rule("it has 1 to 65,536 terms"));
    }
    let mut terms = Vec::with_capacity(wire.len());
    let mut total = 0u64;
    for WireTerm(id, len_bytes) in wire {
        let term = match id {
            Some(id) => Term::Chunk {
                id,
                len_bytes: chunk_len(len_bytes).ok_or_else(|| rule("a chunk has 1 to 262,144 bytes"))?,
            },
            None => Term::Hole { len_bytes },
        };
        if len_bytes == 0 {
            return Err(rule("a hole has a length"));
        }
        if term.is_hole() && terms.last().is_some_and(Term::is_hole) {
            return Err(rule("adjacent holes are one hole"));
        }
        total = total.checked_add(len_bytes).ok_or_else(|| rule("the size fits 64 bits"))?;
        terms.push(term);
    }
    Ok((terms, total))
}

fn chunk_len(len: u64) -> Option<u32> {
    let len = u32::try_from(len).ok()?;
    (len >= 1 && len as usize <= MAX_CHUNK_BYTES).then_some(len)
}

/// Decodes a page of terms. That its bytes are those of the id asked for is the caller's to check.
pub fn decode_term_page(bytes: &[u8]) -> Result<Vec<Term>> {
    let WireTerms(_, _, terms) = wire::decode(WHAT_PAGE, TERMS, bytes)?;
    Ok(from_wire(WHAT_PAGE, terms)?.0)
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Body {
    Terms(Vec<Term>),
    Pages(Vec<TermPageRef>),
}

/// How one file is put together. Made by [`RecipeBuilder`] or read by [`Recipe::decode`], so always valid.
///
/// That the parts really give the file is known only after its bytes were hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    profile: u8,
    file_id: FileId,
    size_bytes: u64,
    body: Body,
}

impl Recipe {
    /// The chunking profile by which the file was cut.
    #[must_use]
    pub fn profile(&self) -> u8 {
        self.profile
    }

    /// The file that the recipe describes.
    #[must_use]
    pub fn file_id(&self) -> FileId {
        self.file_id
    }

    /// The file's size.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The pages of terms, in order; none where the recipe holds its terms itself.
    #[must_use]
    pub fn pages(&self) -> &[TermPageRef] {
        match &self.body {
            Body::Terms(_) => &[],
            Body::Pages(pages) => pages,
        }
    }

    /// How many terms there are, pages included.
    #[must_use]
    pub fn term_count(&self) -> u64 {
        match &self.body {
            Body::Terms(terms) => terms.len() as u64,
            Body::Pages(pages) => pages.iter().map(|page| u64::from(page.term_count)).sum(),
        }
    }

    /// The recipe's canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { profile, file_id, size_bytes, .. } = *self;
        match &self.body {
            Body::Terms(terms) => {
                wire::encode(&WireRecipe(RECIPE, wire::VERSION, profile, file_id, size_bytes, to_wire(terms)))
            }
            Body::Pages(pages) => {
                wire::encode(&WirePaged(PAGED, wire::VERSION, profile, file_id, size_bytes, pages.clone()))
            }
        }
    }

    /// Reads a recipe, in either form. Bytes that are not canonical are refused.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let paged = matches!(wire::head(bytes), Some((tag, _)) if tag == PAGED.as_bytes());
        let (recipe, total) = if paged {
            let WirePaged(_, _, profile, file_id, size_bytes, pages) = wire::decode(WHAT, PAGED, bytes)?;
            let total = check_pages(&pages)?;
            let body = Body::Pages(pages);
            let recipe = Self { profile, file_id, size_bytes, body };
            (recipe, total)
        } else {
            let WireRecipe(_, _, profile, file_id, size_bytes, terms) = wire::decode(WHAT, RECIPE, bytes)?;
            let (terms, total) = from_wire(WHAT, terms)?;
            if let [Term::Chunk { .. }] = terms[..] {
                return Err(rule("a file of one chunk has no recipe"));
            }
            let body = Body::Terms(terms);
            let recipe = Self { profile, file_id, size_bytes, body };
            (recipe, total)
        };
        if total != recipe.size_bytes {
            return Err(rule("the lengths of the terms add up to the size"));
        }
        Ok(recipe)
    }

    /// The terms in order. `fetch` gives the bytes of a page; it is called once a page, in order, and never
    /// for a recipe that holds its terms itself. After an error the iterator ends.
    pub fn terms<F, B, E>(&self, fetch: F) -> Terms<'_, F>
    where
        F: FnMut(PageId) -> Result<B, E>,
        B: AsRef<[u8]>,
        E: From<Error>,
    {
        let (current, pages) = match &self.body {
            Body::Terms(terms) => (terms.clone(), &[][..]),
            Body::Pages(pages) => (Vec::new(), &pages[..]),
        };
        Terms { pages: pages.iter(), current: current.into_iter(), after_hole: false, fetch }
    }
}

fn rule(rule: &'static str) -> Error {
    Error::Rule { what: WHAT, rule }
}

fn check_pages(pages: &[TermPageRef]) -> Result<u64> {
    if pages.len() < 2 || pages.len() > MAX_RECIPE_PAGES {
        return Err(rule("a paged recipe has 2 to 65,536 pages"));
    }
    let mut total = 0u64;
    for (i, page) in pages.iter().enumerate() {
        let count = page.term_count as usize;
        let last = i + 1 == pages.len();
        if count == 0 || count > MAX_RECIPE_TERMS || (!last && count != MAX_RECIPE_TERMS) {
            return Err(rule("each page but the last has 65,536 terms"));
        }
        if page.size_bytes < u64::from(page.term_count) {
            return Err(rule("a term has at least one byte"));
        }
        total = total.checked_add(page.size_bytes).ok_or_else(|| rule("the size fits 64 bits"))?;
    }
    Ok(total)
}

/// The terms of a recipe, from [`Recipe::terms`].
#[derive(Debug)]
pub struct Terms<'a, F> {
    pages: std::slice::Iter<'a, TermPageRef>,
    current: std::vec::IntoIter<Term>,
    after_hole: bool,
    fetch: F,
}

impl<F, B, E> Iterator for Terms<'_, F>
where
    F: FnMut(PageId) -> Result<B, E>,
    B: AsRef<[u8]>,
    E: From<Error>,
{
    type Item = Result<Term, E>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(term) = self.current.next() {
            self.after_hole = term.is_hole();
            return Some(Ok(term));
        }
        let page = self.pages.next()?;
        let opened = (self.fetch)(page.page_id).and_then(|bytes| Ok(open_page(page, bytes.as_ref(), self.after_hole)?));
        match opened {
            Ok(terms) => {
                self.current = terms.into_iter();
                self.next()
            }
            Err(error) => {
                self.pages = [].iter();
                Some(Err(error))
            }
        }
    }
}

fn open_page(page: &TermPageRef, bytes: &[u8], after_hole: bool) -> Result<Vec<Term>> {
    check_page(page.page_id, bytes)?;
    let WireTerms(_, _, wire_terms) = wire::decode(WHAT_PAGE, TERMS, bytes)?;
    let (terms, total) = from_wire(WHAT_PAGE, wire_terms)?;
    let rule = |rule| Error::PageRule { page_id: page.page_id, rule };
    if total != page.size_bytes || terms.len() != page.term_count as usize {
        return Err(rule("size and count of the terms are as the recipe says"));
    }
    if after_hole && terms.first().is_some_and(Term::is_hole) {
        return Err(rule("adjacent holes are one hole"));
    }
    Ok(terms)
}

/// What [`RecipeBuilder::finish`] gives.
#[derive(Debug)]
pub struct BuiltRecipe {
    /// The recipe; none for an empty file and for a file of one chunk, which is its own recipe.
    pub recipe: Option<Recipe>,
    /// The pages that were not taken earlier, in order.
    pub pages: Vec<Page>,
}

/// Takes the parts of a file in order and makes its recipe. Memory: one page of terms, and the full pages
/// until they are taken.
#[derive(Debug)]
pub struct RecipeBuilder {
    profile: u8,
    size_bytes: u64,
    hole_bytes: u64,
    terms: Vec<Term>,
    open_bytes: u64,
    refs: Vec<TermPageRef>,
    ready: Vec<Page>,
}

impl RecipeBuilder {
    /// A recipe of a file cut by chunking profile `profile`.
    #[must_use]
    pub fn new(profile: u8) -> Self {
        Self {
            profile,
            size_bytes: 0,
            hole_bytes: 0,
            terms: Vec::new(),
            open_bytes: 0,
            refs: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// How many bytes the parts so far give.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Adds a chunk of 1 to [`MAX_CHUNK_BYTES`] bytes.
    pub fn push_chunk(&mut self, id: ChunkId, len_bytes: usize) -> Result<()> {
        let len_bytes = chunk_len(len_bytes as u64).ok_or_else(|| rule("a chunk has 1 to 262,144 bytes"))?;
        self.grow(u64::from(len_bytes))?;
        self.close_hole()?;
        self.emit(Term::Chunk { id, len_bytes })
    }

    /// Adds zero bytes. Holes in a row become one; an empty one is nothing.
    pub fn push_hole(&mut self, len_bytes: u64) -> Result<()> {
        self.grow(len_bytes)?;
        // At most the size, which was just checked.
        self.hole_bytes += len_bytes;
        Ok(())
    }

    /// The pages that are full by now, for a caller that stores them while the file is still being read.
    pub fn take_pages(&mut self) -> Vec<Page> {
        std::mem::take(&mut self.ready)
    }

    /// Ends the recipe of `file_id`, the BLAKE3 of all bytes that the parts give.
    pub fn finish(mut self, file_id: FileId) -> Result<BuiltRecipe> {
        self.close_hole()?;
        let body = if !self.refs.is_empty() {
            self.close_page()?;
            Body::Pages(self.refs)
        } else {
            match self.terms[..] {
                [] => {
                    return Ok(BuiltRecipe { recipe: None, pages: self.ready });
                }
                [Term::Chunk { id, .. }] => {
                    if id.as_bytes() != file_id.as_bytes() {
                        return Err(rule("a file of one chunk has the chunk's id"));
                    }
                    return Ok(BuiltRecipe { recipe: None, pages: self.ready });
                }
                _ => Body::Terms(self.terms),
            }
        };
        Ok(BuiltRecipe {
            recipe: Some(Recipe { profile: self.profile, file_id, size_bytes: self.size_bytes, body }),
            pages: self.ready,
        })
    }

    fn grow(&mut self, len_bytes: u64) -> Result<()> {
        let size = self.size_bytes.checked_add(len_bytes);
        self.size_bytes = size.ok_or_else(|| rule("the size fits 64 bits"))?;
        Ok(())
    }

    fn close_hole(&mut self) -> Result<()> {
        match std::mem::take(&mut self.hole_bytes) {
            0 => Ok(()),
            len_bytes => self.emit(Term::Hole { len_bytes }),
        }
    }

    fn emit(&mut self, term: Term) -> Result<()> {
        if self.terms.len() == MAX_RECIPE_TERMS {
            self.close_page()?;
        }
        self.open_bytes += term.len_bytes();
        self.terms.push(term);
        Ok(())
    }

    fn close_page(&mut self) -> Result<()> {
        if self.refs.len() == MAX_RECIPE_PAGES {
            return Err(rule("a paged recipe has 2 to 65,536 pages"));
        }
        let wire_terms = WireTerms(TERMS, wire::VERSION, to_wire(&self.terms));
        let page = Page::new(wire::encode(&wire_terms));
        self.refs.push(TermPageRef {
            page_id: page.id,
            size_bytes: std::mem::take(&mut self.open_bytes),
            term_count: u32::try_from(self.terms.len()).expect("a page has at most 65,536 terms"),
        });
        self.ready.push(page);
        self.terms.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
