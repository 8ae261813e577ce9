//! What every remote must do, whatever transport is below: one suite, run for each of them.
//!
//! A new transport is done when [`suite`] passes over an empty place behind it.

use std::sync::Arc;

use bytes::Bytes;
use clade::id::{
    BatchId, ContentId, Digest, EventId, FileId, PackId, SegmentId, SessionId, TreeId, WriterId,
};
use clade::progress::Interrupt;
use clade::remote::fault::{Fault, Faulty, Op, Rule};
use clade::remote::{
    Access, Append, AssetEntry, Body, Commit, EntryDraft, EnvMove, Error, Fence, Fold, Format,
    FrameRef, GitRef, InlineRecord, Key, Limits, Location, Log, LogEntry, Mark, NO_PREVIOUS,
    PackPlace, PackRef, PackUse, Promote, PushBody, PushDecision, Put, RangeRequest, ReadOptions,
    RecordPlace, Release, Remote, Root, SegmentRef, Session, SessionInfo, Settled, Sweep,
    Transport, check_create_if_absent, commit_push, fetch_asset, publish_asset, read_ranges,
};

const ALICE: WriterId = WriterId([0xa1; 8]);
const BOB: WriterId = WriterId([0xb0; 8]);

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
    assert!(matches!(
        location.connect(Limits::default()),
        Err(Error::NotARemote { .. })
    ));
    suite(
        &location
            .connect_or_create(Limits::default())
            .expect("connects"),
    );
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
    for (n, fault) in [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Short(3),
        Fault::Stall,
    ]
    .into_iter()
    .enumerate()
    {
        let rule = Rule::once(Op::Get, "", fault).after(n * 3);
        faulty.add(rule.clone());
        faulty.add(rule.after(20 + n * 3));
    }
    suite(&faulty.transport());
}

// --- the suite -------------------------------------------------------------------------------------------

fn requests_do_what_they_say(t: &Transport) {
    let key = Key::Canary("suite/one".into());
    let bytes = Bytes::from_static(b"0123456789");
    assert_eq!(t.head(&key).expect("asks"), None);
    assert_eq!(t.get_limited(&key, 100).expect("asks"), None);
    assert!(matches!(
        t.get_existing(&key, 100),
        Err(Error::NotFound { .. })
    ));
    assert!(matches!(
        t.get_range(&key, 0, 1),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(
        t.put_new(&key, bytes.clone()).expect("creates"),
        Put::Created
    );
    let other = Bytes::from_static(b"other");
    assert_eq!(t.put_new(&key, other.clone()).expect("asks"), Put::Exists);
    assert_eq!(
        t.create_settled(&key, &bytes, 100).expect("asks"),
        Settled::Same
    );
    assert_eq!(
        t.create_settled(&key, &other, 100).expect("asks"),
        Settled::Other(bytes.clone())
    );
    assert_eq!(t.get_limited(&key, 10).expect("reads"), Some(bytes));
    assert!(matches!(
        t.get_limited(&key, 9),
        Err(Error::TooLarge {
            actual_bytes: 10,
            limit_bytes: 9,
            ..
        })
    ));
    assert_eq!(t.head(&key).expect("asks"), Some(10));
    assert_eq!(t.get_range(&key, 3, 4).expect("reads"), "3456");
    assert_eq!(t.get_range(&key, 10, 0).expect("reads"), "");
    for (offset, len) in [(8, 3), (10, 1), (99, 1)] {
        assert!(matches!(
            t.get_range(&key, offset, len),
            Err(Error::Corrupt { .. })
        ));
    }
    assert!(t.get_range(&key, u64::MAX, 2).is_err());
    t.delete_canary("suite/one").expect("deletes");
    assert_eq!(t.head(&key).expect("asks"), None);
}

fn canary_passes(t: &Transport) {
    check_create_if_absent(t).expect("creates once only");
}

fn remote_opens_after_creation(t: &Transport) {
    assert!(matches!(
        Remote::over(t.clone(), Access::Read),
        Err(Error::NotARemote { .. })
    ));
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
    assert_eq!(
        t.requests().total() - before.total(),
        1,
        "one request for no news"
    );
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
    assert!(matches!(
        session.upload_pack(pack, &other),
        Err(Error::Corrupt { .. })
    ));
    let wrong = PackRef {
        blake3: Digest::of(b"x"),
        ..up
    };
    assert!(!session.verify_pack(&wrong).expect("reads"));
    assert!(
        !session
            .verify_pack(&PackRef {
                size_bytes: 3,
                ..up
            })
            .expect("reads")
    );
    let segment = SegmentId::new_v7();
    let up = session.upload_segment(segment, &bytes).expect("uploads");
    assert_eq!(up.segment, segment);
    assert!(matches!(
        Session::resume(t, SessionId::new_v7()),
        Err(Error::NotFound { .. })
    ));
}

fn asset_entries_are_found(t: &Transport) {
    let entry = sample_asset();
    assert_eq!(fetch_asset(t, &entry.content).expect("asks"), None);
    assert!(publish_asset(t, &entry).expect("writes"));
    assert!(!publish_asset(t, &entry).expect("is there"));
    let other = AssetEntry {
        size_bytes: 1,
        ..entry.clone()
    };
    assert!(!publish_asset(t, &other).expect("the first one stays"));
    let before = t.requests();
    assert_eq!(fetch_asset(t, &entry.content).expect("reads"), Some(entry));
    assert!(t.requests().gets - before.gets <= 2);
}

fn ranges_are_joined(t: &Transport) {
    let session = Session::create(t, ALICE, 0, 0).expect("opens");
    let bytes: Bytes = (0..3_000_000u32).map(|n| (n * 7 / 3) as u8).collect();
    let packs: Vec<_> = (0..2)
        .map(|_| {
            session
                .upload_pack(PackId::new_v7(), &bytes)
                .expect("uploads")
        })
        .collect();
    let requests: Vec<RangeRequest> = (0..200u64)
        .map(|n| {
            let pack = packs[(n % 2) as usize];
            RangeRequest {
                key: Key::Pack(pack.sid, pack.pack),
                offset: (n * 7919 * 31) % 2_900_000,
                len: n * 400,
            }
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

    let narrow = ReadOptions {
        max_gap_bytes: 0,
        max_read_bytes: 50_000,
        streams: 3,
        memory_bytes: 1,
        ..ReadOptions::default()
    };
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
    let options = ReadOptions {
        interrupt,
        ..ReadOptions::default()
    };
    let stop = read_ranges::<Error>(t, &requests, &options, |_, _| Ok(()));
    assert!(matches!(stop, Err(Error::Interrupted)));
    let gone = [RangeRequest {
        key: Key::Pack(session.id(), PackId::new_v7()),
        offset: 0,
        len: 1,
    }];
    let missing = read_ranges::<Error>(t, &gone, &ReadOptions::default(), |_, _| Ok(()));
    assert!(matches!(missing, Err(Error::NotFound { .. })));
}

// --- faults ----------------------------------------------------------------------------------------------

#[test]
fn a_lost_race_shows_what_others_wrote() {
    let t = Transport::memory();
    let mut alice = Log::open(&t, vec![]).expect("opens");
    let mut bob = Log::open(&t, vec![]).expect("opens");
    let won = bob.append(&draft(BOB, push_of("bob's"))).expect("appends");
    assert_eq!(won, Append::Committed { seq: 1 });
    let mine = draft(ALICE, push_of("alice's"));
    let Append::Lost { entries } = alice.append(&mine).expect("asks") else {
        panic!("entry 1 was taken");
    };
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].entry.writer, BOB);
    assert_eq!(
        alice.append(&mine).expect("appends"),
        Append::Committed { seq: 2 }
    );
    assert_eq!(
        alice.append(&mine).expect("asks"),
        Append::Committed { seq: 2 },
        "a session commits once"
    );
    bob.catch_up().expect("reads");
    assert_eq!(bob.fold(), alice.fold());
}

#[test]
fn an_unclear_create_is_resolved_by_reading() {
    for fault in [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::Conflict,
        Fault::ConflictAfter,
        Fault::Stall,
    ] {
        let faulty = Faulty::memory();
        let t = faulty.transport();
        let mut log = Log::open(&t, vec![]).expect("opens");
        faulty.add(Rule::once(Op::Put, "log/", fault));
        let done = log.append(&draft(ALICE, push_of("a"))).expect("appends");
        assert_eq!(done, Append::Committed { seq: 1 }, "{fault:?}");
        faulty.add(Rule::once(Op::Put, "packs/", fault));
        let session = Session::create(&t, ALICE, 0, 0).expect("opens");
        let bytes = Bytes::from_static(b"a pack");
        session
            .upload_pack(PackId::new_v7(), &bytes)
            .expect("uploads");
        assert_eq!(
            Log::open(&t, vec![]).expect("opens").seq(),
            1,
            "exactly one entry, {fault:?}"
        );
    }
}

#[test]
fn an_outcome_that_stays_unknown_is_found_by_the_next_attempt() {
    let faulty = Faulty::memory();
    let t = faulty.transport();
    let mut log = Log::open(&t, vec![]).expect("opens");
    let sid = SessionId::new_v7();
    faulty.add(Rule::once(Op::Put, "log/", Fault::FailAfter));
    faulty.add(Rule::always(Op::Get, "log/00000000000000000001", Fault::FailBefore).after(1));
    let failed = commit(&mut log, sid, ALICE, push_of("a"));
    assert!(failed.is_err_and(|e| e.is_transient()));
    faulty.heal();
    let mut calls = 0;
    let done = commit_push::<Error>(&mut log, sid, ALICE, 0, |_| {
        calls += 1;
        Ok(PushDecision::Abandon)
    });
    assert_eq!(done.expect("was committed"), Commit::Committed { seq: 1 });
    assert_eq!(calls, 0);
}

#[test]
fn a_stale_not_found_costs_a_lost_race_only() {
    let faulty = Faulty::memory();
    let t = faulty.transport();
    let mut bob = Log::open(&t, vec![]).expect("opens");
    for n in 0..5 {
        let done = commit(
            &mut bob,
            SessionId::new_v7(),
            BOB,
            push_of(&format!("b{n}")),
        );
        done.expect("commits");
    }
    // Entry 4 seems absent while the head is searched and once more after the slot was lost.
    faulty.add(Rule {
        times: 2,
        ..Rule::once(Op::Get, "log/00000000000000000004", Fault::Missing)
    });
    faulty.add(Rule::once(Op::Get, "hint", Fault::Missing));
    let mut alice = Log::open(&t, vec![]).expect("opens");
    let done = commit(&mut alice, SessionId::new_v7(), ALICE, push_of("a")).expect("commits");
    assert_eq!(done, Commit::Committed { seq: 6 });
    assert_eq!(alice.fold().roots.len(), 6);

    // An entry that must exist is asked for again.
    faulty.add(Rule::once(
        Op::Get,
        "log/00000000000000000002",
        Fault::Missing,
    ));
    assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 6);
}

#[test]
fn a_wrong_hint_costs_requests_only() {
    let t = Transport::memory();
    let mut log = Log::open(&t, vec![]).expect("opens");
    let mut hints = Vec::new();
    for n in 0..9 {
        commit(
            &mut log,
            SessionId::new_v7(),
            ALICE,
            push_of(&n.to_string()),
        )
        .expect("commits");
        hints.push(t.get_existing(&Key::Hint, 1000).expect("is there"));
    }
    hints.extend([
        Bytes::new(),
        Bytes::from_static(b"nonsense"),
        hint(u64::MAX),
        hint(12),
    ]);
    for hint in hints {
        t.put_hint(hint).expect("writes");
        assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 9);
    }
}

#[test]
fn a_broken_chain_a_gap_and_a_lost_tail_are_found() {
    let entries = chain(6);
    let t = remote_of(&entries);
    assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 6);

    // Entry 3 of another history, valid by itself.
    let mut other = entries.clone();
    other[2].time_ms += 1;
    let t = remote_of(&other);
    let broken = Log::open(&t, vec![]).expect_err("the chain is broken");
    assert!(
        matches!(&broken, Error::Corrupt { key, .. } if key.ends_with('4')),
        "{broken}"
    );

    // Entry 3 is one of those that the search for the head looks at, entry 2 is not.
    for missing in [2, 3] {
        let t = remote_of(&[]);
        put_entries(&t, entries.iter().filter(|e| e.seq != missing));
        t.put_hint(hint(6)).expect("writes");
        match Log::open(&t, vec![]) {
            Err(Error::LogGap { seq, head: 6 }) => assert_eq!(seq, missing),
            other => panic!("entry {missing} is missing: {other:?}"),
        }
    }

    let known: Vec<Bytes> = entries.iter().map(|e| e.encode().into()).collect();
    let t = remote_of(&entries[..5]);
    let lost = Log::open(&t, known.clone()).expect_err("entry 6 was read before");
    assert!(matches!(lost, Error::LogRolledBack { seq: 6 }), "{lost}");

    let t = remote_of(&other[..3]);
    let replaced = Log::open(&t, known[..3].to_vec()).expect_err("another entry 3");
    assert!(replaced.is_integrity(), "{replaced}");

    let mut wrong = entries.clone();
    wrong[1].seq = 7;
    let t = Transport::memory();
    for (n, entry) in (1..).zip(&wrong[..2]) {
        t.put_new(&Key::Log(n), entry.encode().into())
            .expect("writes");
    }
    assert!(matches!(Log::open(&t, vec![]), Err(Error::Corrupt { .. })));
}

#[test]
fn any_flipped_bit_or_cut_of_a_small_file_is_found() {
    let entry = chain(1).remove(0).encode();
    let session = sample_session().encode();
    let format = sample_format().encode();
    let asset = sample_asset().encode();
    let refuses = |bytes: &[u8]| {
        assert!(LogEntry::decode("k", bytes).is_err());
        assert!(SessionInfo::decode("k", bytes).is_err());
        assert!(Format::decode(bytes).is_err());
        assert!(AssetEntry::decode("k", bytes).is_err());
    };
    for file in [&entry, &session, &format, &asset] {
        for cut in 0..file.len() {
            refuses(&file[..cut]);
        }
        for bit in 0..file.len() * 8 {
            let mut spoilt = file.clone();
            spoilt[bit / 8] ^= 1 << (bit % 8);
            refuses(&spoilt);
        }
        refuses(&[&file[..], b"x"].concat());
    }
}

#[test]
fn resealed_nonsense_neither_panics_nor_allocates() {
    for file in [
        chain(1).remove(0).encode(),
        sample_asset().encode(),
        sample_format().encode(),
    ] {
        let map = &file[..file.len() - 32];
        for at in 0..map.len() {
            // Each byte becomes the head of a huge array, map, string or byte string in turn.
            for head in [0xdd, 0xdf, 0xdb, 0xc6, 0xcf, 0xc1, 0x00, 0xff] {
                let mut spoilt = map.to_vec();
                spoilt[at] = head;
                let seal = Digest::of(&spoilt);
                spoilt.extend_from_slice(seal.as_bytes());
                let _ = LogEntry::decode("k", &spoilt);
                let _ = AssetEntry::decode("k", &spoilt);
                let _ = Format::decode(&spoilt);
            }
        }
    }
    let mut deep = vec![0x91; 1 << 20];
    deep.extend_from_slice(Digest::of(&deep).as_bytes());
    assert!(LogEntry::decode("k", &deep).is_err());
}

#[test]
fn flipped_and_short_bytes_at_the_remote_are_found() {
    let bytes = Bytes::from(vec![1u8; 5000]);
    for fault in [Fault::Flip(777), Fault::Short(40)] {
        let faulty = Faulty::memory();
        let t = faulty.transport();
        let session = Session::create(&t, ALICE, 0, 0).expect("opens");
        faulty.add(Rule::once(Op::Put, "packs/", fault));
        let stored = session.upload_pack(PackId::new_v7(), &bytes);
        assert!(matches!(stored, Err(Error::Corrupt { .. })), "{fault:?}");

        let mut log = Log::open(&t, vec![]).expect("opens");
        faulty.add(Rule::once(Op::Put, "log/", fault));
        assert!(
            log.append(&draft(ALICE, push_of("a")))
                .is_err_and(|e| e.is_integrity())
        );
    }
    let faulty = Faulty::memory();
    let t = faulty.transport();
    publish_asset(&t, &sample_asset()).expect("writes");
    faulty.add(Rule::once(Op::Get, "assets/", Fault::Flip(1234)));
    let read = fetch_asset(&t, &sample_asset().content);
    assert!(read.is_err_and(|e| e.is_integrity()));
}

#[test]
fn stalls_and_refusals_end_in_time_and_are_named() {
    let faulty = Faulty::memory();
    let t = faulty.transport();
    faulty.add(Rule::always(Op::Get, "format", Fault::Stall));
    assert!(matches!(Format::load(&t), Err(Error::Stalled { .. })));
    faulty.heal();
    faulty.add(Rule::always(Op::Get, "format", Fault::Denied));
    assert!(matches!(
        Format::load(&t),
        Err(Error::PermissionDenied { .. })
    ));
    // Denied is never taken for absent.
    faulty.add(Rule::always(Op::Get, "log/", Fault::Denied));
    assert!(matches!(
        Log::open(&t, vec![]),
        Err(Error::PermissionDenied { .. })
    ));
}

#[test]
fn a_remote_that_overwrites_is_refused() {
    let faulty = Faulty::memory();
    faulty.add(Rule::always(Op::Put, "", Fault::Overwrite));
    let refused = Remote::create_over(faulty.transport(), 1);
    assert!(matches!(refused, Err(Error::NotExclusive { .. })));
    faulty.heal();
    faulty.add(Rule::always(Op::Put, "race", Fault::Overwrite));
    let refused = check_create_if_absent(&faulty.transport());
    assert!(matches!(refused, Err(Error::NotExclusive { .. })));
}

// --- rules of the log ------------------------------------------------------------------------------------

#[test]
fn an_unknown_kind_stops_writers_not_readers() {
    let mut entries = chain(3);
    entries[1].body = Body::Unknown {
        kind: "moon".into(),
    };
    relink(&mut entries);
    let t = remote_of(&entries);
    let mut log = Log::open(&t, vec![]).expect("reads on");
    assert_eq!(log.seq(), 3);
    assert_eq!(log.fold().unknown, [(2, "moon".to_owned())]);
    let stopped = log.append(&draft(ALICE, push_of("a")));
    assert!(matches!(stopped, Err(Error::NewerNeeded { need, .. }) if need.contains("moon")));
}

#[test]
fn a_fence_ends_a_session_before_its_commit() {
    let t = Transport::memory();
    let mut gc = Log::open(&t, vec![]).expect("opens");
    let mut log = Log::open(&t, vec![]).expect("opens");
    let session = Session::create(&t, ALICE, 0, 0).expect("opens");
    let mut calls = 0;
    // The fence lands while the push is being decided: the slot is lost, then the fence is seen.
    let fenced = commit_push::<Error>(&mut log, session.id(), ALICE, 0, |_| {
        calls += 1;
        let fence = Body::Fence(Fence { sid: session.id() });
        gc.append(&EntryDraft {
            writer: BOB,
            sid: None,
            time_ms: 0,
            body: fence,
        })?;
        Ok(PushDecision::Commit(push_of("a")))
    });
    assert!(matches!(fenced, Err(Error::Fenced { session: s }) if s == session.id()));
    assert_eq!(calls, 1);
    assert_eq!(log.seq(), 1, "only the fence is there");
    let again = commit(&mut log, SessionId::new_v7(), ALICE, push_of("a"));
    assert_eq!(
        again.expect("a new session commits"),
        Commit::Committed { seq: 2 }
    );
}

#[test]
fn a_condemned_pack_is_not_relied_on() {
    let t = Transport::memory();
    let mut log = Log::open(&t, vec![]).expect("opens");
    let mut gc = Log::open(&t, vec![]).expect("opens");
    let (old, new) = (pack_ref(1, 1), pack_ref(2, 2));
    let first = PushBody {
        packs: vec![old],
        uses: vec![uses(old)],
        ..push_of("first")
    };
    commit(&mut log, old.sid, ALICE, first).expect("commits");
    assert!(log.fold().is_usable(&old.pack));

    let mut marked = false;
    let mut seen = Vec::new();
    let done = commit_push::<Error>(&mut log, SessionId::new_v7(), ALICE, 0, |fold: &Fold| {
        if !marked {
            marked = true;
            gc.catch_up()?;
            let mark = Mark {
                condemned: vec![old.pack],
                replacements: vec![new],
                segments: vec![],
            };
            gc.append(&EntryDraft {
                writer: BOB,
                sid: Some(new.sid),
                time_ms: 0,
                body: Body::Mark(mark),
            })?;
        }
        let pack = [old, new]
            .into_iter()
            .find(|p| fold.is_usable(&p.pack))
            .expect("one is usable");
        seen.push(pack);
        Ok(PushDecision::Commit(PushBody {
            uses: vec![uses(pack)],
            ..push_of("second")
        }))
    });
    assert_eq!(
        done.expect("commits with the replacement"),
        Commit::Committed { seq: 3 }
    );
    assert_eq!(seen, [old, new]);
    assert_eq!(
        log.fold().usable_packs().map(|p| p.at).collect::<Vec<_>>(),
        [new]
    );
    assert_eq!(log.fold().readable_packs().count(), 2);
    assert!(log.fold().violations.is_empty());

    // Whoever ignores that is stopped; so is a use of a pack that was never committed.
    for pack in [old, pack_ref(9, 9)] {
        let stopped = log.append(&draft(
            ALICE,
            PushBody {
                uses: vec![uses(pack)],
                ..push_of("x")
            },
        ));
        assert!(matches!(stopped, Err(Error::PackNotUsable { pack: p }) if p == pack.pack));
    }
    // A pack of a foreign session could be fenced unseen.
    let stray = PushBody {
        packs: vec![pack_ref(8, 8)],
        ..push_of("x")
    };
    assert!(matches!(
        log.append(&draft(ALICE, stray)),
        Err(Error::PackNotUsable { .. })
    ));

    let sweep = Body::Sweep(Sweep {
        packs: vec![old.pack],
    });
    log.append(&EntryDraft {
        writer: BOB,
        sid: None,
        time_ms: 0,
        body: sweep,
    })
    .expect("appends");
    assert_eq!(
        log.fold()
            .readable_packs()
            .map(|p| p.at)
            .collect::<Vec<_>>(),
        [new]
    );
}

#[test]
fn what_no_honest_writer_does_is_shown_and_not_relied_on() {
    let (a, b) = (pack_ref(1, 1), pack_ref(2, 2));
    let push = |sid: SessionId, body: PushBody| (Some(sid), Body::Push(body));
    let mut entries: Vec<LogEntry> = [
        (None, Body::Fence(Fence { sid: a.sid })),
        push(
            a.sid,
            PushBody {
                packs: vec![a],
                ..push_of("fenced")
            },
        ),
        push(
            b.sid,
            PushBody {
                packs: vec![b],
                uses: vec![uses(a)],
                ..push_of("relies")
            },
        ),
        (
            None,
            Body::Sweep(Sweep {
                packs: vec![b.pack],
            }),
        ),
        (
            None,
            Body::Mark(Mark {
                condemned: vec![PackId([7; 16])],
                ..Mark::default()
            }),
        ),
    ]
    .into_iter()
    .map(|(sid, body)| LogEntry {
        sid,
        body,
        ..entry_template()
    })
    .collect();
    relink(&mut entries);
    let log = Log::open(&remote_of(&entries), vec![]).expect("opens");
    assert!(log.fold().usable_packs().next().is_none());
    let at: Vec<u64> = log.fold().violations.iter().map(|v| v.seq).collect();
    assert_eq!(at, [2, 3, 4, 5]);
}

#[test]
fn the_fold_holds_what_was_pushed_last() {
    let content = |n| ContentId::Tree(TreeId([n; 32]));
    let root = |n| Root {
        asset: "m".into(),
        kind: "model".into(),
        content: content(n),
    };
    let env = |n| EnvMove {
        env: "prod".into(),
        asset: "m".into(),
        content: content(n),
        event: EventId([n; 32]),
    };
    let git = |n: u8| GitRef {
        name: "refs/heads/main".into(),
        oid: format!("{n:040x}"),
    };
    let body = |n| PushBody {
        roots: vec![root(n)],
        git: vec![git(n)],
        envs: vec![env(n)],
        ledger: vec![BatchId([n; 32])],
        ..PushBody::default()
    };
    let release = Release {
        roots: vec![root(1)],
        approver: "dpo".into(),
        reason: "erasure".into(),
    };
    let mut entries: Vec<LogEntry> = [
        Body::Push(body(1)),
        Body::Push(body(2)),
        Body::Release(release),
    ]
    .into_iter()
    .map(|body| LogEntry {
        body,
        ..entry_template()
    })
    .collect();
    relink(&mut entries);
    let log = Log::open(&remote_of(&entries), vec![]).expect("opens");
    let fold = log.fold();
    assert_eq!(fold.roots.keys().collect::<Vec<_>>(), [&root(2)]);
    assert!(fold.has_content(&content(2)) && !fold.has_content(&content(1)));
    assert_eq!(fold.env("prod", "m"), Some(&env(2)));
    assert_eq!(fold.env("prod", "x"), None);
    assert_eq!(fold.git["refs/heads/main"], format!("{:040x}", 2));
    assert_eq!(fold.ledger.len(), 2);
}

#[test]
fn the_head_of_a_long_log_is_found_in_few_requests() {
    let t = remote_of(&chain(300));
    let before = t.requests();
    assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 300);
    assert!(t.requests().heads - before.heads <= 18);
    let mut log = Log::open(&t, vec![]).expect("opens");
    commit(&mut log, SessionId::new_v7(), ALICE, push_of("a")).expect("leaves a hint");
    let before = t.requests();
    assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 301);
    assert_eq!(
        t.requests().heads - before.heads,
        2,
        "the hint, and the slot behind it"
    );
}

// --- fixtures --------------------------------------------------------------------------------------------

/// The files in `fixtures/formats/v1` were written once and are never written again.
#[test]
fn frozen_files_read_and_write_the_same() {
    let entries = sample_entries();
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("format".into(), sample_format().encode()),
        ("session".into(), sample_session().encode()),
        ("asset".into(), sample_asset().encode()),
    ];
    files.extend(
        entries
            .iter()
            .map(|e| (format!("log-{}", e.body.kind()), e.encode())),
    );
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats/v1");
    for (name, bytes) in &files {
        let frozen = std::fs::read(dir.join(format!("remote-{name}.bin"))).expect("a fixture");
        assert_eq!(&frozen, bytes, "{name}");
    }
    let hint = std::fs::read(dir.join("remote-hint.bin")).expect("a fixture");
    let t = remote_of(&chain(2));
    let mut log = Log::open(&t, vec![]).expect("opens");
    commit(&mut log, SessionId::new_v7(), ALICE, push_of("a")).expect("commits");
    assert_eq!(t.get_existing(&Key::Hint, 1000).expect("is there"), hint);

    let read = |n: usize| &files[n].1;
    assert_eq!(Format::decode(read(0)).expect("reads"), sample_format());
    assert_eq!(
        SessionInfo::decode("k", read(1)).expect("reads"),
        sample_session()
    );
    assert_eq!(
        AssetEntry::decode("k", read(2)).expect("reads"),
        sample_asset()
    );
    for (n, entry) in entries.iter().enumerate() {
        assert_eq!(&LogEntry::decode("k", read(n + 3)).expect("reads"), entry);
    }
}

#[test]
fn fields_that_come_later_are_skipped() {
    // {v: 1, sid, writer, started_ms, log_seq, later: [1]}
    let mut map = sample_session().encode();
    map.truncate(map.len() - 32);
    assert_eq!(map[0], 0x85, "a map of five");
    map[0] = 0x86;
    map.extend_from_slice(b"\xa5later\x91\x01");
    let seal = Digest::of(&map);
    map.extend_from_slice(seal.as_bytes());
    assert_eq!(
        SessionInfo::decode("k", &map).expect("reads"),
        sample_session()
    );
}

fn sample_format() -> Format {
    Format {
        v: 1,
        remote_id: clade::id::RemoteId([0x11; 16]),
        profile: 1,
        needs_read: vec![],
        needs_write: vec!["example".into()],
    }
}

fn sample_session() -> SessionInfo {
    SessionInfo {
        v: 1,
        sid: SessionId([0x22; 16]),
        writer: ALICE,
        started_ms: 1_700_000_000_000,
        log_seq: 4,
    }
}

fn sample_asset() -> AssetEntry {
    let record = |kind, id: u8, frame, record| RecordPlace {
        kind,
        id: Digest([id; 32]),
        frame,
        record,
    };
    AssetEntry {
        content: ContentId::Tree(TreeId([0x33; 32])),
        size_bytes: 70_000,
        file_count: 2,
        inline: vec![InlineRecord {
            kind: 2,
            id: Digest([0x33; 32]),
            bytes: b"root page".to_vec(),
        }],
        packs: vec![
            PackPlace {
                sid: SessionId([0x22; 16]),
                pack: PackId([0x44; 16]),
            },
            PackPlace {
                sid: SessionId([0x23; 16]),
                pack: PackId([0x45; 16]),
            },
        ],
        frames: vec![
            FrameRef {
                pack: 0,
                offset: 64,
                len: 65_000,
            },
            FrameRef {
                pack: 0,
                offset: 70_000,
                len: 900,
            },
            FrameRef {
                pack: 1,
                offset: 64,
                len: 5000,
            },
        ],
        records: vec![record(0, 5, 0, 0), record(0, 6, 2, 1), record(1, 5, 1, 0)],
    }
}

fn sample_entries() -> Vec<LogEntry> {
    let root = Root {
        asset: "models/m".into(),
        kind: "model".into(),
        content: ContentId::File(FileId([0x55; 32])),
    };
    let pack = pack_ref(0x22, 0x44);
    let segment = SegmentRef {
        sid: pack.sid,
        segment: SegmentId([0x66; 16]),
        size_bytes: 640,
        blake3: Digest([0x67; 32]),
    };
    let push = PushBody {
        roots: vec![root.clone()],
        packs: vec![pack],
        segments: vec![segment],
        uses: vec![uses(pack)],
        git: vec![GitRef {
            name: "refs/heads/main".into(),
            oid: "ab".repeat(20),
        }],
        ledger: vec![BatchId([0x77; 32])],
        envs: vec![EnvMove {
            env: "prod".into(),
            asset: "models/m".into(),
            content: root.content,
            event: EventId([0x78; 32]),
        }],
    };
    let why = || ("dpo".to_owned(), "a reason".to_owned());
    let mut entries: Vec<LogEntry> = [
        (Some(pack.sid), Body::Push(push)),
        (
            None,
            Body::Release(Release {
                roots: vec![root],
                approver: why().0,
                reason: why().1,
            }),
        ),
        (
            Some(pack.sid),
            Body::Mark(Mark {
                condemned: vec![PackId([0x01; 16])],
                replacements: vec![pack],
                segments: vec![segment],
            }),
        ),
        (
            None,
            Body::Fence(Fence {
                sid: SessionId([0x99; 16]),
            }),
        ),
        (
            None,
            Body::Sweep(Sweep {
                packs: vec![PackId([0x01; 16])],
            }),
        ),
        (
            None,
            Body::Promote(Promote {
                approver: why().0,
                reason: why().1,
            }),
        ),
    ]
    .into_iter()
    .map(|(sid, body)| LogEntry {
        sid,
        body,
        ..entry_template()
    })
    .collect();
    relink(&mut entries);
    entries
}

// --- helpers ---------------------------------------------------------------------------------------------

fn push_of(asset: &str) -> PushBody {
    PushBody {
        roots: vec![Root {
            asset: asset.to_owned(),
            kind: "dataset".into(),
            content: ContentId::File(FileId::of(asset.as_bytes())),
        }],
        ..PushBody::default()
    }
}

fn draft(writer: WriterId, push: PushBody) -> EntryDraft {
    EntryDraft {
        writer,
        sid: Some(SessionId::new_v7()),
        time_ms: 1,
        body: Body::Push(push),
    }
}

fn commit(
    log: &mut Log,
    sid: SessionId,
    writer: WriterId,
    push: PushBody,
) -> Result<Commit, Error> {
    commit_push(log, sid, writer, 1, |_| {
        Ok(PushDecision::Commit(push.clone()))
    })
}

fn pack_ref(sid: u8, pack: u8) -> PackRef {
    PackRef {
        sid: SessionId([sid; 16]),
        pack: PackId([pack; 16]),
        size_bytes: 1000,
        blake3: Digest([pack; 32]),
    }
}

fn uses(pack: PackRef) -> PackUse {
    PackUse {
        pack: pack.pack,
        live_bytes: 900,
    }
}

fn entry_template() -> LogEntry {
    LogEntry {
        seq: 0,
        prev: NO_PREVIOUS,
        nonce: [0x10; 16],
        writer: ALICE,
        sid: None,
        time_ms: 1_700_000_000_000,
        body: Body::Push(PushBody::default()),
    }
}

fn relink(entries: &mut [LogEntry]) {
    let mut prev = NO_PREVIOUS;
    for (seq, entry) in (1..).zip(entries) {
        entry.seq = seq;
        entry.prev = prev;
        prev = Digest::of(&entry.encode());
    }
}

fn chain(len: usize) -> Vec<LogEntry> {
    let mut entries: Vec<LogEntry> = (0..len)
        .map(|n| LogEntry {
            body: Body::Push(push_of(&format!("asset {n}"))),
            ..entry_template()
        })
        .collect();
    relink(&mut entries);
    entries
}

fn remote_of(entries: &[LogEntry]) -> Transport {
    let limits = Limits {
        backoff_ms: 1,
        ..Limits::default()
    };
    let store = Arc::new(object_store::memory::InMemory::new());
    let t = Transport::new(store, "memory", true, limits);
    put_entries(&t, entries);
    t
}

fn hint(seq: u64) -> Bytes {
    let mut file = vec![0x82, 0xa1, b'v', 1, 0xa3, b's', b'e', b'q', 0xcf];
    file.extend_from_slice(&seq.to_be_bytes());
    file.extend_from_slice(Digest::of(&file).as_bytes());
    file.into()
}

fn put_entries<'a>(t: &Transport, entries: impl IntoIterator<Item = &'a LogEntry>) {
    for entry in entries {
        t.put_new(&Key::Log(entry.seq), entry.encode().into())
            .expect("writes");
    }
}
