use std::collections::{BTreeMap, BTreeSet};

use super::*;

type Pages = BTreeMap<PageId, Vec<u8>>;

fn entry(path: &str, content: &str) -> TreeEntry {
    TreeEntry {
        path: path.as_bytes().to_vec(),
        mode: FileMode::Regular,
        size_bytes: content.len() as u64,
        file_id: FileId::of(content.as_bytes()),
    }
}

fn many(count: usize) -> Vec<TreeEntry> {
    (0..count).map(|i| entry(&format!("d{:03}/f{i:07}.txt", i / 1000), &format!("v{i}"))).collect()
}

fn build(entries: &[TreeEntry], pages: &mut Pages) -> TreeTotals {
    let mut builder = TreeBuilder::new(|page: Page| {
        pages.insert(page.id, page.bytes);
        Ok::<(), Error>(())
    });
    for entry in entries {
        builder.push(entry.clone()).expect("a valid entry");
    }
    builder.finish().expect("a tree")
}

fn fetch(pages: &Pages) -> impl FnMut(PageId) -> Result<Vec<u8>> + '_ {
    |id| pages.get(&id).cloned().ok_or(Error::WrongKind { what: "page" })
}

#[test]
fn the_empty_tree_is_one_empty_leaf() {
    let mut pages = Pages::new();
    let totals = build(&[], &mut pages);
    assert_eq!(totals.tree_id.0, empty_tree().id.0);
    assert_eq!((totals.entries, totals.size_bytes, pages.len()), (0, 0, 1));
    assert_eq!(pages.values().next().expect("one page")[..], *b"\x94\xa4tree\x01\x00\x90");
    assert_eq!(validate(totals.tree_id, fetch(&pages)).expect("valid"), totals);
}

#[test]
fn entries_come_back_at_every_size() {
    for count in [1, 2, 511, 512, 3000, 20_000] {
        let entries = many(count);
        let mut pages = Pages::new();
        let totals = build(&entries, &mut pages);
        let mut reader = TreeReader::new(totals.tree_id, fetch(&pages));
        assert_eq!(reader.totals().expect("a root"), totals);
        let back: Result<Vec<_>> = reader.iter().collect();
        assert_eq!(back.expect("readable"), entries);
        for wanted in [&entries[0], &entries[count / 2], &entries[count - 1]] {
            let found = reader.lookup(&wanted.path).expect("readable");
            assert_eq!(found.as_ref(), Some(wanted));
        }
        for absent in ["", "a", "d000/f0000000.txt.x", "zzz"] {
            assert_eq!(reader.lookup(absent.as_bytes()).expect("readable"), None);
        }
        assert_eq!(validate(totals.tree_id, fetch(&pages)).expect("valid"), totals);
    }
}

#[test]
fn pages_have_about_a_thousand_entries() {
    let mut pages = Pages::new();
    build(&many(200_000), &mut pages);
    let leaves = pages.values().filter(|bytes| TreePage::decode(bytes).is_ok_and(|page| page.level() == 0)).count();
    assert!((160..250).contains(&leaves), "{leaves}");
    assert!(pages.len() > leaves);
}

#[test]
fn long_paths_keep_pages_small() {
    let long = "p".repeat(4000);
    let entries: Vec<_> = (0..600).map(|i| entry(&format!("{i:06}{long}"), "x")).collect();
    let mut pages = Pages::new();
    let totals = build(&entries, &mut pages);
    for bytes in pages.values() {
        assert!(bytes.len() < crate::limits::MAX_META_RECORD_BYTES / 2);
    }
    assert_eq!(validate(totals.tree_id, fetch(&pages)).expect("valid"), totals);
}

/// Runs a comparison and tells which pages it opened.
fn compare(before: TreeId, after: TreeId, pages: &Pages) -> (Vec<Change>, BTreeSet<PageId>) {
    let mut opened = BTreeSet::new();
    let mut changes = Vec::new();
    diff(
        before,
        after,
        |id| {
            opened.insert(id);
            fetch(pages)(id)
        },
        |change| {
            changes.push(change);
            Ok::<(), Error>(())
        },
    )
    .expect("both readable");
    (changes, opened)
}

#[test]
fn a_changed_file_rewrites_one_page_a_level() {
    let entries = many(20_000);
    let mut pages = Pages::new();
    let before = build(&entries, &mut pages).tree_id;
    let count = pages.len();
    let mut changed = entries.clone();
    changed[9000].file_id = FileId::of(b"other");
    let after = build(&changed, &mut pages).tree_id;
    assert_eq!(pages.len() - count, 2, "a leaf and the root");
    let (changes, opened) = compare(before, after, &pages);
    assert_eq!(changes, [Change::Modified { before: entries[9000].clone(), after: changed[9000].clone() }]);
    assert_eq!(opened.len(), 4);
    assert_eq!(compare(before, before, &pages), (vec![], BTreeSet::new()));
}

#[test]
fn differences_are_those_of_the_lists() {
    let entries = many(12_000);
    let keep = |from: usize, modulus: usize| -> Vec<TreeEntry> {
        let one = |(i, e): (usize, &TreeEntry)| {
            let mut e = e.clone();
            if i % modulus == 1 {
                e.mode = FileMode::Executable;
            }
            (i % modulus != 0).then_some(e)
        };
        let mut list: Vec<_> = entries.iter().enumerate().skip(from).filter_map(one).collect();
        list.push(entry("zz/last", &format!("{modulus}")));
        list
    };
    let lists = [
        entries.clone(),
        vec![],
        vec![entries[0].clone()],
        keep(0, 3),
        keep(0, 997),
        keep(7000, 5000),
        entries[..6000].to_vec(),
        entries[6000..].to_vec(),
    ];
    for a in &lists {
        for b in &lists {
            let mut pages = Pages::new();
            let before = build(a, &mut pages).tree_id;
            let after = build(b, &mut pages).tree_id;
            let (changes, opened) = compare(before, after, &pages);
            let paths: Vec<_> = changes.iter().map(Change::path).collect();
            assert!(paths.windows(2).all(|w| w[0] < w[1]));
            let mut list: BTreeMap<_, _> = a.iter().map(|e| (e.path.clone(), e.clone())).collect();
            for change in changes {
                match change {
                    Change::Added(e) => assert!(list.insert(e.path.clone(), e).is_none()),
                    Change::Removed(e) => assert_eq!(list.remove(&e.path), Some(e)),
                    Change::Modified { before, after } => {
                        assert_eq!(list.insert(after.path.clone(), after), Some(before));
                    }
                }
            }
            assert!(list.into_values().eq(b.iter().cloned()));
            assert!(opened.len() <= pages.len());
        }
    }
}

#[test]
fn bad_entries_are_refused() {
    let refuse = |entries: &[TreeEntry]| {
        let mut builder = TreeBuilder::new(|_| Ok::<(), Error>(()));
        let mut last = Ok(());
        for entry in entries {
            last = last.and_then(|()| builder.push(entry.clone()));
        }
        assert!(last.is_err(), "{entries:?}");
        let page = TreePage::Leaf(entries.to_vec()).encode();
        assert!(TreePage::decode(&page).is_err(), "{entries:?}");
    };
    refuse(&[entry("../a", "x")]);
    refuse(&[entry("b", "x"), entry("a", "x")]);
    refuse(&[entry("a", "x"), entry("a", "y")]);
    refuse(&[entry("a", "x"), entry("a-b", "x"), entry("a/c", "x")]);
    let mut empty = entry("a", "x");
    empty.size_bytes = 0;
    refuse(&[empty]);
    let link = TreeEntry { mode: FileMode::Symlink, ..entry("a", "") };
    refuse(&[link]);
    let mut huge = entry("a", "x");
    huge.size_bytes = u64::MAX;
    let mut builder = TreeBuilder::new(|_| Ok::<(), Error>(()));
    builder.push(huge).expect("fits");
    assert!(builder.push(entry("b", "x")).is_err());
}

#[test]
fn other_boundaries_are_not_the_tree() {
    let entries = many(100);
    let mut pages = Pages::new();
    let mut children = Vec::new();
    for half in entries.chunks(50) {
        let page = Page::new(TreePage::Leaf(half.to_vec()).encode());
        children.push(ChildRef {
            last_path: half[49].path.clone(),
            page_id: page.id,
            entries: 50,
            size_bytes: half.iter().map(|e| e.size_bytes).sum(),
        });
        pages.insert(page.id, page.bytes);
    }
    let inner = |children: &[ChildRef]| TreePage::Inner { level: 1, children: children.to_vec() };
    let root = Page::new(inner(&children).encode());
    pages.insert(root.id, root.bytes);
    let tree_id = TreeId(root.id.0);
    let back: Result<Vec<_>> = TreeReader::new(tree_id, fetch(&pages)).iter().collect();
    assert_eq!(back.expect("readable all the same"), entries);
    assert!(matches!(validate(tree_id, fetch(&pages)), Err(Error::TreeShape { .. })));

    // What a page above says of a page must be so.
    let mut wrong: Vec<Vec<ChildRef>> = Vec::new();
    for field in 0..4 {
        let mut list = children.clone();
        match field {
            0 => list[1].last_path.push(b'x'),
            1 => list[1].entries -= 1,
            2 => list[1].size_bytes += 1,
            _ => list[1].page_id = list[0].page_id,
        }
        wrong.push(list);
    }
    for list in wrong {
        let root = Page::new(inner(&list).encode());
        let mut pages = pages.clone();
        pages.insert(root.id, root.bytes);
        let mut reader = TreeReader::new(TreeId(root.id.0), fetch(&pages));
        let back: Result<Vec<_>> = reader.iter().collect();
        assert!(back.is_err());
        assert!(reader.lookup(&entries[99].path).is_err());
    }
}

#[test]
fn damage_never_passes() {
    let leaf = TreePage::Leaf(vec![
        entry("a", "x"),
        entry("b/c", ""),
        TreeEntry { mode: FileMode::Symlink, ..entry("d", "target") },
    ]);
    let inner = TreePage::Inner {
        level: 1,
        children: vec![
            ChildRef { last_path: b"k".to_vec(), page_id: PageId::of(b"1"), entries: 700, size_bytes: 1 << 33 },
            ChildRef { last_path: b"z/z".to_vec(), page_id: PageId::of(b"2"), entries: 2, size_bytes: 0 },
        ],
    };
    for page in [leaf, inner] {
        let bytes = page.encode();
        assert_eq!(TreePage::decode(&bytes).expect("valid"), page);
        for len in 0..bytes.len() {
            assert!(TreePage::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Another valid page is possible, the same page is not, and the id tells them apart.
            if let Ok(other) = TreePage::decode(&flipped) {
                assert_ne!(other, page, "bit {bit}");
                assert_eq!(other.encode(), flipped, "bit {bit}");
            }
            let node = reader::Node::root(TreeId::of(&bytes));
            let pages = Pages::from([(node.page_id, flipped)]);
            let back: Result<Vec<_>> = TreeReader::new(TreeId::of(&bytes), fetch(&pages)).iter().collect();
            assert!(matches!(back, Err(Error::PageDigest { .. })), "bit {bit}");
        }
    }
    assert!(TreePage::decode(b"\x94\xa4tree\x01\x08\x90").is_err());
    assert!(TreePage::decode(b"\x94\xa4tree\x01\x01\x90").is_err());
    assert!(TreePage::decode(b"\x94\xa4tree\x01\x00\xdd\xff\xff\xff\xff").is_err());
}
