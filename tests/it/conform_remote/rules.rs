//! What the log means, and what it keeps writers from doing.

use clade::id::{BatchId, ContentId, EventId, PackId, SessionId, TreeId};
use clade::remote::{
    Body, Commit, EntryDraft, EnvMove, Error, Fence, Fold, GitRef, Log, LogEntry, Mark, PushBody, PushDecision,
    Release, Root, Session, Sweep, Transport, commit_push,
};

use crate::conform_remote::support::{
    ALICE, BOB, chain, commit, draft, entry_template, pack_ref, push_of, relink, remote_of, segment_ref, uses,
};

#[test]
fn an_unknown_kind_stops_writers_not_readers() {
    let mut entries = chain(3);
    entries[1].body = Body::Unknown { kind: "moon".into() };
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
        gc.append(&EntryDraft { writer: BOB, sid: None, time_ms: 0, body: fence })?;
        Ok(PushDecision::Commit(push_of("a")))
    });
    assert!(matches!(fenced, Err(Error::Fenced { session: s }) if s == session.id()));
    assert_eq!(calls, 1);
    assert_eq!(log.seq(), 1, "only the fence is there");
    let again = commit(&mut log, SessionId::new_v7(), ALICE, push_of("a"));
    assert_eq!(again.expect("a new session commits"), Commit::Committed { seq: 2 });
}

#[test]
fn a_condemned_pack_is_not_relied_on() {
    let t = Transport::memory();
    let mut log = Log::open(&t, vec![]).expect("opens");
    let mut gc = Log::open(&t, vec![]).expect("opens");
    let (old, new) = (pack_ref(1, 1), pack_ref(2, 2));
    let first = PushBody { packs: vec![old], uses: vec![uses(old)], ..push_of("first") };
    commit(&mut log, old.sid, ALICE, first).expect("commits");
    assert!(log.fold().is_usable(&old.pack));

    let mut marked = false;
    let mut seen = Vec::new();
    let done = commit_push::<Error>(&mut log, SessionId::new_v7(), ALICE, 0, |fold: &Fold| {
        if !marked {
            marked = true;
            gc.catch_up()?;
            let mark = Mark { condemned: vec![old.pack], replacements: vec![new], segments: vec![] };
            gc.append(&EntryDraft { writer: BOB, sid: Some(new.sid), time_ms: 0, body: Body::Mark(mark) })?;
        }
        let pack = [old, new].into_iter().find(|p| fold.is_usable(&p.pack)).expect("one is usable");
        seen.push(pack);
        Ok(PushDecision::Commit(PushBody { uses: vec![uses(pack)], ..push_of("second") }))
    });
    assert_eq!(done.expect("commits with the replacement"), Commit::Committed { seq: 3 });
    assert_eq!(seen, [old, new]);
    assert_eq!(log.fold().usable_packs().map(|p| p.at).collect::<Vec<_>>(), [new]);
    assert_eq!(log.fold().readable_packs().count(), 2);
    assert!(log.fold().violations.is_empty());

    // Whoever ignores that is stopped; so is a use of a pack that was never committed.
    for pack in [old, pack_ref(9, 9)] {
        let stopped = log.append(&draft(ALICE, PushBody { uses: vec![uses(pack)], ..push_of("x") }));
        assert!(matches!(stopped, Err(Error::PackNotUsable { pack: p }) if p == pack.pack));
    }
    // A pack of a foreign session could be fenced unseen.
    let stray = PushBody { packs: vec![pack_ref(8, 8)], ..push_of("x") };
    assert!(matches!(log.append(&draft(ALICE, stray)), Err(Error::PackNotUsable { .. })));

    let stray = PushBody { segments: vec![segment_ref(8)], ..push_of("x") };
    assert!(matches!(log.append(&draft(ALICE, stray)), Err(Error::ForeignSegment { .. })));

    let sweep = Body::Sweep(Sweep { packs: vec![old.pack] });
    log.append(&EntryDraft { writer: BOB, sid: None, time_ms: 0, body: sweep }).expect("appends");
    assert_eq!(log.fold().readable_packs().map(|p| p.at).collect::<Vec<_>>(), [new]);
}

#[test]
fn what_no_honest_writer_does_is_shown_and_not_relied_on() {
    let (a, b) = (pack_ref(1, 1), pack_ref(2, 2));
    let push = |sid: SessionId, body: PushBody| (Some(sid), Body::Push(body));
    let mut entries: Vec<LogEntry> = [
        (None, Body::Fence(Fence { sid: a.sid })),
        push(a.sid, PushBody { packs: vec![a], ..push_of("fenced") }),
        push(b.sid, PushBody { packs: vec![b], uses: vec![uses(a)], ..push_of("relies") }),
        (None, Body::Sweep(Sweep { packs: vec![b.pack] })),
        (None, Body::Mark(Mark { condemned: vec![PackId([7; 16])], ..Mark::default() })),
    ]
    .into_iter()
    .map(|(sid, body)| LogEntry { sid, body, ..entry_template() })
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
    let root = |n| Root { asset: "m".into(), kind: "model".into(), content: content(n) };
    let env = |n| EnvMove { env: "prod".into(), asset: "m".into(), content: content(n), event: EventId([n; 32]) };
    let git = |n: u8| GitRef { name: "refs/heads/main".into(), oid: format!("{n:040x}"), assets: Vec::new() };
    let body = |n| PushBody {
        roots: vec![root(n)],
        git: vec![git(n)],
        envs: vec![env(n)],
        ledger: vec![BatchId([n; 32])],
        ..PushBody::default()
    };
    let release = Release { roots: vec![root(1)], approver: "dpo".into(), reason: "erasure".into() };
    let mut entries: Vec<LogEntry> = [Body::Push(body(1)), Body::Push(body(2)), Body::Release(release)]
        .into_iter()
        .map(|body| LogEntry { body, ..entry_template() })
        .collect();
    relink(&mut entries);
    let log = Log::open(&remote_of(&entries), vec![]).expect("opens");
    let fold = log.fold();
    assert_eq!(fold.roots.keys().collect::<Vec<_>>(), [&root(2)]);
    assert!(fold.has_content(&content(2)) && !fold.has_content(&content(1)));
    assert_eq!(fold.env("prod", "m"), Some(&env(2)));
    assert_eq!(fold.env("prod", "x"), None);
    assert_eq!(fold.git["refs/heads/main"].oid, format!("{:040x}", 2));
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
    assert_eq!(t.requests().heads - before.heads, 2, "the hint, and the slot behind it");
}
