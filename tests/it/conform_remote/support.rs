//! Entries, packs and remotes for these tests.

use std::sync::Arc;

use bytes::Bytes;
use clade::id::{ContentId, Digest, FileId, PackId, SegmentId, SessionId, WriterId};
use clade::remote::{
    Body, Commit, EntryDraft, Error, Key, Limits, Log, LogEntry, NO_PREVIOUS, PackRef, PackUse, PushBody, PushDecision,
    Root, SegmentRef, Transport, commit_push,
};

pub(crate) const ALICE: WriterId = WriterId([0xa1; 8]);
pub(crate) const BOB: WriterId = WriterId([0xb0; 8]);

pub(crate) fn push_of(asset: &str) -> PushBody {
    PushBody {
        roots: vec![Root {
            asset: asset.to_owned(),
            kind: "dataset".into(),
            content: ContentId::File(FileId::of(asset.as_bytes())),
        }],
        ..PushBody::default()
    }
}

pub(crate) fn draft(writer: WriterId, push: PushBody) -> EntryDraft {
    EntryDraft { writer, sid: Some(SessionId::new_v7()), time_ms: 1, body: Body::Push(push) }
}

pub(crate) fn commit(log: &mut Log, sid: SessionId, writer: WriterId, push: PushBody) -> Result<Commit, Error> {
    commit_push(log, sid, writer, 1, |_| Ok(PushDecision::Commit(push.clone())))
}

pub(crate) fn pack_ref(sid: u8, pack: u8) -> PackRef {
    PackRef { sid: SessionId([sid; 16]), pack: PackId([pack; 16]), size_bytes: 1000, blake3: Digest([pack; 32]) }
}

pub(crate) fn segment_ref(sid: u8) -> SegmentRef {
    SegmentRef {
        sid: SessionId([sid; 16]),
        segment: SegmentId([0x66; 16]),
        size_bytes: 640,
        blake3: Digest([0x67; 32]),
    }
}

pub(crate) fn uses(pack: PackRef) -> PackUse {
    PackUse { pack: pack.pack, live_bytes: 900 }
}

pub(crate) fn entry_template() -> LogEntry {
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

pub(crate) fn relink(entries: &mut [LogEntry]) {
    let mut prev = NO_PREVIOUS;
    for (seq, entry) in (1..).zip(entries) {
        entry.seq = seq;
        entry.prev = prev;
        prev = Digest::of(&entry.encode());
    }
}

pub(crate) fn chain(len: usize) -> Vec<LogEntry> {
    let mut entries: Vec<LogEntry> =
        (0..len).map(|n| LogEntry { body: Body::Push(push_of(&format!("asset {n}"))), ..entry_template() }).collect();
    relink(&mut entries);
    entries
}

pub(crate) fn remote_of(entries: &[LogEntry]) -> Transport {
    let limits = Limits { backoff_ms: 1, ..Limits::default() };
    let store = Arc::new(object_store::memory::InMemory::new());
    let t = Transport::new(store, "memory", true, limits);
    put_entries(&t, entries);
    t
}

pub(crate) fn hint(seq: u64) -> Bytes {
    let mut file = vec![0x82, 0xa1, b'v', 1, 0xa3, b's', b'e', b'q', 0xcf];
    file.extend_from_slice(&seq.to_be_bytes());
    file.extend_from_slice(Digest::of(&file).as_bytes());
    file.into()
}

pub(crate) fn put_entries<'a>(t: &Transport, entries: impl IntoIterator<Item = &'a LogEntry>) {
    for entry in entries {
        t.put_new(&Key::Log(entry.seq), entry.encode().into()).expect("writes");
    }
}
