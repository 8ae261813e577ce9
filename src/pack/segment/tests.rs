use super::*;
use crate::id::{ChunkId, FileId, PackId, SegmentId};
use crate::pack::{Error, RecordKey, RecordKind};

fn key(n: u32) -> RecordKey {
    RecordKey::chunk(ChunkId::of(&n.to_le_bytes()))
}

fn segment(packs: u8, records: u32) -> Vec<u8> {
    let mut builder = SegmentBuilder::new();
    for pack in 0..packs {
        let first = u32::from(pack) * records;
        builder.add_pack(PackId([pack; 16]), 1000, (first..first + records).map(key)).expect("valid");
    }
    builder.finish(SegmentId([9; 16])).expect("valid")
}

fn find(segment: &Segment<impl AsRef<[u8]>>, key: &RecordKey) -> Vec<Candidate> {
    segment.lookup(key).collect::<Result<_, Error>>().expect("a sound segment")
}

#[test]
fn every_record_is_found_and_few_others() {
    for (packs, records) in [(0, 0), (1, 0), (1, 1), (3, 7), (5, 4000)] {
        let bytes = segment(packs, records);
        let segment = Segment::open(&bytes, Check::Full).expect("valid");
        assert_eq!(segment.pack_count(), u32::from(packs));
        assert_eq!(segment.entry_count(), u64::from(packs) * u64::from(records));
        for pack in 0..packs {
            for ordinal in 0..records {
                let key = key(u32::from(pack) * records + ordinal);
                let wanted = Candidate { pack_id: PackId([pack; 16]), ordinal };
                assert_eq!(find(&segment, &key), [wanted]);
            }
        }
        let absent = (1_000_000..1_020_000).map(key);
        let passed = absent.filter(|key| segment.may_contain(key)).count();
        assert!(passed < 400, "{passed} of 20,000 pass the filter");
        let absent = key(2_000_000);
        assert_eq!(find(&segment, &absent), []);
    }
}

#[test]
fn kinds_and_equal_prefixes_are_told_apart() {
    let mut near = ChunkId::of(b"x");
    near.0[31] ^= 1;
    let chunk = RecordKey::chunk(ChunkId::of(b"x"));
    let recipe = RecordKey::recipe(FileId::of(b"x"));
    let mut builder = SegmentBuilder::new();
    let keys = [chunk, RecordKey::chunk(near), chunk];
    builder.add_pack(PackId([2; 16]), 1, keys).expect("valid");
    builder.add_pack(PackId([1; 16]), 1, [chunk, recipe]).expect("valid");
    let bytes = builder.finish(SegmentId([9; 16])).expect("valid");
    let segment = Segment::open(bytes, Check::Full).expect("valid");
    let at = |pack, ordinal| Candidate { pack_id: PackId([pack; 16]), ordinal };
    assert_eq!(find(&segment, &chunk), [at(1, 0), at(2, 0), at(2, 1), at(2, 2)]);
    assert_eq!(find(&segment, &recipe), [at(1, 1)]);
    assert_eq!(find(&segment, &RecordKey::new(RecordKind::PAGE, chunk.id)), []);

    let mut only = SegmentBuilder::new();
    only.add_pack(PackId([1; 16]), 1, [chunk]).expect("valid");
    let bytes = only.finish(SegmentId([9; 16])).expect("valid");
    let segment = Segment::open(bytes, Check::Full).expect("valid");
    assert!(!segment.may_contain(&recipe), "the filter knows kinds");
}

#[test]
fn the_order_of_packs_leaves_no_trace() {
    let build = |order: &[u8]| {
        let mut builder = SegmentBuilder::new();
        for &pack in order {
            let keys = (0..50).map(|n| key(u32::from(pack) * 50 + n));
            builder.add_pack(PackId([pack; 16]), u64::from(pack), keys).expect("valid");
        }
        builder.finish(SegmentId([9; 16]))
    };
    let bytes = build(&[1, 2, 3]).expect("valid");
    assert_eq!(build(&[3, 1, 2]).expect("valid"), bytes);
    assert!(matches!(build(&[1, 2, 1]), Err(Error::Limit { .. })));
    let packs: Vec<_> = Segment::open(&bytes, Check::Quick)
        .expect("valid")
        .packs()
        .map(|p| (p.pack_id.0[0], p.record_count, p.size_bytes))
        .collect();
    assert_eq!(packs, [(1, 50, 1), (2, 50, 2), (3, 50, 3)]);
}

#[test]
fn golden_bytes() {
    let mut builder = SegmentBuilder::new();
    let mut id = [0u8; 32];
    for (i, byte) in (0u8..).zip(id.iter_mut()) {
        *byte = i;
    }
    let key = RecordKey::new(RecordKind::RECIPE, id);
    builder.add_pack(PackId([5; 16]), 258, [key]).expect("valid");
    let bytes = builder.finish(SegmentId([6; 16])).expect("valid");
    let mut expected = b"cladeseg\x01\0\0\0\0\0\0\0".to_vec();
    expected.extend([6; 16]);
    expected.extend(b"\x01\0\0\0\0\0\0\0");
    for number in [1u64, 96, 128, 136, 152, 0, 0] {
        expected.extend(number.to_le_bytes());
    }
    expected.extend([5; 16]);
    expected.extend(b"\x01\0\0\0\0\0\0\0\x02\x01\0\0\0\0\0\0");
    let first = 0x0f0e_0d0c_0b0a_0908u64.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let step = 0x1716_1514_1312_1110u64 | 1;
    let mut filter = 0u64;
    for i in 0..7 {
        filter |= 1 << (first.wrapping_add(step.wrapping_mul(i)) % 64);
    }
    expected.extend(filter.to_le_bytes());
    expected.extend(b"\x00\x01\x02\x03\x04\x05\x06\x07\0\0\0\0\0\0\0\x01");
    expected.extend(blake3::hash(&expected).as_bytes());
    expected.extend(b"cladeend");
    assert_eq!(bytes, expected);
}

#[test]
fn damage_is_found() {
    let bytes = segment(2, 3);
    for len in 0..bytes.len() {
        assert!(Segment::open(&bytes[..len], Check::Quick).is_err(), "{len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Segment::open(&flipped, Check::Full).is_err(), "bit {bit}");
        // Opened without the digest it may miss, but never panics and never leaves its packs.
        if let Ok(segment) = Segment::open(&flipped, Check::Quick) {
            for key in (0..6).map(key) {
                for candidate in segment.lookup(&key).flatten() {
                    assert!(candidate.ordinal < 3);
                }
            }
        }
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(Segment::open(&longer, Check::Quick).is_err());
}

#[test]
fn rules_hold_under_a_right_digest() {
    let sound = segment(2, 3);
    let refuse = |at: usize, with: &[u8]| {
        let mut bytes = sound[..sound.len() - TRAILER_BYTES].to_vec();
        bytes[at..at + with.len()].copy_from_slice(with);
        let digest = blake3::hash(&bytes);
        bytes.extend(digest.as_bytes());
        bytes.extend(END_MAGIC);
        assert!(Segment::open(&bytes, Check::Full).is_err(), "byte {at}");
    };
    let entries = sound.len() - TRAILER_BYTES - 6 * ENTRY_BYTES;
    refuse(40, &u64::MAX.to_le_bytes());
    refuse(32, &u32::MAX.to_le_bytes());
    refuse(96, &[0xff; 16]);
    refuse(96 + 16, &4u32.to_le_bytes());
    refuse(entries, &[0xff; 8]);
    refuse(entries + 8, &2u32.to_le_bytes());
    refuse(entries + 12, &[3, 0, 0]);
    refuse(entries + 12, &[0xff; 3]);
}

#[test]
fn more_records_than_24_bits_are_refused() {
    let mut builder = SegmentBuilder::new();
    let too_many = std::iter::repeat_n(key(1), 1 << 24);
    let refused = builder.add_pack(PackId([1; 16]), 1, too_many);
    assert!(matches!(refused, Err(Error::Limit { .. })));
    assert_eq!(builder.record_count(), 0);
    builder.add_pack(PackId([1; 16]), 1, [key(1)]).expect("still usable");
    let bytes = builder.finish(SegmentId([9; 16])).expect("valid");
    assert_eq!(find(&Segment::open(bytes, Check::Full).expect("valid"), &key(1)).len(), 1);
}
