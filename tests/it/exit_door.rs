//! A directory asset and a model, written through the library to a store and to a remote, and read back by way of
//! the remote. With `CLADE_EXIT_DOOR=DIR` everything is left in that folder, for the reader in `tests/real/reader.py`:
//! `plain/` (what was stored), `store/`, `remote/`, and `ids` with a line `tree ID` and a line `file ID`.

use clade::id::{ContentId, FileId, PageId, TreeId, WriterId};
use clade::index::Index;
use clade::manifest::{FileMode, TreeBuilder, TreeEntry, TreePage};
use clade::progress::{Discard, Interrupt};
use clade::remote::{Access, Remote};
use clade::store::{SessionKind, Source, Store};
use clade::transfer::{self, PushOptions, PushRoot, RemoteView, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

const MODEL: &str = "model.safetensors";

fn open_store(dir: &Path) -> Store {
    fs::create_dir_all(dir).expect("creates");
    let index = Index::open(&dir.join("clade.db")).expect("opens");
    Store::open(dir, Arc::new(index)).expect("opens")
}

/// Bytes that do not compress, from a seed.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

/// A safetensors file: weights, a tensor of zeros, and weights of a small range, which compress.
fn model() -> Vec<u8> {
    let sizes = [700_000, 1_500_000, 900_000];
    let (mut at, mut entries) = (0, Vec::new());
    for (n, size) in sizes.iter().enumerate() {
        entries.push(format!(r#""t{n}":{{"dtype":"F32","shape":[{}],"data_offsets":[{at},{}]}}"#, size / 4, at + size));
        at += size;
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(noise(1, sizes[0]));
    out.resize(out.len() + sizes[1], 0);
    out.extend(noise(2, sizes[2]).iter().map(|b| b & 7));
    out
}

/// Enough files for a tree of two levels, with every kind of entry and every way in which a file is stored.
fn folder() -> BTreeMap<Vec<u8>, (FileMode, Vec<u8>)> {
    let mut out = BTreeMap::new();
    for n in 0..3000_u32 {
        let text = format!("id,value\n{n},{}\n", n * n).repeat(1 + n as usize % 7);
        out.insert(format!("rows/{:02}/{n:05}.csv", n % 40).into_bytes(), (FileMode::Regular, text.into_bytes()));
    }
    let mut mixed = noise(3, 1_000_000);
    mixed.resize(1_400_000, 0);
    mixed.extend(noise(4, 300_000));
    out.insert(b"large/mixed.bin".to_vec(), (FileMode::Regular, mixed));
    out.insert(b"large/zeros.bin".to_vec(), (FileMode::Regular, vec![0; 2_000_000]));
    out.insert(b"empty".to_vec(), (FileMode::Regular, Vec::new()));
    out.insert(b"prepare".to_vec(), (FileMode::Executable, b"#!/bin/sh\nexit 0\n".to_vec()));
    out.insert(b"latest".to_vec(), (FileMode::Symlink, b"rows/39".to_vec()));
    out.insert("namen/größe.txt".as_bytes().to_vec(), (FileMode::Regular, b"in centimetres\n".to_vec()));
    out
}

fn write_plain(dir: &Path, files: &BTreeMap<Vec<u8>, (FileMode, Vec<u8>)>, model: &[u8]) {
    for (path, (mode, bytes)) in files {
        let path = dir.join("folder").join(std::str::from_utf8(path).expect("text"));
        fs::create_dir_all(path.parent().expect("below the top")).expect("creates");
        match mode {
            FileMode::Symlink => {
                let target = std::str::from_utf8(bytes).expect("text");
                std::os::unix::fs::symlink(target, &path).expect("links");
            }
            mode => {
                fs::write(&path, bytes).expect("writes");
                fs::set_permissions(&path, fs::Permissions::from_mode(mode.bits() & 0o777)).expect("sets");
            }
        }
    }
    fs::write(dir.join(MODEL), model).expect("writes");
}

/// Files, pages and ids of what was stored.
struct Stored {
    tree: TreeId,
    files: BTreeSet<Wanted>,
    pages: Vec<PageId>,
    model: Wanted,
}

fn ingest(store: &Store, files: &BTreeMap<Vec<u8>, (FileMode, Vec<u8>)>, model: &[u8]) -> Stored {
    let interrupt = Interrupt::default();
    let mut session = store.session(SessionKind::Batch, &Discard, &interrupt);
    let mut wanted = BTreeSet::new();
    let mut entries = Vec::new();
    let add = |session: &mut clade::store::Session<'_>, bytes: &[u8]| {
        let source = Source::Pipe(&mut Cursor::new(bytes), "test".to_owned());
        let added = session.add(source).expect("adds");
        assert_eq!(added.file_id, FileId::of(bytes));
        Wanted { file: added.file_id, size_bytes: added.size_bytes }
    };
    for (path, (mode, bytes)) in files {
        let one = add(&mut session, bytes);
        wanted.insert(one);
        let (size_bytes, file_id) = (one.size_bytes, one.file);
        entries.push(TreeEntry { path: path.clone(), mode: *mode, size_bytes, file_id });
    }
    let model = add(&mut session, model);
    let mut pages = Vec::new();
    let mut builder = TreeBuilder::new(|page| -> Result<(), clade::store::Error> {
        pages.push(page.id);
        session.add_page(&page)
    });
    for entry in entries {
        builder.push(entry).expect("paths ascend");
    }
    let tree = builder.finish().expect("a tree").tree_id;
    session.finish().expect("finishes");
    Stored { tree, files: wanted, pages, model }
}

#[test]
fn a_directory_asset_and_a_model_come_back_through_a_remote() {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let dir = std::env::var_os("CLADE_EXIT_DOOR").map_or_else(|| temp.path().to_path_buf(), Into::into);
    let (files, model) = (folder(), model());
    write_plain(&dir.join("plain"), &files, &model);
    let store = open_store(&dir.join("store"));
    let stored = ingest(&store, &files, &model);
    assert!(stored.pages.len() > 2, "a tree of two levels");

    let location = dir.join("remote").to_str().expect("text").to_owned();
    fs::create_dir_all(&location).expect("creates");
    let remote = Remote::create(&location, 1).expect("creates");
    let mut view = RemoteView::open(remote, store.dir()).expect("opens");
    let (tree, file) = (ContentId::Tree(stored.tree), ContentId::File(stored.model.file));
    let root = |asset: &str, kind: &str, content, files, pages| PushRoot {
        asset: asset.to_owned(),
        kind: kind.to_owned(),
        content,
        files,
        pages,
    };
    let roots = [
        root("folder", "dataset", tree, stored.files.iter().copied().collect(), stored.pages.clone()),
        root(MODEL, "model", file, vec![stored.model], Vec::new()),
    ];
    let interrupt = Interrupt::default();
    // Two pushes, so that the log is a chain.
    for roots in [&roots[..1], &roots[1..]] {
        let options = PushOptions {
            writer: WriterId([7; 8]),
            now_ms: 1_700_000_000_000,
            git: Vec::new(),
            ledger: Vec::new(),
            envs: Vec::new(),
            dry_run: false,
            progress: &Discard,
            interrupt: &interrupt,
        };
        let outcome = transfer::push(&mut view, &store, roots, &options).expect("pushes");
        assert_eq!(outcome.new_roots, 1);
    }
    fs::write(dir.join("ids"), format!("tree {}\nfile {}\n", stored.tree, stored.model.file)).expect("writes");

    let fresh = open_store(&temp.path().join("fresh"));
    let remote = Remote::open(&location, Access::Read).expect("opens");
    for content in [tree, file] {
        let entry = transfer::read_entry(&remote, &content).expect("reads").expect("an entry");
        assert!(transfer::fetch_version(&remote, &entry, &fresh, &Discard, &interrupt).expect("fetches"));
    }
    let dest = temp.path().join("out");
    let check = |bytes: &[u8]| {
        let (id, size) = (FileId::of(bytes), bytes.len() as u64);
        fresh.materialise(id, size, &dest, 0o644, &Discard, &interrupt).expect("restores");
        assert_eq!(fs::read(&dest).expect("reads"), bytes);
    };
    files.values().for_each(|(_, bytes)| check(bytes));
    check(&model);
    let TreePage::Inner { level, .. } =
        TreePage::decode(&fresh.page(PageId(stored.tree.0)).expect("there")).expect("valid")
    else {
        panic!("the root is an inner page");
    };
    assert_eq!(level, 1);
}
