//! The files of a remote, byte for byte.

use clade::id::{BatchId, ContentId, Digest, EventId, FileId, PackId, SegmentId, SessionId, TreeId};
use clade::remote::{
    AssetEntry, Body, EnvMove, Fence, Format, FrameRef, GitRef, InlineRecord, Key, Log, LogEntry, Mark, PackPlace,
    Promote, PushBody, RecordPlace, RefAsset, Release, Root, SegmentRef, SessionInfo, Sweep,
};

use crate::conform_remote::support::{
    ALICE, chain, commit, entry_template, pack_ref, push_of, relink, remote_of, uses,
};

/// The files in `fixtures/formats/v1` were written once and are never written again.
#[test]
fn frozen_files_read_and_write_the_same() {
    let entries = sample_entries();
    let mut files: Vec<(String, Vec<u8>)> = vec![
        ("format".into(), sample_format().encode()),
        ("session".into(), sample_session().encode()),
        ("asset".into(), sample_asset().encode()),
    ];
    files.extend(entries.iter().map(|e| (format!("log-{}", e.body.kind()), e.encode())));
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
    assert_eq!(SessionInfo::decode("k", read(1)).expect("reads"), sample_session());
    assert_eq!(AssetEntry::decode("k", read(2)).expect("reads"), sample_asset());
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
    assert_eq!(SessionInfo::decode("k", &map).expect("reads"), sample_session());
}

pub(crate) fn sample_format() -> Format {
    Format {
        v: 1,
        remote_id: clade::id::RemoteId([0x11; 16]),
        profile: 1,
        needs_read: vec![],
        needs_write: vec!["example".into()],
    }
}

pub(crate) fn sample_session() -> SessionInfo {
    SessionInfo { v: 1, sid: SessionId([0x22; 16]), writer: ALICE, started_ms: 1_700_000_000_000, log_seq: 4 }
}

pub(crate) fn sample_asset() -> AssetEntry {
    let record = |kind, id: u8, frame, record| RecordPlace { kind, id: Digest([id; 32]), frame, record };
    AssetEntry {
        content: ContentId::Tree(TreeId([0x33; 32])),
        size_bytes: 70_000,
        file_count: 2,
        inline: vec![InlineRecord { kind: 2, id: Digest([0x33; 32]), bytes: b"root page".to_vec() }],
        packs: vec![
            PackPlace { sid: SessionId([0x22; 16]), pack: PackId([0x44; 16]) },
            PackPlace { sid: SessionId([0x23; 16]), pack: PackId([0x45; 16]) },
        ],
        frames: vec![
            FrameRef { pack: 0, offset: 64, len: 65_000 },
            FrameRef { pack: 0, offset: 70_000, len: 900 },
            FrameRef { pack: 1, offset: 64, len: 5000 },
        ],
        records: vec![record(0, 5, 0, 0), record(0, 6, 2, 1), record(1, 5, 1, 0)],
    }
}

pub(crate) fn sample_entries() -> Vec<LogEntry> {
    let root = Root { asset: "models/m".into(), kind: "model".into(), content: ContentId::File(FileId([0x55; 32])) };
    let pack = pack_ref(0x22, 0x44);
    let segment =
        SegmentRef { sid: pack.sid, segment: SegmentId([0x66; 16]), size_bytes: 640, blake3: Digest([0x67; 32]) };
    let push = PushBody {
        roots: vec![root.clone()],
        packs: vec![pack],
        segments: vec![segment],
        uses: vec![uses(pack)],
        git: vec![GitRef {
            name: "refs/heads/main".into(),
            oid: "ab".repeat(20),
            assets: vec![RefAsset { asset: root.asset.clone(), content: root.content }],
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
        (None, Body::Release(Release { roots: vec![root], approver: why().0, reason: why().1 })),
        (
            Some(pack.sid),
            Body::Mark(Mark { condemned: vec![PackId([0x01; 16])], replacements: vec![pack], segments: vec![segment] }),
        ),
        (None, Body::Fence(Fence { sid: SessionId([0x99; 16]) })),
        (None, Body::Sweep(Sweep { packs: vec![PackId([0x01; 16])] })),
        (None, Body::Promote(Promote { approver: why().0, reason: why().1 })),
    ]
    .into_iter()
    .map(|(sid, body)| LogEntry { sid, body, ..entry_template() })
    .collect();
    relink(&mut entries);
    entries
}
