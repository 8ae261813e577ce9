use std::collections::BTreeMap;

use super::*;

fn chunk(n: usize) -> ChunkId {
    ChunkId::of(&n.to_le_bytes())
}

fn build(parts: &[Term], file_id: FileId) -> BuiltRecipe {
    let mut builder = RecipeBuilder::new(1);
    for part in parts {
        match *part {
            Term::Chunk { id, len_bytes } => builder.push_chunk(id, len_bytes as usize),
            Term::Hole { len_bytes } => builder.push_hole(len_bytes),
        }
        .expect("a valid part");
    }
    builder.finish(file_id).expect("a recipe")
}

fn hole(len_bytes: u64) -> Term {
    Term::Hole { len_bytes }
}

fn data(n: usize, len_bytes: u32) -> Term {
    Term::Chunk { id: chunk(n), len_bytes }
}

fn no_pages(id: PageId) -> Result<Vec<u8>> {
    Err(Error::PageDigest { expected: id, actual: id })
}

#[test]
fn small_files_need_none() {
    assert_eq!(build(&[], FileId::of(b"")).recipe, None);
    let only = FileId(chunk(1).0);
    assert_eq!(build(&[data(1, 9)], only).recipe, None);
    let mut builder = RecipeBuilder::new(1);
    builder.push_chunk(chunk(1), 9).expect("valid");
    assert!(builder.finish(FileId::of(b"other")).is_err());
    assert!(build(&[hole(9)], only).recipe.is_some());
}

#[test]
fn golden_bytes_and_merged_holes() {
    let file_id = FileId::of(b"file");
    let parts = [hole(65_536), hole(1), data(1, 300), hole(0), data(2, 5), hole(7)];
    let recipe = build(&parts, file_id).recipe.expect("a recipe");
    let mut expected = b"\x96\xa6recipe\x01\x01\xc4\x20".to_vec();
    expected.extend(file_id.0);
    expected.extend(b"\xce\x00\x01\x01\x39\x94\x92\xc0\xce\x00\x01\x00\x01\x92\xc4\x20");
    expected.extend(chunk(1).0);
    expected.extend(b"\xcd\x01\x2c\x92\xc4\x20");
    expected.extend(chunk(2).0);
    expected.extend(b"\x05\x92\xc0\x07");
    assert_eq!(recipe.encode(), expected);
    assert_eq!(Recipe::decode(&expected).expect("valid"), recipe);
    assert_eq!((recipe.size_bytes(), recipe.term_count()), (65_849, 4));
    let terms: Result<Vec<_>> = recipe.terms(no_pages).collect();
    let wanted = [hole(65_537), data(1, 300), data(2, 5), hole(7)];
    assert_eq!(terms.expect("no page is needed"), wanted);
}

#[test]
fn many_terms_go_to_pages() {
    for extra in [0, 1, MAX_RECIPE_TERMS + 5] {
        let parts: Vec<_> =
            (0..MAX_RECIPE_TERMS + extra).map(|i| if i % 2 == 1 { hole(70_000) } else { data(i, 4) }).collect();
        let built = build(&parts, FileId::of(b"file"));
        let recipe = built.recipe.expect("a recipe");
        assert_eq!(recipe.pages().len(), extra.div_ceil(MAX_RECIPE_TERMS) + usize::from(extra > 0));
        assert_eq!(recipe.term_count(), parts.len() as u64);
        assert_eq!(Recipe::decode(&recipe.encode()).expect("valid"), recipe);
        let pages: BTreeMap<_, _> = built.pages.into_iter().map(|p| (p.id, p.bytes)).collect();
        let terms: Result<Vec<_>> = recipe.terms(|id| Ok(&pages[&id])).collect();
        assert_eq!(terms.expect("readable"), parts);
        if extra > 0 {
            // Other bytes in place of a page, and a missing page.
            let other = pages[&recipe.pages()[1].page_id].clone();
            let terms: Result<Vec<_>> = recipe.terms(|_| Ok(other.clone())).collect();
            assert!(matches!(terms, Err(Error::PageDigest { .. })));
            let mut terms = recipe.terms(no_pages);
            assert!(terms.next().expect("an error").is_err());
            assert!(terms.next().is_none());
        }
    }
}

fn wire_recipe(size: u64, terms: Vec<WireTerm>) -> Vec<u8> {
    wire::encode(&WireRecipe(RECIPE, 1, 1, FileId::of(b"f"), size, terms))
}

#[test]
fn broken_rules_are_refused() {
    let id = || Some(chunk(1));
    for (size, terms) in [
        (0, vec![]),
        (0, vec![WireTerm(None, 0)]),
        (9, vec![WireTerm(id(), 9)]),
        (9, vec![WireTerm(None, 4), WireTerm(None, 5)]),
        (9, vec![WireTerm(None, 4), WireTerm(id(), 6)]),
        (4, vec![WireTerm(None, 4), WireTerm(id(), 0)]),
        (262_149, vec![WireTerm(None, 4), WireTerm(id(), 262_145)]),
        (3, vec![WireTerm(None, u64::MAX), WireTerm(id(), 4)]),
    ] {
        assert!(Recipe::decode(&wire_recipe(size, terms)).is_err());
    }
    let page = |size_bytes, term_count| TermPageRef { page_id: PageId::of(b"p"), size_bytes, term_count };
    let paged = |size, pages| wire::encode(&WirePaged(PAGED, 1, 1, FileId::of(b"f"), size, pages));
    Recipe::decode(&paged(70_001, vec![page(70_000, 65_536), page(1, 1)])).expect("valid");
    for (size, pages) in [
        (0, vec![]),
        (70_000, vec![page(70_000, 65_536)]),
        (70_001, vec![page(70_000, 65_535), page(1, 1)]),
        (70_000, vec![page(70_000, 65_536), page(0, 0)]),
        (70_000, vec![page(70_000, 65_536), page(1, 1)]),
        (0, vec![page(u64::MAX, 65_536), page(1, 1)]),
        (1 << 20, vec![page(1 << 19, 65_536), page(1 << 19, 65_537)]),
    ] {
        assert!(Recipe::decode(&paged(size, pages)).is_err());
    }
    let mut builder = RecipeBuilder::new(1);
    builder.push_hole(u64::MAX).expect("fits");
    assert!(builder.push_chunk(chunk(1), 1).is_err());
    assert!(RecipeBuilder::new(1).push_chunk(chunk(1), 0).is_err());
    assert!(RecipeBuilder::new(1).push_chunk(chunk(1), MAX_CHUNK_BYTES + 1).is_err());
}

#[test]
fn damage_never_reads_as_the_same_recipe() {
    let recipe = build(&[hole(65_536), data(1, 300), data(2, 5)], FileId::of(b"file"));
    let recipe = recipe.recipe.expect("a recipe");
    let page = wire::encode(&WireTerms(TERMS, 1, to_wire(&[hole(70_000), data(1, 300)])));
    for len in 0..recipe.encode().len() {
        assert!(Recipe::decode(&recipe.encode()[..len]).is_err());
    }
    for len in 0..page.len() {
        assert!(decode_term_page(&page[..len]).is_err());
    }
    let bytes = recipe.encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = Recipe::decode(&flipped) {
            assert_ne!(other, recipe, "bit {bit}");
            assert_eq!(other.encode(), flipped, "bit {bit}");
        }
    }
    assert!(Recipe::decode(b"\x96\xa6recipe\x01\x01\xc6\xff\xff\xff\xff").is_err());
}
