//! The store as its users see it: what goes in comes out, damage is named, leftovers are adopted.

use super::sink::{OPEN, PACK};
use super::*;
use crate::fsio::File;
use crate::progress::{Discard, Interrupt};
use std::io::Cursor;

fn open(dir: &Path) -> Store {
    fsio::create_dir_all(dir).expect("creates");
    let index = Index::open(&dir.join("clade.db")).expect("opens");
    Store::open(dir, Arc::new(index)).expect("opens")
}

/// Bytes that do not repeat and do not compress, from a seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut out);
    out
}

fn add(store: &Store, bytes: &[u8]) -> Ingested {
    let interrupt = Interrupt::default();
    let mut session = store.session(SessionKind::Batch, &Discard, &interrupt);
    let out = session.add(Source::Pipe(&mut Cursor::new(bytes), "test".to_owned())).expect("adds");
    session.finish().expect("finishes");
    out
}

fn get(store: &Store, file: FileId, size_bytes: u64) -> Result<Vec<u8>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dest = dir.path().join("out");
    let interrupt = Interrupt::default();
    let result = store.materialise(file, size_bytes, &dest, 0o644, &Discard, &interrupt);
    let names = fsio::list_dir(dir.path()).expect("lists");
    let mut streamed = Vec::new();
    let stream = store.copy_to(file, size_bytes, &mut streamed, &interrupt);
    match result {
        Ok(()) => {
            stream.expect("both ways work or none");
            let bytes = fsio::read(&dest).expect("reads");
            assert_eq!(bytes, streamed, "both ways give the same");
            Ok(bytes)
        }
        Err(e) => {
            assert!(names.is_empty(), "a failure leaves nothing: {names:?}");
            assert!(stream.is_err(), "both ways fail or none");
            Err(e)
        }
    }
}

#[test]
fn every_size_comes_back() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    let mut cases: Vec<Vec<u8>> = [1, 2, 1023, 16_383, 16_384, 65_536, 262_143, 262_144, 262_145, 3_000_000, 9_000_001]
        .into_iter()
        .map(|n| noise(n as u64, n))
        .collect();
    cases.push(vec![0; 1]);
    cases.push(vec![0; 20_000_000]);
    cases.push([noise(1, 100_000), vec![0; 5_000_000], noise(2, 100_000)].concat());
    cases.push("a line of text\n".repeat(400_000).into_bytes());
    for bytes in &cases {
        let out = add(&store, bytes);
        assert_eq!(out.file_id, FileId::of(bytes), "the id is what b3sum prints");
        assert_eq!(out.size_bytes, bytes.len() as u64);
    }
    // A second process sees the same.
    let again = open(dir.path());
    for bytes in &cases {
        let id = FileId::of(bytes);
        assert!(get(&again, id, bytes.len() as u64).expect("comes back") == *bytes, "{} bytes differ", bytes.len());
        assert_eq!(again.presence(id, bytes.len() as u64).expect("asks"), Presence::Complete);
    }
    let report = again.verify(VerifyLevel::Full, 1, &Discard, &Interrupt::default()).expect("looks");
    assert_eq!(report.findings, []);
    assert!(report.record_count > 50);
}

#[test]
fn the_same_bytes_are_stored_once() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    let mut bytes = noise(7, 5_000_000);
    let first = add(&store, &bytes);
    assert_eq!(first.new_bytes, 5_000_000);
    assert_eq!(add(&store, &bytes).new_bytes, 0);
    // An insertion changes the chunks around it only.
    bytes.splice(2_500_000..2_500_000, *b"inserted");
    let third = add(&store, &bytes);
    assert!(third.new_bytes < 800_000, "{third:?}");
    assert!(get(&store, third.file_id, third.size_bytes).expect("comes back") == bytes);
}

#[test]
fn derived_files_may_be_deleted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bytes = noise(3, 1_000_000);
    for i in 0..12u64 {
        add(&open(dir.path()), &noise(100 + i, 50_000));
    }
    add(&open(dir.path()), &bytes);
    let segments = dir.path().join("segments");
    assert!(fsio::list_dir(&segments).expect("lists").len() <= 9, "segments are united");
    fsio::remove_dir_all(&segments).expect("removes");
    Index::delete(&dir.path().join("clade.db")).expect("removes");
    let store = open(dir.path());
    assert!(get(&store, FileId::of(&bytes), 1_000_000).expect("comes back") == bytes);
    for i in 0..12u64 {
        let small = noise(100 + i, 50_000);
        assert!(get(&store, FileId::of(&small), 50_000).expect("comes back") == small);
    }
}

#[test]
fn a_dropped_session_stored_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    let bytes = noise(5, 300_000);
    let interrupt = Interrupt::default();
    let mut session = store.session(SessionKind::Batch, &Discard, &interrupt);
    session.add(Source::Pipe(&mut Cursor::new(&bytes), "test".to_owned())).expect("adds");
    drop(session);
    assert_eq!(store.presence(FileId::of(&bytes), 300_000).expect("asks"), Presence::Absent);
    assert!(fsio::list_dir(&dir.path().join("packs")).expect("lists").is_empty());
    // What was refused is stored when it comes again.
    assert_eq!(add(&store, &bytes).new_bytes, 300_000);
}

#[test]
fn what_a_killed_filter_reported_is_adopted() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (one, two) = (noise(1, 700_000), noise(2, 700_000));
    let copy = tempfile::tempdir().expect("a temporary folder");
    {
        let store = open(dir.path());
        let interrupt = Interrupt::default();
        let mut session = store.session(SessionKind::PerFile, &Discard, &interrupt);
        session.add(Source::Pipe(&mut Cursor::new(&one), "one".to_owned())).expect("adds");
        session.add(Source::Pipe(&mut Cursor::new(&two), "two".to_owned())).expect("adds");
        // As a kill leaves it: the open pack, with a torn frame at its end.
        let name = fsio::list_dir(&dir.path().join("packs")).expect("lists").remove(0);
        assert!(Path::new(&name).extension().is_some_and(|e| e == OPEN));
        let bytes = fsio::read(&dir.path().join("packs").join(&name)).expect("reads");
        for cut in [bytes.len(), bytes.len() - 1, bytes.len() - 200_000] {
            let place = copy.path().join(cut.to_string());
            fsio::create_dir_all(&place.join("packs")).expect("creates");
            fsio::write_atomic(&place.join("packs").join(&name), &bytes[..cut]).expect("writes");
            let store = open(&place);
            let names = fsio::list_dir(&place.join("packs")).expect("lists");
            assert!(names.len() == 1 && Path::new(&names[0]).extension().is_some_and(|e| e == PACK), "{names:?}");
            assert!(get(&store, FileId::of(&one), 700_000).expect("comes back") == one);
            let second = get(&store, FileId::of(&two), 700_000);
            assert_eq!(second.is_ok(), cut == bytes.len(), "only whole frames are adopted");
            assert_eq!(
                store.verify(VerifyLevel::Full, 1, &Discard, &interrupt).expect("looks").findings,
                [],
                "nothing torn stays"
            );
            // What is missing comes in again.
            add(&store, &two);
            assert!(get(&store, FileId::of(&two), 700_000).expect("comes back") == two);
        }
        // A pack whose process lives is not a leftover.
        let other = open(dir.path());
        assert_eq!(other.presence(FileId::of(&one), 700_000).expect("asks"), Presence::Absent);
        session.finish().expect("finishes");
        other.reload().expect("looks again");
        assert_eq!(other.presence(FileId::of(&one), 700_000).expect("asks"), Presence::Complete);
    }
}

#[test]
fn every_flipped_bit_is_found_and_nothing_wrong_comes_out() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bytes = [noise(1, 40_000), b"text ".repeat(9_000)].concat();
    add(&open(dir.path()), &bytes);
    let packs = dir.path().join("packs");
    for name in fsio::list_dir(&packs).expect("lists") {
        let path = packs.join(name);
        let good = fsio::read(&path).expect("reads");
        for at in (0..good.len()).step_by(good.len() / 150 + 1) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            fsio::write_atomic(&path, &bad).expect("writes");
            let store = open(dir.path());
            let report = store.verify(VerifyLevel::Full, 1, &Discard, &Interrupt::default()).expect("looks");
            assert!(!report.findings.is_empty(), "the flip at byte {at} is not found");
            if let Ok(out) = get(&store, FileId::of(&bytes), bytes.len() as u64) {
                assert!(out == bytes, "wrong bytes came out after a flip at {at}");
            }
        }
        fsio::write_atomic(&path, &good).expect("writes");
    }
}

#[test]
fn a_missing_pack_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bytes = noise(1, 400_000);
    add(&open(dir.path()), &bytes);
    let packs = dir.path().join("packs");
    for name in fsio::list_dir(&packs).expect("lists") {
        fsio::remove_file(&packs.join(name)).expect("removes");
    }
    let store = open(dir.path());
    let report = store.verify(VerifyLevel::Quick, 1, &Discard, &Interrupt::default()).expect("looks");
    assert!(report.findings.iter().all(|f| f.code == "pack_missing"));
    assert!(!report.findings.is_empty());
    let err = get(&store, FileId::of(&bytes), 400_000).expect_err("it is gone");
    assert!(err.is_integrity(), "{err}");
    // It is not deduplicated against, and heals by being added again.
    assert_eq!(add(&store, &bytes).new_bytes, 400_000);
    assert!(get(&open(dir.path()), FileId::of(&bytes), 400_000).expect("comes back") == bytes);
}

#[test]
fn a_lying_recipe_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(dir.path());
    let (real, other) = (noise(1, 600_000), noise(2, 600_000));
    add(&store, &other);
    // A recipe that claims to be of `real`, made of the chunks of `other`.
    let mut builder = manifest::RecipeBuilder::new(1);
    for term in store.terms(FileId::of(&other), 600_000).expect("asks").expect("is there") {
        if let manifest::Term::Chunk { id, len_bytes } = term {
            builder.push_chunk(id, len_bytes as usize).expect("fits");
        }
    }
    let recipe = builder.finish(FileId::of(&real)).expect("builds").recipe.expect("several chunks");
    let interrupt = Interrupt::default();
    let mut session = store.session(SessionKind::Batch, &Discard, &interrupt);
    session.add_record(RecordKind::RECIPE, FileId::of(&real).0, &recipe.encode()).expect("adds");
    session.finish().expect("finishes");
    let err = get(&store, FileId::of(&real), 600_000).expect_err("it is another file");
    assert!(matches!(err, Error::WrongFile { .. }), "{err}");
}

#[test]
fn a_file_changed_while_it_is_read_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = open(&dir.path().join("store"));
    let path = dir.path().join("f");
    fsio::write_atomic(&path, &noise(1, 100_000)).expect("writes");
    let interrupt = Interrupt::default();
    let mut session = store.session(SessionKind::Batch, &Discard, &interrupt);
    let (out, stat) = session.add_path(&path).expect("adds");
    assert_eq!((out.size_bytes, stat.size_bytes), (100_000, 100_000));
    assert!(File::open(&dir.path().join("absent")).is_err());
    assert!(matches!(session.add_path(&dir.path().join("absent")), Err(Error::Changed { .. })));
}
