//! Requests that fail, lie or hang: nothing is lost, nothing is there twice, and each ends in time.

use bytes::Bytes;
use clade::id::{PackId, SessionId};
use clade::remote::fault::{Fault, Faulty, Op, Rule};
use clade::remote::{
    Append, Commit, Error, Format, Key, Log, PushDecision, Remote, Session, Transport, check_create_if_absent,
    commit_push,
};

use crate::conform_remote::support::{ALICE, BOB, commit, draft, hint, push_of};

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
    assert_eq!(alice.append(&mine).expect("appends"), Append::Committed { seq: 2 });
    assert_eq!(alice.append(&mine).expect("asks"), Append::Committed { seq: 2 }, "a session commits once");
    bob.catch_up().expect("reads");
    assert_eq!(bob.fold(), alice.fold());
}

#[test]
fn an_unclear_create_is_resolved_by_reading() {
    for fault in [Fault::FailBefore, Fault::FailAfter, Fault::Conflict, Fault::ConflictAfter, Fault::Stall] {
        let faulty = Faulty::memory();
        let t = faulty.transport();
        let mut log = Log::open(&t, vec![]).expect("opens");
        faulty.add(Rule::once(Op::Put, "log/", fault));
        let done = log.append(&draft(ALICE, push_of("a"))).expect("appends");
        assert_eq!(done, Append::Committed { seq: 1 }, "{fault:?}");
        faulty.add(Rule::once(Op::Put, "packs/", fault));
        let session = Session::create(&t, ALICE, 0, 0).expect("opens");
        let bytes = Bytes::from_static(b"a pack");
        session.upload_pack(PackId::new_v7(), &bytes).expect("uploads");
        assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 1, "exactly one entry, {fault:?}");
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
        let done = commit(&mut bob, SessionId::new_v7(), BOB, push_of(&format!("b{n}")));
        done.expect("commits");
    }
    // Entry 4 seems absent while the head is searched and once more after the slot was lost.
    faulty.add(Rule { times: 2, ..Rule::once(Op::Get, "log/00000000000000000004", Fault::Missing) });
    faulty.add(Rule::once(Op::Get, "hint", Fault::Missing));
    let mut alice = Log::open(&t, vec![]).expect("opens");
    let done = commit(&mut alice, SessionId::new_v7(), ALICE, push_of("a")).expect("commits");
    assert_eq!(done, Commit::Committed { seq: 6 });
    assert_eq!(alice.fold().roots.len(), 6);

    // An entry that must exist is asked for again.
    faulty.add(Rule::once(Op::Get, "log/00000000000000000002", Fault::Missing));
    assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 6);
}

#[test]
fn a_wrong_hint_costs_requests_only() {
    let t = Transport::memory();
    let mut log = Log::open(&t, vec![]).expect("opens");
    let mut hints = Vec::new();
    for n in 0..9 {
        commit(&mut log, SessionId::new_v7(), ALICE, push_of(&n.to_string())).expect("commits");
        hints.push(t.get_existing(&Key::Hint, 1000).expect("is there"));
    }
    hints.extend([Bytes::new(), Bytes::from_static(b"nonsense"), hint(u64::MAX), hint(12)]);
    for hint in hints {
        t.put_hint(hint).expect("writes");
        assert_eq!(Log::open(&t, vec![]).expect("opens").seq(), 9);
    }
}

#[test]
fn stalls_and_refusals_end_in_time_and_are_named() {
    let faulty = Faulty::memory();
    let t = faulty.transport();
    faulty.add(Rule::always(Op::Get, "format", Fault::Stall));
    assert!(matches!(Format::load(&t), Err(Error::Stalled { .. })));
    faulty.heal();
    faulty.add(Rule::always(Op::Get, "format", Fault::Denied));
    assert!(matches!(Format::load(&t), Err(Error::PermissionDenied { .. })));
    // Denied is never taken for absent.
    faulty.add(Rule::always(Op::Get, "log/", Fault::Denied));
    assert!(matches!(Log::open(&t, vec![]), Err(Error::PermissionDenied { .. })));
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
