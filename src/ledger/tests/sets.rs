//! The ledger as a set, classification, environments.

use crate::id::{BatchId, EventId, WriterId};
use crate::ledger::testing::{Writer, class, file, ledger_of, seen};
use crate::ledger::*;

fn note(words: &str) -> Event {
    Event::Note(Note { text: words.into(), about: None })
}

/// Three writers that see each other now and then.
fn some_batches() -> Vec<Batch> {
    let mut writers: Vec<Writer> = (1..4).map(Writer::new).collect();
    let mut all: Vec<Batch> = Vec::new();
    for i in 0..30u64 {
        let n = (i * 7 % 3) as usize;
        if i % 4 == 0
            && let Some(last) = all.last()
        {
            writers[n].see(last);
        }
        // Clocks that disagree.
        all.push(writers[n].write(1_000 + i * 37 % 50, vec![note(&i.to_string())]));
    }
    all
}

fn dump(ledger: &Ledger) -> String {
    let order: Vec<String> = ledger.events().map(|e| e.id.to_string()).collect();
    format!("{} {order:?} {:?} {:?}", ledger.id(), ledger.writers(), ledger.heads())
}

#[test]
fn order_of_arrival_does_not_matter() {
    let batches = some_batches();
    let expected = dump(&Ledger::new(batches.clone()));
    for step in [1usize, 7, 11, 13, 17, 29] {
        let mixed = (0..60).map(|i| batches[i * step % 30].clone());
        let rest = batches.iter().rev().cloned();
        assert_eq!(dump(&Ledger::new(mixed.chain(rest))), expected);
    }
    assert_ne!(dump(&Ledger::new(batches[1..].iter().cloned())), expected);
}

#[test]
fn batches_follow_what_they_had_seen() {
    let ledger = Ledger::new(some_batches());
    let mut placed = std::collections::BTreeSet::new();
    for batch in ledger.batches() {
        assert!(batch.payload.prev.is_none_or(|p| placed.contains(&p)));
        assert!(batch.payload.seen.heads.iter().all(|h| placed.contains(&h.batch)));
        placed.insert(batch.id);
    }
    assert_eq!(placed.len(), 30);
    assert!(ledger.gaps().is_empty() && ledger.equivocations().is_empty());
}

#[test]
fn the_ledger_id_is_over_sorted_ids() {
    let (a, b) = (BatchId([1; 32]), BatchId([2; 32]));
    let mut bytes = a.0.to_vec();
    bytes.extend(b.0);
    assert_eq!(ledger_id(&[b, a, b]).0, *blake3::hash(&bytes).as_bytes());
    assert_eq!(Ledger::default().id().0, *blake3::hash(b"").as_bytes());
}

#[test]
fn gaps_and_equivocations_are_seen() {
    let mut ann = Writer::new(1);
    let (first, second) = (ann.write(1, vec![]), ann.write(2, vec![]));
    let mut bob = Writer::new(2);
    bob.see(&second);
    let third = bob.write(3, vec![]);
    let ledger = Ledger::new([third.clone()]);
    assert_eq!(ledger.gaps()[0].batch, second.id);
    assert_eq!(Ledger::new([second.clone(), third]).gaps()[0].batch, first.id);
    // A copied clone gives the number 1 again.
    let mut copy = Writer::new(1);
    assert_eq!(copy.write(1, vec![]).id, first.id);
    let forked = copy.write(9, vec![note("copy")]);
    let ledger = Ledger::new([first, second.clone(), forked.clone()]);
    let found = ledger.equivocations();
    assert_eq!((found.len(), found[0].seq), (1, 1));
    let mut both = vec![second.id, forked.id];
    both.sort();
    assert_eq!(found[0].batches, both);
    assert_eq!(ledger.writers()[0].last_seen_ms, 9);
}

#[test]
fn the_next_batch_names_new_heads_only() {
    let mut ann = Writer::new(1);
    let mut bob = Writer::new(2);
    let a0 = ann.write(1, vec![]);
    bob.see(&a0);
    let b0 = bob.write(2, vec![]);
    let ledger = Ledger::new([a0.clone(), b0.clone()]);
    let (seq, prev, heads) = ledger.next_for(WriterId([1; 8]));
    assert_eq!((seq, prev), (1, Some(a0.id)));
    assert_eq!(heads, [Head { writer: WriterId([2; 8]), seq: 0, batch: b0.id }]);
    let (seq, prev, heads) = ledger.next_for(WriterId([2; 8]));
    assert_eq!((seq, prev, heads.len()), (1, Some(b0.id), 0));
    assert_eq!(ledger.next_for(WriterId([3; 8])).2.len(), 2);
    assert_eq!(ledger.next_for(WriterId([3; 8])).1, None);
}

#[test]
fn earlier_ledgers_are_found() {
    let mut ann = Writer::new(1);
    let batches: Vec<Batch> = (0..5).map(|i| ann.write(10 * i, vec![])).collect();
    let ledger = Ledger::new(batches.clone());
    for n in 0..=5 {
        let first = Ledger::new(batches[..n].iter().cloned());
        let found = ledger.as_of_ledger(first.id()).expect("is a prefix");
        assert_eq!(found.len(), n);
    }
    assert!(ledger.as_of_ledger(ledger_id(&[batches[3].id])).is_none());
    assert_eq!(ledger.as_of_time(20).len(), 3);
    // What somebody had seen is found although it is no prefix by time.
    let mut bob = Writer::new(2);
    bob.see(&batches[0]);
    let late = bob.write(1, vec![]);
    let mixed = Ledger::new(batches.iter().cloned().chain([late]));
    assert_eq!(mixed.as_of_ledger(ledger_id(&[batches[0].id])).map(|l| l.len()), Some(1));
}

fn active(ledger: &Ledger) -> Vec<(EventId, Level)> {
    active_classes(ledger).into_iter().map(|c| (c.event, c.label.level)).collect()
}

#[test]
fn only_what_names_a_classification_replaces_it() {
    let scope = Scope::asset("data");
    let mut ann = Writer::new(1);
    let high = ann.write(1, vec![Event::ClassSet(class(scope.clone(), Level::Restricted))]);
    let mut lower = class(scope.clone(), Level::Internal);
    let plain = ann.write(2, vec![Event::ClassSet(lower.clone())]);
    let both = Ledger::new([high.clone(), plain.clone()]);
    assert_eq!(active(&both).len(), 2, "a lower level beside a higher one changes nothing");
    lower.supersedes = vec![high.event_id(0)];
    let down = ann.write(3, vec![Event::ClassSet(lower)]);
    let all = Ledger::new([high.clone(), plain.clone(), down.clone()]);
    let mut expected = vec![(plain.event_id(0), Level::Internal), (down.event_id(0), Level::Internal)];
    expected.sort();
    assert_eq!(active(&all), expected);
    // A raise that the lowering did not name survives it.
    let mut bob = Writer::new(2);
    let raise = bob.write(3, vec![Event::ClassSet(class(scope, Level::Prohibited))]);
    let all = Ledger::new([high.clone(), down.clone(), raise]);
    assert!(active(&all).iter().any(|(_, level)| *level == Level::Prohibited));
    // Taking the lowering back brings the level back.
    let back = ClassRetracted { events: vec![down.event_id(0)], reason: "no".into() };
    let back = ann.write(4, vec![Event::ClassRetracted(back)]);
    let all = Ledger::new([back, down, high.clone()]);
    assert_eq!(active(&all), [(high.event_id(0), Level::Restricted)]);
}

#[test]
fn labels_join() {
    let label = |level, tag: &str| Label { level, tags: [tag.to_owned()].into() };
    let joined = label(Level::Internal, "a").join(&label(Level::Restricted, "b"));
    assert_eq!((joined.level, joined.tags.len()), (Level::Restricted, 2));
    assert_eq!(Level::parse("restricted"), Some(Level::Restricted));
    assert_eq!(Level::parse("Restricted"), None);
}

fn moved(to: &str, cause: MoveCause, supersedes: Vec<EventId>) -> Event {
    Event::EnvMoved(EnvMoved {
        env: "prod".into(),
        moves: vec![Move { asset: "m".into(), from: None, to: file(to) }],
        cause,
        supersedes,
        override_reason: None,
        findings: vec![],
    })
}

#[test]
fn environments_move_conflict_and_settle() {
    use MoveCause::{Promote, Resolve};
    let mut ann = Writer::new(1);
    let one = ann.write(1, vec![moved("v1", Promote, vec![])]);
    let mut bob = Writer::new(2);
    bob.see(&one);
    let two = ann.write(2, vec![moved("v2", Promote, vec![one.event_id(0)])]);
    let other = bob.write(3, vec![moved("v3", Promote, vec![one.event_id(0)])]);
    let value = |batches: &[&Batch]| {
        let ledger = Ledger::new(batches.iter().map(|b| (*b).clone()));
        Environments::new(&ledger).value("prod", "m").expect("moved")
    };
    assert_eq!(value(&[&one]).content, Some(file("v1")));
    assert_eq!(value(&[&one, &two]).content, Some(file("v2")));
    let conflict = value(&[&one, &two, &other]);
    assert_eq!((conflict.state, conflict.content), (EnvState::Conflict, Some(file("v1"))));
    assert_eq!(conflict.heads.len(), 2);
    assert_eq!(conflict, value(&[&other, &one, &two, &other]));
    let settle = ann.write(4, vec![moved("v3", Resolve, conflict.heads.clone())]);
    let settled = value(&[&one, &two, &other, &settle]);
    assert_eq!((settled.state, settled.content), (EnvState::Settled, Some(file("v3"))));
    // Two that agree are no conflict; two first moves have nothing undisputed before them.
    let same = bob.write(5, vec![moved("v2", Promote, vec![one.event_id(0)])]);
    assert_eq!(value(&[&one, &two, &same]).state, EnvState::Settled);
    let first = Writer::new(3).write(1, vec![moved("v9", Promote, vec![])]);
    assert_eq!(value(&[&one, &first]).content, None);
}

#[test]
fn a_conflict_after_a_conflict_keeps_the_last_undisputed() {
    use MoveCause::{Promote, Resolve};
    let mut ann = Writer::new(1);
    let root = ann.write(1, vec![moved("v1", Promote, vec![])]);
    let a = ann.write(2, vec![moved("a", Promote, vec![root.event_id(0)])]);
    let b = Writer::new(2).write(2, vec![moved("b", Promote, vec![root.event_id(0)])]);
    // Both conflicts are settled twice, differently: nothing after the root is undisputed.
    let heads = vec![a.event_id(0), b.event_id(0)];
    let x = Writer::new(3).write(3, vec![moved("x", Resolve, heads.clone())]);
    let y = Writer::new(4).write(3, vec![moved("y", Resolve, heads)]);
    let ledger = Ledger::new([root, a, b, x, y]);
    let value = Environments::new(&ledger).value("prod", "m").expect("moved");
    assert_eq!((value.state, value.content), (EnvState::Conflict, Some(file("v1"))));
}

#[test]
fn rollback_never_returns_to_what_was_left() {
    use MoveCause::{Promote, Rollback};
    let mut ann = Writer::new(1);
    let mut batches: Vec<Batch> = Vec::new();
    let mut go = |to: &str, cause: MoveCause| {
        let prev = batches.last().map(|b| b.event_id(0));
        batches.push(ann.write(batches.len() as u64, vec![moved(to, cause, prev.into_iter().collect())]));
        Environments::new(&Ledger::new(batches.clone()))
    };
    assert_eq!(go("v1", Promote.clone()).rollback_target("prod", "m", |_| true), None);
    go("v2", Promote.clone());
    let envs = go("v3", Promote.clone());
    assert_eq!(envs.rollback_target("prod", "m", |_| true), Some(file("v2")));
    assert_eq!(envs.rollback_target("prod", "m", |c| *c != file("v2")), Some(file("v1")));
    let envs = go("v2", Rollback);
    assert_eq!(envs.rollback_target("prod", "m", |_| true), Some(file("v1")), "v3 was left");
    let envs = go("v4", Promote);
    assert_eq!(envs.rollback_target("prod", "m", |_| true), Some(file("v2")));
    assert_eq!(envs.rollback_target("prod", "m", |_| false), None);
    assert_eq!(envs.history("prod", "m").len(), 5);
    assert_eq!(envs.history_at("prod", 1).len(), 2);
    assert_eq!(envs.current("prod").len(), 1);
    assert!(envs.current("test").is_empty());
    assert_eq!(envs.rollback_target("test", "m", |_| true), None);
}

#[test]
fn unknown_kinds_are_counted() {
    let (ledger, ids) = ledger_of(vec![seen("a", file("a"), 1), note("x")]);
    assert_eq!(ledger.unknown_events(), 0);
    assert_eq!(ledger.events().map(|e| e.id).collect::<Vec<_>>(), ids);
    assert_eq!(ledger.repositories().len(), 1);
}
