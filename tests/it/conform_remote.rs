//! What every remote must do, whatever transport is below: one suite, run for each of them.
//!
//! A new transport is done when [`suite`] passes over an empty place behind it.

mod damage;
mod faults;
mod formats;
mod rules;
mod support;

use bytes::Bytes;
use clade::id::{Digest, PackId, SegmentId, SessionId, WriterId};
use clade::progress::Interrupt;
use clade::remote::fault::{Fault, Faulty, Op, Rule};
use clade::remote::{
    Access, AssetEntry, Commit, Error, Key, Limits, Location, Log, PackRef, Put, RangeRequest, ReadOptions, Remote,
    Session, Settled, Transport, check_create_if_absent, fetch_asset, publish_asset, read_ranges,
};

use crate::conform_remote::formats::sample_asset;
use crate::conform_remote::support::{ALICE, commit, push_of};

/// Runs every check that needs nothing but an empty remote.
fn suite(transport: &Transport) {
    requests_do_what_they_say(transport);
    canary_passes(transport);
    remote_opens_after_creation(transport);
    pushes_commit_in_one_order(transport);
    uploads_are_checked_and_resumed(transport);
    asset_entries_are_found(transport);
    ranges_are_joined(transport);
    assert_eq!(transport.requests().lists, 0, "nothing above lists");
    assert!(!transport.list("log").expect("lists").is_empty());
}

#[test]
fn directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = dir.path().join("not yet/there #1 %20");
    let location = Location::parse(at.to_str().expect("UTF-8")).expect("a path");
    assert!(matches!(location.connect(Limits::default()), Err(Error::NotARemote { .. })));
    suite(&location.connect_or_create(Limits::default()).expect("connects"));
}

#[test]
fn a_file_is_not_a_remote() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, b"").expect("writes");
    let at = file.to_str().expect("UTF-8");
    for access in [Access::Read, Access::Write] {
        assert!(matches!(Remote::open(at, access), Err(Error::NotARemote { .. })));
    }
    assert!(matches!(Remote::create(at, 1), Err(Error::Unsupported { .. })));
}

#[test]
fn memory() {
    suite(&Transport::memory());
}

#[test]
fn without_faults_the_fault_wrapper_is_transparent() {
    suite(&Faulty::memory().transport());
}

#[test]
fn reads_that_fail_now_and_then_change_nothing() {
    let faulty = Faulty::memory();
    for (n, fault) in [Fault::FailBefore, Fault::FailAfter, Fault::Short(3), Fault::Stall].into_iter().enumerate() {
        let rule = Rule::once(Op::Get, "", fault).after(n * 3);
        faulty.add(rule.clone());
        faulty.add(rule.after(20 + n * 3));
    }
    suite(&faulty.transport());
}

fn requests_do_what_they_say(t: &Transport) {
    let key = Key::Canary("suite/one".into());
    let bytes = Bytes::from_static(b"0123456789");
    assert_eq!(t.head(&key).expect("asks"), None);
    assert_eq!(t.get_limited(&key, 100).expect("asks"), None);
    assert!(matches!(t.get_existing(&key, 100), Err(Error::NotFound { .. })));
    assert!(matches!(t.get_range(&key, 0, 1), Err(Error::NotFound { .. })));
    assert_eq!(t.put_new(&key, bytes.clone()).expect("creates"), Put::Created);
    let other = Bytes::from_static(b"other");
    assert_eq!(t.put_new(&key, other.clone()).expect("asks"), Put::Exists);
    assert_eq!(t.create_settled(&key, &bytes, 100).expect("asks"), Settled::Same);
    assert_eq!(t.create_settled(&key, &other, 100).expect("asks"), Settled::Other(bytes.clone()));
    assert_eq!(t.get_limited(&key, 10).expect("reads"), Some(bytes));
    assert!(matches!(t.get_limited(&key, 9), Err(Error::TooLarge { actual_bytes: 10, limit_bytes: 9, .. })));
    assert_eq!(t.head(&key).expect("asks"), Some(10));
    assert_eq!(t.get_range(&key, 3, 4).expect("reads"), "3456");
    assert_eq!(t.get_range(&key, 10, 0).expect("reads"), "");
    for (offset, len) in [(8, 3), (10, 1), (99, 1)] {
        assert!(matches!(t.get_range(&key, offset, len), Err(Error::Corrupt { .. })));
    }
    assert!(t.get_range(&key, u64::MAX, 2).is_err());
    t.delete_canary("suite/one").expect("deletes");
    assert_eq!(t.head(&key).expect("asks"), None);
}

fn canary_passes(t: &Transport) {
    check_create_if_absent(t).expect("creates once only");
}

fn remote_opens_after_creation(t: &Transport) {
    assert!(matches!(Remote::over(t.clone(), Access::Read), Err(Error::NotARemote { .. })));
    let made = Remote::create_over(t.clone(), 1).expect("creates");
    let again = Remote::create_over(t.clone(), 1).expect("opens");
    assert_eq!(made.id(), again.id());
    let before = t.requests();
    let read = Remote::over(t.clone(), Access::Read).expect("opens");
    assert_eq!(read.id(), made.id());
    assert_eq!(t.requests().writes(), before.writes(), "reading only reads");
}

fn pushes_commit_in_one_order(t: &Transport) {
    let writers = 4;
    let pushes = 5;
    std::thread::scope(|scope| {
        for w in 0..writers {
            scope.spawn(move || {
                let writer = WriterId([w; 8]);
                let mut log = Log::open(t, vec![]).expect("opens");
                for n in 0..pushes {
                    let push = push_of(&format!("asset-{w}-{n}"));
                    let done = commit(&mut log, SessionId::new_v7(), writer, push);
                    assert!(matches!(done, Ok(Commit::Committed { .. })));
                }
            });
        }
    });
    let before = t.requests();
    let mut log = Log::open(t, vec![]).expect("opens");
    assert_eq!(t.requests().writes(), before.writes());
    assert_eq!(log.seq(), u64::from(writers) * pushes);
    assert_eq!(log.fold().roots.len() as u64, log.seq(), "each once");
    assert_eq!(log.fold().committed.len() as u64, log.seq());
    assert!(log.fold().violations.is_empty());

    let entries = log.take_new();
    let known: Vec<Bytes> = entries.iter().map(|e| e.bytes.clone()).collect();
    for cut in [0, 1, 7, known.len()] {
        let again = Log::open(t, known[..cut].to_vec()).expect("opens");
        assert_eq!(again.fold(), log.fold());
        assert_eq!(again.head(), log.head());
    }
    let before = t.requests();
    assert_eq!(log.catch_up().expect("catches up"), vec![]);
    assert_eq!(t.requests().total() - before.total(), 1, "one request for no news");
}

fn uploads_are_checked_and_resumed(t: &Transport) {
    let session = Session::create(t, ALICE, 5, 0).expect("opens");
    let pack = PackId::new_v7();
    let bytes = Bytes::from(vec![7u8; 100_000]);
    assert_eq!(session.has(pack).expect("asks"), None);
    let up = session.upload_pack(pack, &bytes).expect("uploads");
    assert_eq!((up.sid, up.size_bytes), (session.id(), 100_000));
    assert_eq!(up.blake3, Digest::of(&bytes));

    let session = Session::resume(t, session.id()).expect("resumes");
    assert_eq!(session.info().started_ms, 5);
    assert_eq!(session.has(pack).expect("asks"), Some(100_000));
    assert!(session.verify_pack(&up).expect("reads"));
    assert_eq!(session.upload_pack(pack, &bytes).expect("again"), up);
    let other = Bytes::from(vec![8u8; 100_000]);
    assert!(matches!(session.upload_pack(pack, &other), Err(Error::Corrupt { .. })));
    let wrong = PackRef { blake3: Digest::of(b"x"), ..up };
    assert!(!session.verify_pack(&wrong).expect("reads"));
    assert!(!session.verify_pack(&PackRef { size_bytes: 3, ..up }).expect("reads"));
    let segment = SegmentId::new_v7();
    let up = session.upload_segment(segment, &bytes).expect("uploads");
    assert_eq!(up.segment, segment);
    assert!(matches!(Session::resume(t, SessionId::new_v7()), Err(Error::NotFound { .. })));
}

fn asset_entries_are_found(t: &Transport) {
    let entry = sample_asset();
    assert_eq!(fetch_asset(t, &entry.content).expect("asks"), None);
    assert!(publish_asset(t, &entry).expect("writes"));
    assert!(!publish_asset(t, &entry).expect("is there"));
    let other = AssetEntry { size_bytes: 1, ..entry.clone() };
    assert!(!publish_asset(t, &other).expect("the first one stays"));
    let before = t.requests();
    assert_eq!(fetch_asset(t, &entry.content).expect("reads"), Some(entry));
    assert!(t.requests().gets - before.gets <= 2);
}

fn ranges_are_joined(t: &Transport) {
    let session = Session::create(t, ALICE, 0, 0).expect("opens");
    let bytes: Bytes = (0..3_000_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let packs: Vec<_> = (0..2).map(|_| session.upload_pack(PackId::new_v7(), &bytes).expect("uploads")).collect();
    let requests: Vec<RangeRequest> = (0..200u64)
        .map(|n| {
            let pack = packs[(n % 2) as usize];
            RangeRequest { key: Key::Pack(pack.sid, pack.pack), offset: (n * 7919 * 31) % 2_900_000, len: n * 400 }
        })
        .collect();
    let mut seen = vec![0; requests.len()];
    let stats = read_ranges::<Error>(t, &requests, &ReadOptions::default(), |index, part| {
        let want = &requests[index];
        let (from, to) = (want.offset as usize, (want.offset + want.len) as usize);
        assert_eq!(part, bytes.slice(from..to));
        seen[index] += 1;
        Ok(())
    })
    .expect("reads");
    assert!(seen.iter().all(|n| *n == 1));
    assert_eq!(stats.reads, 2, "one read of each pack");

    let narrow =
        ReadOptions { max_gap_bytes: 0, max_read_bytes: 50_000, streams: 3, memory_bytes: 1, ..ReadOptions::default() };
    let mut count = 0;
    read_ranges::<Error>(t, &requests, &narrow, |_, _| {
        count += 1;
        Ok(())
    })
    .expect("reads with little memory");
    assert_eq!(count, requests.len());

    let stop = read_ranges(t, &requests, &narrow, |_, _| Err(Error::Interrupted));
    assert!(matches!(stop, Err(Error::Interrupted)));
    let interrupt = Interrupt::default();
    interrupt.trigger();
    let options = ReadOptions { interrupt, ..ReadOptions::default() };
    let stop = read_ranges::<Error>(t, &requests, &options, |_, _| Ok(()));
    assert!(matches!(stop, Err(Error::Interrupted)));
    let gone = [RangeRequest { key: Key::Pack(session.id(), PackId::new_v7()), offset: 0, len: 1 }];
    let missing = read_ranges::<Error>(t, &gone, &ReadOptions::default(), |_, _| Ok(()));
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}
