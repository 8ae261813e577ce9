//! Batches for tests of this room and of those above it, made through the real encoder.

use super::{
    Actor, Batch, ClassSet, Content, Event, Evidence, Head, Ledger, Level, Outcome, Payload, Role, RunInput, RunOutput,
    RunRecorded, Scope, Seen, Version, VersionSeen, decode, encode, encode_payload, ledger_id,
};
use crate::id::{BatchId, EventId, FileId, RepositoryId, RunId, WriterId};
use crate::ledger::AssetKind;

/// A clone that writes batches.
pub(crate) struct Writer {
    id: WriterId,
    seq: u64,
    prev: Option<BatchId>,
    seen: std::collections::BTreeSet<BatchId>,
    heads: Vec<Head>,
}

impl Writer {
    pub(crate) fn new(n: u8) -> Self {
        Self { id: WriterId([n; 8]), seq: 0, prev: None, seen: Default::default(), heads: vec![] }
    }

    /// Takes over everything that another batch stands for.
    pub(crate) fn see(&mut self, batch: &Batch) {
        let p = &batch.payload;
        self.seen.insert(batch.id);
        self.heads.push(Head { writer: p.writer, seq: p.seq, batch: batch.id });
    }

    pub(crate) fn write(&mut self, time_ms: u64, events: Vec<Event>) -> Batch {
        let payload = Payload {
            v: 1,
            repository: RepositoryId([7; 16]),
            writer: self.id,
            seq: self.seq,
            prev: self.prev,
            seen: Seen { digest: ledger_id(&self.seen), heads: std::mem::take(&mut self.heads) },
            time_ms,
            actor: Actor { name: "Ann".into(), email: "ann@example.org".into() },
            tool: "clade 0.1.0".into(),
            events,
        };
        let bytes = encode_payload(&payload).expect("a test's payload is valid");
        let file = encode(&bytes, &[]).expect("a test's batch is small");
        let batch = decode(&file).expect("what was encoded decodes");
        assert_eq!(batch.payload, payload);
        self.seq += 1;
        self.prev = Some(batch.id);
        self.seen.insert(batch.id);
        batch
    }
}

/// The ledger of one writer with one batch for these events, and the events' ids.
pub(crate) fn ledger_of(events: Vec<Event>) -> (Ledger, Vec<EventId>) {
    let batch = Writer::new(1).write(1_000, events);
    let ids = (0..batch.payload.events.len()).map(|i| batch.event_id(i)).collect();
    (Ledger::new([batch]), ids)
}

pub(crate) fn file(text: &str) -> Content {
    Content::file(FileId::of(text.as_bytes()))
}

pub(crate) fn seen(asset: &str, content: Content, size_bytes: u64) -> Event {
    Event::VersionSeen(VersionSeen {
        ver: Version::new(asset, content),
        kind: AssetKind::of_path(asset),
        size_bytes,
        files: 1,
        sha256: None,
        commit: None,
        path: asset.to_owned(),
        owner: None,
    })
}

pub(crate) fn input(role: &str, asset: &str, content: Option<Content>) -> RunInput {
    RunInput {
        ver: content.map(|c| Version::new(asset, c)),
        path: asset.to_owned(),
        role: Role::from(role),
        selector: None,
        evidence: Evidence::Declared,
        by: None,
        at_ms: None,
    }
}

pub(crate) fn output(asset: &str, content: Content) -> RunOutput {
    RunOutput { ver: Version::new(asset, content), path: asset.to_owned(), before: None, partial: false }
}

pub(crate) fn run(n: u8, inputs: Vec<RunInput>, outputs: Vec<RunOutput>) -> RunRecorded {
    RunRecorded {
        run: RunId([n; 16]),
        step: None,
        step_digest: None,
        command: vec!["train".into()],
        start_ms: 1,
        wall_ms: 2,
        outcome: Outcome::Done,
        exit: Some(0),
        signal: None,
        code: Default::default(),
        env: Default::default(),
        params: Default::default(),
        seed: None,
        inputs,
        outputs,
    }
}

pub(crate) fn recorded(run: RunRecorded) -> Event {
    Event::RunRecorded(Box::new(run))
}

pub(crate) fn class(scope: Scope, level: Level) -> ClassSet {
    ClassSet {
        scope,
        level: Some(level),
        tags: Default::default(),
        reason: "test".into(),
        source: "user".into(),
        effective_ms: None,
        supersedes: vec![],
    }
}
