//! The formats of version 1, held to files that were written once.
//!
//! `fixtures/formats/v1/` is never regenerated: today's code must read it, and write the same bytes again.
//! The files were made by the test `make_missing_fixtures` with `CLADE_MAKE_FIXTURES=1`, which adds what is
//! missing and never replaces what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use clade::id::{BatchId, ChunkId, FileId, PackId, PageId, SegmentId, TreeId};
use clade::manifest::{
    self, DirectoryPointer, FileMode, Parsed, Pointer, Recipe, RecipeBuilder, TreeBuilder, TreeEntry, TreePage,
};
use clade::pack::segment::{Check, Segment, SegmentBuilder};
use clade::pack::{FrameSpec, RecordKey, RecordKind, Writer, read_footer, read_frame, scan, verify_frame};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats/v1")
}

fn fixture(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every fixture with the bytes that today's code gives it.
fn all() -> BTreeMap<&'static str, Vec<u8>> {
    let (tree, root) = tree(3000);
    BTreeMap::from([
        ("recipe.bin", recipe(5).0),
        ("recipe-pages.bin", recipe(65_540).0),
        ("tree-empty.bin", manifest::empty_tree().bytes),
        ("tree-leaf.bin", leaf()),
        ("tree-root.bin", root),
        ("pointer.txt", Pointer { file_id: FileId::of(b"a model"), size_bytes: 7 }.encode()),
        ("directory.txt", DirectoryPointer { tree_id: tree, files: 3000, size_bytes: 10_890 }.encode()),
        ("pack.bin", pack()),
        ("segment.bin", segment()),
    ])
}

fn chunk(n: u32) -> ChunkId {
    ChunkId::of(&n.to_le_bytes())
}

/// A recipe of `terms` terms, chunks and holes in turn, and its pages.
fn recipe(terms: u32) -> (Vec<u8>, BTreeMap<PageId, Vec<u8>>) {
    let mut builder = RecipeBuilder::new(1);
    for n in 0..terms {
        if n % 2 == 0 {
            builder.push_chunk(chunk(n), 1 + n as usize % 262_144)
        } else {
            builder.push_hole(65_536 + u64::from(n))
        }
        .expect("a valid term");
    }
    let built = builder.finish(FileId::of(b"a file")).expect("a recipe");
    let pages = built.pages.into_iter().map(|page| (page.id, page.bytes));
    (built.recipe.expect("more than one term").encode(), pages.collect())
}

fn entry(n: u32) -> TreeEntry {
    let content = n.to_string();
    TreeEntry {
        path: format!("part-{:02}/{n:05}.json", n / 500).into_bytes(),
        mode: match n % 100 {
            0 => FileMode::Executable,
            1 => FileMode::Symlink,
            _ => FileMode::Regular,
        },
        size_bytes: content.len() as u64,
        file_id: FileId::of(content.as_bytes()),
    }
}

/// A tree of `entries` files: its id and its root page, which vouches for all others.
fn tree(entries: u32) -> (TreeId, Vec<u8>) {
    let mut root = Vec::new();
    let mut builder = TreeBuilder::new(|page: manifest::Page| {
        root = page.bytes;
        Ok::<(), manifest::Error>(())
    });
    for n in 0..entries {
        builder.push(entry(n)).expect("a valid entry");
    }
    let totals = builder.finish().expect("a tree");
    (totals.tree_id, root)
}

fn leaf() -> Vec<u8> {
    TreePage::Leaf((0..5).map(entry).collect()).encode()
}

fn pack() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), PackId([0x11; 16])).expect("memory");
    let mut data = FrameSpec::new(0);
    data.push(RecordKey::chunk(ChunkId::of(b"first chunk")), b"first chunk");
    data.push(RecordKey::chunk(ChunkId::of(b"second chunk")), b"second chunk");
    writer.append(data, b"first chunksecond chunk").expect("valid");
    let mut delta = FrameSpec::new(0);
    delta.depth = 1;
    delta.bases = vec![ChunkId::of(b"first chunk")];
    delta.push(RecordKey::chunk(ChunkId::of(b"third chunk")), b"third chunk");
    writer.append(delta, b"third chunk").expect("valid");
    let mut metadata = FrameSpec::new(0);
    let recipe = recipe(5).0;
    metadata.push(RecordKey::recipe(FileId::of(b"a file")), &recipe);
    let mut payload = recipe;
    for (key, plain) in [
        (RecordKey::page(PageId::of(&leaf())), leaf()),
        (RecordKey::batch(BatchId::of(b"a batch")), b"a batch".to_vec()),
        (RecordKey::new(RecordKind::SEALED, [4; 32]), b"sealed text".to_vec()),
        (RecordKey::new(RecordKind(200), [200; 32]), b"a kind to come".to_vec()),
    ] {
        metadata.push(key, &plain);
        payload.extend(plain);
    }
    writer.append(metadata, &payload).expect("valid");
    writer.finish().expect("memory").0
}

fn segment() -> Vec<u8> {
    let bytes = pack();
    let footer = read_footer(&bytes).expect("valid");
    let mut builder = SegmentBuilder::new();
    builder.add_footer(&footer, bytes.len() as u64).expect("valid");
    builder.add_pack(PackId([0x10; 16]), 123, (0..20).map(|n| RecordKey::chunk(chunk(n)))).expect("valid");
    builder.finish(SegmentId([0x22; 16])).expect("valid")
}

#[test]
fn make_missing_fixtures() {
    if std::env::var_os("CLADE_MAKE_FIXTURES").is_none() {
        return;
    }
    fs::create_dir_all(folder()).expect("the folder");
    for (name, bytes) in all() {
        let path = folder().join(name);
        if !path.exists() {
            fs::write(path, bytes).expect("a fixture");
        }
    }
}

#[test]
fn todays_code_writes_the_same_bytes() {
    for (name, bytes) in all() {
        assert!(bytes == fixture(name), "{name} is written differently today");
    }
}

#[test]
fn manifests_of_version_1_are_read() {
    let small = Recipe::decode(&fixture("recipe.bin")).expect("a recipe");
    assert_eq!((small.profile(), small.term_count()), (1, 5));
    let large = Recipe::decode(&fixture("recipe-pages.bin")).expect("a recipe");
    assert_eq!((large.pages().len(), large.term_count()), (2, 65_540));
    let pages = recipe(65_540).1;
    let terms = large
        .terms(|id| Ok::<_, manifest::Error>(&pages[&id]))
        .try_fold(0, |sum, term| term.map(|term| sum + term.len_bytes()))
        .expect("its pages");
    assert_eq!(terms, large.size_bytes());

    let Ok(TreePage::Leaf(entries)) = TreePage::decode(&fixture("tree-leaf.bin")) else {
        panic!("a leaf");
    };
    assert!(entries.into_iter().eq((0..5).map(entry)));
    let root = TreePage::decode(&fixture("tree-root.bin")).expect("a root");
    assert_eq!(root.level(), 1);

    assert!(matches!(
        manifest::parse(&fixture("pointer.txt")),
        Parsed::Pointer(pointer) if pointer.file_id == FileId::of(b"a model")
    ));
    let root_id = TreeId::of(&fixture("tree-root.bin"));
    assert!(matches!(
        manifest::parse(&fixture("directory.txt")),
        Parsed::Directory(folder) if folder.tree_id == root_id
    ));
}

#[test]
fn packs_of_version_1_are_read() {
    let bytes = fixture("pack.bin");
    let footer = read_footer(&bytes).expect("a footer");
    assert_eq!(footer.pack_id(), PackId([0x11; 16]));
    for frame in footer.frames() {
        let plain = read_frame(&bytes, frame).expect("a frame");
        verify_frame(frame, &plain).expect("its records");
    }
    let found = scan(&bytes).expect("memory");
    assert_eq!(found.frames, footer.frames());
    let segment = Segment::open(fixture("segment.bin"), Check::Full).expect("a segment");
    for (ordinal, (_, record)) in (0..).zip(footer.records()) {
        let places: Result<Vec<_>, _> = segment.lookup(&record.key).collect();
        let places = places.expect("a sound segment");
        assert_eq!(places.len(), 1);
        assert_eq!((places[0].pack_id, places[0].ordinal), (footer.pack_id(), ordinal));
    }
}
