//! Two stores and a remote between them.

use super::*;
use crate::fsio;
use crate::id::{BatchId, PageId, WriterId};
use crate::index::Index;
use crate::manifest::{FileMode, TreeBuilder, TreeEntry};
use crate::progress::{Discard, Interrupt};
use crate::remote::Remote;
use crate::store::{Presence, SessionKind, Source, Store};
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

fn store(dir: &Path) -> Store {
    fsio::create_dir_all(dir).expect("creates");
    let index = Index::open(&dir.join("clade.db")).expect("opens");
    Store::open(dir, Arc::new(index)).expect("opens")
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn add(store: &Store, bytes: &[u8]) -> Wanted {
    let interrupt = Interrupt::default();
    let mut session = store.session(SessionKind::Batch, &Discard, &interrupt);
    let out = session.add(Source::Pipe(&mut Cursor::new(bytes), "test".to_owned())).expect("adds");
    session.finish().expect("finishes");
    Wanted { file: out.file_id, size_bytes: out.size_bytes }
}

fn file_root(name: &str, wanted: Wanted) -> PushRoot {
    PushRoot {
        asset: name.to_owned(),
        kind: "model".to_owned(),
        content: ContentId::File(wanted.file),
        files: vec![wanted],
        pages: Vec::new(),
    }
}

fn options(interrupt: &Interrupt) -> PushOptions<'_> {
    PushOptions {
        writer: WriterId([1; 8]),
        now_ms: 1,
        git: Vec::new(),
        ledger: Vec::new(),
        envs: Vec::new(),
        dry_run: false,
        progress: &Discard,
        interrupt,
    }
}

fn get(store: &Store, wanted: Wanted) -> Vec<u8> {
    let mut out = Vec::new();
    store.copy_to(wanted.file, wanted.size_bytes, &mut out, &Interrupt::default()).expect("comes back");
    out
}

#[test]
fn what_was_pushed_arrives_and_is_sent_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (store(&dir.path().join("a")), store(&dir.path().join("b")));
    let interrupt = Interrupt::default();
    let remote = Remote::create(&dir.path().join("r").to_string_lossy(), 1).expect("creates");
    let mut view = RemoteView::open(remote.clone(), a.dir()).expect("opens");
    let text = b"a line of a table\n".repeat(100_000);
    let (big, small) = (noise(1, 3_000_000), noise(2, 500));
    let wanted: Vec<Wanted> = [&big, &small, &text].into_iter().map(|bytes| add(&a, bytes)).collect();
    let roots: Vec<PushRoot> = wanted.iter().map(|w| file_root("m", *w)).collect();

    let planned = push(&mut view, &a, &roots, &PushOptions { dry_run: true, ..options(&interrupt) }).expect("plans");
    assert_eq!((planned.new_roots, planned.seq), (3, None));
    assert!(view.fold().roots.is_empty(), "a plan writes nothing");
    let first = push(&mut view, &a, &roots, &options(&interrupt)).expect("pushes");
    assert_eq!(first.seq, Some(1));
    let again = push(&mut view, &a, &roots, &options(&interrupt)).expect("pushes");
    assert_eq!((again.record_count, again.seq), (0, None), "nothing is sent twice");

    // An edit sends the chunks around it.
    let mut edited = big.clone();
    edited[1_500_000] ^= 1;
    let edited_wanted = add(&a, &edited);
    let second = push(&mut view, &a, &[file_root("m", edited_wanted)], &options(&interrupt)).expect("pushes");
    assert!(second.plain_bytes < 800_000, "{second:?}");

    // By the log and its segments, into another store.
    let mut other = RemoteView::open(remote.clone(), b.dir()).expect("opens");
    let all: Vec<Wanted> = wanted.iter().copied().chain([edited_wanted]).collect();
    fetch(&mut other, &b, &all, false, &Discard, &interrupt).expect("fetches");
    for (w, bytes) in all.iter().zip([&big, &small, &text, &edited]) {
        assert!(get(&b, *w) == *bytes);
        assert!(other.has_file(&b, *w, &interrupt).expect("asks"));
    }
    // By the asset entry alone, in requests that do not depend on what else is there.
    let c = store(&dir.path().join("c"));
    let before = remote.transport().requests();
    let entry = read_entry(&remote, &ContentId::File(edited_wanted.file)).expect("asks").expect("is there");
    assert!(fetch_version(&remote, &entry, &c, &Discard, &interrupt).expect("fetches"));
    assert!(get(&c, edited_wanted) == edited);
    let after = remote.transport().requests();
    assert!(after.total() - before.total() <= 6, "{before:?} {after:?}");
    assert_eq!(after.lists, 0, "listing is never needed");
}

#[test]
fn trees_and_batches_travel() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (store(&dir.path().join("a")), store(&dir.path().join("b")));
    let interrupt = Interrupt::default();
    let mut files = Vec::new();
    let mut pages: Vec<crate::manifest::Page> = Vec::new();
    let mut builder = TreeBuilder::new(|page| {
        pages.push(page);
        Ok::<(), Error>(())
    });
    for i in 0..50u64 {
        let wanted = add(&a, &noise(i, 2000));
        files.push(wanted);
        builder
            .push(TreeEntry {
                path: format!("d/{i:03}").into_bytes(),
                mode: FileMode::Regular,
                size_bytes: 2000,
                file_id: wanted.file,
            })
            .expect("fits");
    }
    let tree = builder.finish().expect("builds").tree_id;
    let mut session = a.session(SessionKind::Batch, &Discard, &interrupt);
    for page in &pages {
        session.add_page(page).expect("adds");
    }
    session.finish().expect("finishes");
    let root = PushRoot {
        asset: "data".to_owned(),
        kind: "dataset".to_owned(),
        content: ContentId::Tree(tree),
        files: files.clone(),
        pages: pages.iter().map(|p| p.id).collect::<Vec<PageId>>(),
    };
    let batch = (BatchId::of(b"a batch"), b"a batch".to_vec());
    let remote = Remote::create(&dir.path().join("r").to_string_lossy(), 1).expect("creates");
    let mut view = RemoteView::open(remote.clone(), a.dir()).expect("opens");
    let opts = PushOptions { ledger: vec![batch.clone()], ..options(&interrupt) };
    push(&mut view, &a, &[root], &opts).expect("pushes");

    let mut other = RemoteView::open(remote, b.dir()).expect("opens");
    let found = other.fetch_tree(&b, tree, &interrupt).expect("fetches");
    assert_eq!(found.len(), 50);
    fetch(&mut other, &b, &found, false, &Discard, &interrupt).expect("fetches");
    for (i, w) in files.iter().enumerate() {
        assert!(get(&b, *w) == noise(i as u64, 2000));
    }
    let missing = fetch_records(&mut other, &b, &[RecordKey::batch(batch.0)], &interrupt).expect("asks");
    assert_eq!(missing, []);
    assert_eq!(b.record(crate::pack::RecordKind::BATCH, &batch.0.0).expect("reads"), Some(batch.1));
}

#[test]
fn what_nobody_has_is_named_and_the_rest_arrives() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (store(&dir.path().join("a")), store(&dir.path().join("b")));
    let interrupt = Interrupt::default();
    let remote = Remote::create(&dir.path().join("r").to_string_lossy(), 1).expect("creates");
    let mut view = RemoteView::open(remote.clone(), a.dir()).expect("opens");
    let here = add(&a, &noise(1, 400_000));
    push(&mut view, &a, &[file_root("m", here)], &options(&interrupt)).expect("pushes");
    let nowhere = Wanted { file: FileId::of(b"nowhere"), size_bytes: 7 };
    let mut other = RemoteView::open(remote, b.dir()).expect("opens");
    let err = fetch(&mut other, &b, &[here, nowhere], false, &Discard, &interrupt).expect_err("one is nowhere");
    assert!(matches!(err, Error::Absent { ref files } if *files == [nowhere.file]), "{err}");
    assert_eq!(b.presence(here.file, here.size_bytes).expect("asks"), Presence::Complete);
    // A push of what is not here is refused before anything is written.
    let err = push(&mut other, &b, &[file_root("x", nowhere)], &options(&interrupt)).expect_err("it is nowhere");
    assert!(matches!(err, Error::Absent { .. }), "{err}");
}

#[test]
fn damage_at_the_remote_never_enters_the_store_and_damage_here_is_healed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (a, b) = (store(&dir.path().join("a")), store(&dir.path().join("b")));
    let interrupt = Interrupt::default();
    let place = dir.path().join("r");
    let remote = Remote::create(&place.to_string_lossy(), 1).expect("creates");
    let mut view = RemoteView::open(remote.clone(), a.dir()).expect("opens");
    let bytes = noise(1, 900_000);
    let wanted = add(&a, &bytes);
    push(&mut view, &a, &[file_root("m", wanted)], &options(&interrupt)).expect("pushes");

    // A copy in this store is damaged: healing fetches it again.
    let mut other = RemoteView::open(remote.clone(), b.dir()).expect("opens");
    fetch(&mut other, &b, &[wanted], false, &Discard, &interrupt).expect("fetches");
    let packs = b.dir().join("packs");
    for name in fsio::list_dir(&packs).expect("lists") {
        let path = packs.join(name);
        let mut pack = fsio::read(&path).expect("reads");
        let middle = pack.len() / 2;
        pack[middle] ^= 1;
        fsio::write_atomic(&path, &pack).expect("writes");
    }
    let mut sink = Vec::new();
    b.copy_to(wanted.file, wanted.size_bytes, &mut sink, &interrupt).expect_err("it is damaged");
    fetch(&mut other, &b, &[wanted], true, &Discard, &interrupt).expect("heals");
    assert!(get(&b, wanted) == bytes);

    // A pack at the remote is damaged: nothing of it is taken.
    let sessions = place.join("packs");
    for session in fsio::list_dir(&sessions).expect("lists") {
        let dir = sessions.join(session);
        for name in fsio::list_dir(&dir).expect("lists") {
            let path = dir.join(name);
            let mut pack = fsio::read(&path).expect("reads");
            let at = pack.len() / 2;
            pack[at] ^= 1;
            fsio::write_atomic(&path, &pack).expect("writes");
        }
    }
    let c = store(&dir.path().join("c"));
    let mut third = RemoteView::open(remote, c.dir()).expect("opens");
    fetch(&mut third, &c, &[wanted], false, &Discard, &interrupt).expect_err("it is damaged");
    assert_ne!(c.presence(wanted.file, wanted.size_bytes).expect("asks"), Presence::Complete);
    let report = c.verify(crate::store::VerifyLevel::Full, 1, &Discard, &interrupt).expect("looks");
    assert_eq!(report.findings, []);
}
