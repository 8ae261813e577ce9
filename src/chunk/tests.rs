//! Golden boundaries, an oracle without windows or vectors, and every way of feeding.

use proptest::prelude::*;

use super::zeros::MIN_HOLE_BYTES;
use super::*;
use crate::id::{ChunkId, Digest};
use crate::tensor::tests::build;
use crate::tensor::{Element, Kind, segments};

/// SplitMix64, little-endian: the same noise on every machine.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(len + 8);
    while out.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A stretch of the result: length, and what it is. Adjacent holes are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Chunk(u64, Class),
    Hole(u64),
}

fn add(parts: &mut Vec<Part>, step: Step) {
    match (step, parts.last_mut()) {
        (Step::Hole { len }, Some(Part::Hole(before))) => *before += len,
        (Step::Hole { len }, _) => parts.push(Part::Hole(len)),
        (Step::Chunk { len, class }, _) => parts.push(Part::Chunk(len as u64, class)),
        (Step::NeedMore | Step::End, _) => unreachable!("only steps with a length"),
    }
}

fn whole(bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    chunks(Profile::One, bytes).for_each(|step| add(&mut parts, step));
    parts
}

fn fed(bytes: &[u8], feed: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut chunker, mut have) = (Chunker::new(Profile::One), 0);
    loop {
        let at = chunker.position() as usize;
        let eof = have == bytes.len();
        match chunker.next(&bytes[at..have], eof) {
            Step::NeedMore => {
                assert!(!eof && have - at < WINDOW_BYTES);
                have = (have + feed).min(bytes.len());
            }
            Step::End => return parts,
            step => add(&mut parts, step),
        }
    }
}

/// The documentation of profile 1, word for word and slow.
fn oracle(bytes: &[u8]) -> Vec<Part> {
    let mut parts = Vec::new();
    for segment in segments(bytes) {
        let part = &bytes[segment.start as usize..segment.end as usize];
        match segment.kind {
            Kind::Payload { block_bytes, element } => {
                for block in part.chunks(block_bytes as usize) {
                    let len = block.len();
                    let class = Class::Tensor(element);
                    let hole = block.iter().all(|b| *b == 0);
                    let hole_step = Step::Hole { len: len as u64 };
                    add(&mut parts, if hole { hole_step } else { Step::Chunk { len, class } });
                }
            }
            Kind::Plain => {
                let mut start = 0;
                let mut at = 0;
                while at <= part.len() {
                    let run = part[at..].iter().take_while(|b| **b == 0).count();
                    if run >= MIN_HOLE_BYTES || at == part.len() {
                        scalar(&part[start..at], &mut parts);
                        if run > 0 {
                            add(&mut parts, Step::Hole { len: run as u64 });
                        }
                        start = at + run;
                    }
                    at += run.max(1);
                }
            }
        }
    }
    parts
}

fn scalar(mut bytes: &[u8], parts: &mut Vec<Part>) {
    let class = Class::Plain;
    while !bytes.is_empty() {
        let mut hash = 0u64;
        let mut len = 0;
        for &byte in bytes {
            hash = (hash << 1).wrapping_add(gearhash::DEFAULT_TABLE[usize::from(byte)]);
            len += 1;
            let mask: u64 = if len <= 65_536 { 0xffff_c000_0000_0000 } else { 0xfffc_0000_0000_0000 };
            if len == 262_144 || (len >= 16_384 && hash & mask == 0) {
                break;
            }
        }
        add(parts, Step::Chunk { len, class });
        bytes = &bytes[len..];
    }
}

/// BLAKE3 of lines such as `plain 70123`, `tensor 262144`, `hole 65536`.
fn digest_of(parts: &[Part]) -> String {
    let line = |part: &Part| match part {
        Part::Chunk(len, Class::Plain) => format!("plain {len}\n"),
        Part::Chunk(len, Class::Tensor(_)) => format!("tensor {len}\n"),
        Part::Hole(len) => format!("hole {len}\n"),
    };
    let text: String = parts.iter().map(line).collect();
    Digest::of(text.as_bytes()).to_string()
}

#[test]
fn golden_generator() {
    assert_eq!(
        noise(0, 16),
        [0xaf, 0xcd, 0x1d, 0x7b, 0x39, 0xa8, 0x20, 0xe2, 0xf4, 0x65, 0xb9, 0xa1, 0x6a, 0x9e, 0x78, 0x6e]
    );
}

#[test]
fn golden_table() {
    assert_eq!(table_digest().to_string(), "f60341922f1af687111d59d36d19c4726158eefb2544163b58ff06de0509ec0c");
}

#[test]
fn golden_boundaries() {
    let bytes = noise(1, 4 << 20);
    let parts = whole(&bytes);
    assert_eq!(digest_of(&parts), "bb349b905adcb8c8cb95cfeafe33148fbe074f1e12389d9daf1eccffa4f86205");
    let lengths: Vec<u64> = parts.iter().map(length).take(6).collect();
    assert_eq!(lengths, [92887, 86725, 90166, 68690, 68017, 77728]);
    // The first chunk by its id, so that another implementation can compare without these tests' format.
    let first = ChunkId::of(&bytes[..lengths[0] as usize]);
    assert_eq!(first.to_string(), "cf11d5c968d2798a740455dfadc3cf6bc9fb13aa60b9f5d0c9ddbc854ecc32a3");
}

#[test]
fn golden_layouts() {
    let parts = whole(&mixed());
    assert_eq!(digest_of(&parts), "4da577ee67c84f261c1150c1dcbf62ed7164a1630ad44d3e9a9136281a02a63f");
}

fn length(part: &Part) -> u64 {
    match *part {
        Part::Chunk(len, _) | Part::Hole(len) => len,
    }
}

/// A PyTorch file with zeros, descriptors, text and noise: every rule at once.
fn mixed() -> Vec<u8> {
    let mut data = noise(2, 600_000);
    data[262_144..524_288].fill(0);
    let mut out = Vec::new();
    build::member(&mut out, "m/data.pkl", 0, build::Sizes::Follow32, &noise(3, 90_000));
    build::member(&mut out, "m/data/0", 0, build::Sizes::Follow32, &data);
    build::member(&mut out, "m/data/1", 0, build::Sizes::Follow64, &vec![0; 70_000]);
    let array = build::npy("<f4", "100, 1000", &noise(4, 400_000));
    build::member(&mut out, "m/x.npy", 0, build::Sizes::InHeader, &array);
    let mut plain = noise(5, 700_000);
    plain[100_000..250_000].fill(0);
    plain[400_000..465_535].fill(0);
    build::member(&mut out, "m/notes", 0, build::Sizes::InZip64, &plain);
    build::end_of_zip(&mut out);
    out.extend_from_slice(&vec![0; 400_000]);
    out
}

#[test]
fn every_feeding_gives_the_same_boundaries() {
    let bytes = mixed();
    let expected = oracle(&bytes);
    assert_eq!(whole(&bytes), expected);
    for feed in [1, 37, 255, 99_991, WINDOW_BYTES] {
        assert_eq!(fed(&bytes, feed), expected, "fed by {feed}");
    }
    assert!(expected.iter().any(|p| matches!(p, Part::Hole(262_144))));
    assert!(expected.iter().any(|p| matches!(p, Part::Hole(150_000))));
    assert!(!expected.iter().any(|p| matches!(p, Part::Hole(65_535))));
}

#[test]
fn payloads_are_cut_from_their_own_start() {
    let float = Class::Tensor(Element::Float { bytes: 4 });
    let data = noise(6, 300_000);
    for shift in [0, 1, 900] {
        let json =
            format!(r#"{{"w":{{"dtype":"F32","shape":[75000],"data_offsets":[0,300000]}}}}{}"#, " ".repeat(shift));
        let parts = whole(&build::safetensors(&json, &data));
        let header = 8 + json.len() as u64;
        assert_eq!(
            parts,
            [Part::Chunk(header, Class::Plain), Part::Chunk(262_144, float), Part::Chunk(300_000 - 262_144, float),]
        );
    }
}

#[test]
fn lengths_around_the_limits() {
    let (min, max) = (16 * 1024, 256 * 1024);
    for len in [0, 1, min - 1, min, min + 1, max - 1, max, max + 1, WINDOW_BYTES, WINDOW_BYTES + 1] {
        let bytes = noise(7, len);
        let parts = whole(&bytes);
        assert_eq!(parts.iter().map(length).sum::<u64>(), len as u64);
        assert_eq!(parts, oracle(&bytes), "{len} bytes");
        // The same byte again and again never matches a mask: the maximum decides.
        let parts = whole(&vec![1; len]);
        assert!(parts.iter().all(|p| length(p) == max as u64) || len % max != 0);
        for zeros in [whole(&vec![0; len]), fed(&vec![0; len], 1000)] {
            let is_hole = matches!(zeros[..], [Part::Hole(_)]);
            assert_eq!(is_hole, len >= 64 * 1024, "{len} zeros");
        }
    }
}

#[test]
fn a_sparse_file_costs_no_chunks() {
    let window = vec![0; WINDOW_BYTES];
    let mut chunker = Chunker::new(Profile::One);
    while chunker.position() < 8 << 30 {
        assert!(matches!(chunker.next(&window, false), Step::Hole { len } if len > 200_000));
    }
    // The run goes on, however short the rest.
    assert_eq!(chunker.next(&[0; 3], true), Step::Hole { len: 3 });
    assert_eq!(chunker.next(&[], true), Step::End);
}

#[test]
fn an_inserted_byte_moves_few_boundaries() {
    let bytes = noise(8, 8 << 20);
    let ids = |bytes: &[u8]| {
        let mut at = 0;
        let mut out = std::collections::BTreeSet::new();
        for part in whole(bytes) {
            let end = at + length(&part) as usize;
            out.insert(ChunkId::of(&bytes[at..end]));
            at = end;
        }
        out
    };
    let before = ids(&bytes);
    let mut changed: Vec<usize> = (0..15)
        .map(|i| {
            let mut edited = bytes.clone();
            edited.insert(100_000 + i * 523_456, 42);
            ids(&edited).difference(&before).count()
        })
        .collect();
    changed.sort_unstable();
    assert!(changed[7] <= 3, "{changed:?}");
    assert!(changed[14] <= 12, "{changed:?}");
}

#[test]
fn profiles_have_numbers() {
    assert_eq!(Profile::try_from(1), Ok(Profile::One));
    assert_eq!(Profile::One.number(), 1);
    for number in [0, 2, 255] {
        assert_eq!(Profile::try_from(number), Err(UnknownProfile { number }));
    }
}

/// A piece of a generated file.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let edges = [1, 16_383, 16_384, 65_535, 65_536, 65_537, 131_072, 262_144, 327_680];
    let len = prop_oneof![1usize..200_000, proptest::sample::select(edges.to_vec())];
    prop_oneof![
        (any::<u64>(), len.clone()).prop_map(|(seed, len)| noise(seed, len)),
        len.clone().prop_map(|len| vec![0; len]),
        len.prop_map(|len| b"id,name\n".iter().copied().cycle().take(len).collect()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_any_layout_agree_with_the_oracle(
        pieces in proptest::collection::vec(piece(), 0..6),
        feed in 1000usize..400_000,
        layout in 0..5,
    ) {
        let bytes = pieces.concat();
        let mut file = Vec::new();
        match layout {
            0 => file = bytes,
            1 => file = build::npy("|u1", &bytes.len().saturating_sub(70_000).to_string(), &bytes),
            2 => {
                build::member(&mut file, "m/data/0", 0, build::Sizes::Follow32, &bytes);
                file.extend_from_slice(&bytes);
            }
            3 => {
                let end = bytes.len() + 1000;
                let json = format!(r#"{{"w":{{"dtype":"U8","shape":[{end}],"data_offsets":[0,{end}]}}}}"#);
                file = build::safetensors(&json, &bytes);
            }
            _ => {
                build::member(&mut file, "a/readme", 0, build::Sizes::Follow64, &bytes);
                build::member(&mut file, "a/constants/3", 0, build::Sizes::InHeader, &bytes);
                build::end_of_zip(&mut file);
            }
        }
        let expected = oracle(&file);
        prop_assert_eq!(&whole(&file), &expected);
        prop_assert_eq!(&fed(&file, feed), &expected);
    }
}
