//! The batch file: golden bytes, hostile bytes, paths.

use std::collections::BTreeSet;

use crate::id::{BatchId, Digest, FileId, LedgerId, RepositoryId, Sha256, StepDigest, WriterId};
use crate::ledger::testing::{Writer, class, file, input, output, recorded, run, seen};
use crate::ledger::*;
use crate::limits;

const GOLDEN: &[u8] = include_bytes!("../../../fixtures/formats/v1/batch-all-kinds.bin");
const NEWER: &[u8] = include_bytes!("../../../fixtures/formats/v1/batch-newer-kinds.bin");

/// The payload of the golden batch: every kind, every field.
fn golden_payload() -> Payload {
    let model = file("model");
    let mut first = seen("m.safetensors", model, 4096);
    if let Event::VersionSeen(v) = &mut first {
        v.sha256 = Some(Sha256([3; 32]));
        v.commit = Some("0123456789abcdef0123456789abcdef01234567".into());
        v.owner = Some("team".into());
    }
    let mut train = input("train", "data", Some(Content { form: Form::Tree, id: Digest([4; 32]) }));
    train.selector = Some("part/a.csv#1-10".into());
    train.by = Some("Ann".into());
    train.at_ms = Some(5);
    let mut out = output("m.safetensors", model);
    out.before = Some(Version::new("m.safetensors", file("old")));
    out.partial = true;
    let mut job = run(9, vec![train, input("base", "vendor/base", None)], vec![out]);
    job.step = Some("fit".into());
    job.step_digest = Some(StepDigest([5; 32]));
    job.outcome = Outcome::Killed;
    job.exit = None;
    job.signal = Some(15);
    job.code = Code { commit: Some("ab".repeat(20)), dirty: true };
    job.env = Machine {
        os: "linux x86_64".into(),
        gpu: Some("none".into()),
        image: Some("img@sha256:00".into()),
        locks: vec![Lock { path: "uv.lock".into(), id: FileId([6; 32]) }],
    };
    job.params = Params::from([
        ("lr".to_owned(), serde_json::json!(0.001)),
        ("layers".to_owned(), serde_json::json!([1, -2, {"n": null}])),
    ]);
    job.seed = Some(42);
    let mut by_path = class(
        Scope::Asset { asset: "data".into(), path: Some("a".into()), at: Some(Digest([4; 32])) },
        Level::Restricted,
    );
    by_path.tags = BTreeSet::from(["pii".to_owned(), "eu".to_owned()]);
    by_path.effective_ms = Some(7);
    by_path.supersedes = vec![event_id(BatchId([8; 32]), 3)];
    let mut by_content = class(Scope::Content(Digest([9; 32])), Level::Prohibited);
    by_content.reason = Text::Sealed { sealed: Digest([1; 32]), object: FileId([2; 32]) };
    Payload {
        v: 1,
        repository: RepositoryId([7; 16]),
        writer: WriterId([1, 2, 3, 4, 5, 6, 7, 8]),
        seq: 4096 + 64 + 1,
        prev: Some(BatchId([8; 32])),
        seen: Seen {
            digest: LedgerId([10; 32]),
            heads: vec![Head { writer: WriterId([2; 8]), seq: 300, batch: BatchId([11; 32]) }],
        },
        time_ms: 1_790_000_000_000,
        actor: Actor { name: "Ann".into(), email: "ann@example.org".into() },
        tool: "clade 0.1.0".into(),
        events: vec![
            first,
            recorded(job),
            Event::ClassSet(by_path),
            Event::ClassSet(by_content),
            Event::ClassRetracted(ClassRetracted {
                events: vec![event_id(BatchId([8; 32]), 0)],
                reason: "mistake".into(),
            }),
            Event::EnvMoved(EnvMoved {
                env: "prod".into(),
                moves: vec![Move { asset: "m.safetensors".into(), from: Some(file("old")), to: model }],
                cause: MoveCause::Promote,
                supersedes: vec![event_id(BatchId([8; 32]), 1)],
                override_reason: Some("agreed".into()),
                findings: vec![Finding {
                    code: "flagged".into(),
                    asset: Some("m.safetensors".into()),
                    detail: Some("review".into()),
                }],
            }),
            Event::Note(Note { text: "hello".into(), about: Some(Version::new("m.safetensors", model)) }),
        ],
    }
}

fn golden_file() -> Vec<u8> {
    let payload = encode_payload(&golden_payload()).expect("encodes");
    encode(&payload, &[b"-----BEGIN SSH SIGNATURE-----".to_vec(), vec![0, 1, 2]]).expect("encodes")
}

/// A batch of a newer program: an unknown kind, and an unknown field in a known one.
fn newer_file() -> Vec<u8> {
    let about = Some(Version::new("m", file("m")));
    let notes = ["a", "b"].map(|t| Event::Note(Note { text: t.into(), about: about.clone() }));
    let payload = Payload { seq: 0, prev: None, events: notes.to_vec(), ..golden_payload() };
    let mut bytes = encode_payload(&payload).expect("encodes");
    let at = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).position(|w| w == word);
    let kind = at(&bytes, b"note").expect("the kind is there");
    bytes[kind..kind + 4].copy_from_slice(b"noto");
    let last = bytes.windows(5).rposition(|w| w == b"about").expect("the field is there");
    bytes[last..last + 5].copy_from_slice(b"above");
    encode(&bytes, &[]).expect("encodes")
}

#[test]
fn golden_bytes_stay() {
    assert!(golden_file() == GOLDEN, "the encoding changed");
    let batch = decode(GOLDEN).expect("decodes");
    assert_eq!(batch.payload, golden_payload());
    assert_eq!(batch.unknown_fields, 0);
    assert_eq!(batch.signatures[1], [0, 1, 2]);
    assert_eq!(batch.id, BatchId::of(GOLDEN));
    assert_eq!(payload_bytes(GOLDEN).expect("splits"), encode_payload(&batch.payload).expect("encodes"));
    assert_eq!(
        batch_path(batch.payload.writer, batch.payload.seq, batch.id),
        format!("w/01/0102030405060708/1/1/1.{}", &batch.id.to_string()[..12])
    );
}

#[test]
fn newer_events_are_kept_and_counted() {
    assert!(newer_file() == NEWER, "the encoding changed");
    let batch = decode(NEWER).expect("decodes");
    assert_eq!(batch.payload.events[0], Event::Unknown { kind: "noto".into() });
    assert!(matches!(&batch.payload.events[1], Event::Note(n) if n.about.is_none()));
    assert_eq!(batch.unknown_fields, 1);
    assert!(matches!(encode_payload(&batch.payload), Err(Error::UnknownKind { index: 0, .. })));
    let json = serde_json::to_string(&batch.payload.events[0]).expect("serialises");
    assert_eq!(json, r#"{"kind":"noto"}"#);
}

#[test]
fn event_ids_are_what_the_format_says() {
    let batch = decode(GOLDEN).expect("decodes");
    let mut bytes = BatchId::of(GOLDEN).0.to_vec();
    bytes.extend([2, 0, 0, 0]);
    assert_eq!(batch.event_id(2).0, *blake3::hash(&bytes).as_bytes());
}

#[test]
fn every_truncation_and_extension_is_refused() {
    for end in 0..GOLDEN.len() {
        assert!(decode(&GOLDEN[..end]).is_err(), "cut at {end}");
    }
    let mut longer = GOLDEN.to_vec();
    longer.push(0);
    assert!(matches!(decode(&longer), Err(Error::Length { .. })));
}

#[test]
fn a_flipped_bit_never_passes_for_the_batch() {
    let original = decode(GOLDEN).expect("decodes");
    let path = batch_path(original.payload.writer, original.payload.seq, original.id);
    check_path(&path, &original).expect("its own path");
    let mut refused = 0;
    for bit in 0..GOLDEN.len() * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        match decode(&bytes) {
            Ok(other) => assert!(check_path(&path, &other).is_err(), "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn hostile_lengths_are_refused() {
    let frame = |payload: &[u8]| encode(payload, &[]).expect("small");
    // {"events": [2^32-1 entries …
    let mut list = vec![0x81, 0xa6];
    list.extend(b"events");
    list.extend([0xdd, 0xff, 0xff, 0xff, 0xff]);
    assert!(matches!(decode(&frame(&list)), Err(Error::Limit { .. })));
    // A text that is longer than the file.
    let text = [0x81, 0xdb, 0x00, 0x0f, 0xff, 0xff, b'x'];
    assert!(matches!(decode(&frame(&text)), Err(Error::Payload { .. })));
    // Lists in lists, without end.
    let mut deep = vec![0x81, 0xa1, b'x'];
    deep.extend(vec![0x91; 100_000]);
    assert!(matches!(decode(&frame(&deep)), Err(Error::Limit { what: "depth", .. })));
    // A payload that claims more bytes than the file has, and an extension type.
    let mut claims = frame(b"\x80");
    claims[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(matches!(decode(&claims), Err(Error::Length { .. })));
    assert!(decode(&frame(&[0x81, 0xa1, b'x', 0xd4, 0, 0])).is_err());
    // Too many signatures.
    let many = vec![vec![]; limits::MAX_BATCH_SIGNATURES + 1];
    assert!(matches!(encode(b"\x80", &many), Err(Error::Limit { .. })));
    let mut bytes = frame(b"\x80");
    *bytes.last_mut().expect("not empty") = 200;
    assert!(matches!(decode(&bytes), Err(Error::Limit { .. })));
    assert!(matches!(decode(b"cladebat\x02\0\0\0\0\0\0\0\0"), Err(Error::Version { version: 2 })));
    assert!(matches!(decode(b"cladebax"), Err(Error::Magic)));
}

#[test]
fn fields_of_known_kinds_must_fit() {
    let mut batch = Writer::new(1).write(5, vec![Event::Note(Note { text: "x".into(), about: None })]);
    let bytes = encode_payload(&batch.payload).expect("encodes");
    let at = bytes.windows(4).rposition(|w| w == b"text").expect("the field is there");
    let mut other = bytes.clone();
    other[at..at + 4].copy_from_slice(b"tixt");
    let file = encode(&other, &[]).expect("small");
    assert!(matches!(decode(&file), Err(Error::Event { index: 0, .. })));
    batch.payload.seq = 1;
    assert!(matches!(encode_payload(&batch.payload), Err(Error::Payload { .. })));
    batch.payload.seq = 0;
    batch.payload.v = 2;
    assert!(matches!(encode_payload(&batch.payload), Err(Error::Version { version: 2 })));
}

#[test]
fn scopes_have_two_forms() {
    let json = |text: &str| serde_json::from_str::<Scope>(text);
    assert_eq!(json(r#"{"asset":"a"}"#).expect("reads"), Scope::asset("a"));
    assert!(json(r#"{"asset":""}"#).is_err());
    assert!(json(r#"{"path":"a"}"#).is_err());
    let id = "00".repeat(32);
    assert!(json(&format!(r#"{{"content":"{id}"}}"#)).is_ok());
    assert!(json(&format!(r#"{{"asset":"a","content":"{id}"}}"#)).is_err());
}

#[test]
fn paths_have_one_spelling() {
    let writer = WriterId([0xab; 8]);
    for seq in [0, 1, 63, 64, 4095, 4096, 1 << 40, u64::MAX] {
        let id = BatchId::of(&seq.to_le_bytes());
        let path = batch_path(writer, seq, id);
        let parsed = parse_path(&path).expect("parses");
        assert_eq!((parsed.writer, parsed.seq), (writer, seq));
        assert_eq!(parsed.prefix, id.0[..6]);
    }
    assert_eq!(batch_path(writer, 4097, BatchId([0; 32])), "w/ab/abababababababab/1/0/1.000000000000");
    for bad in [
        "",
        "w/ab/abababababababab/0/0/1",
        "w/aa/abababababababab/0/0/1.000000000000",
        "w/ab/abababababababab/0/0/01.000000000000",
        "w/ab/abababababababab/0/0/+1.000000000000",
        "w/ab/abababababababab/0/64/1.000000000000",
        "w/ab/abababababababab/0/0/1.00000000000A",
        "w/ab/abababababababab/0/0/1.000000000000/x",
        "w/ab/abababababababab/9999999999999999999/0/1.000000000000",
        "x/ab/abababababababab/0/0/1.000000000000",
    ] {
        assert!(parse_path(bad).is_err(), "{bad}");
    }
}
