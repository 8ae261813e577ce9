use super::*;
use crate::limits::{FRAME_TARGET_BYTES, MAX_CHUNK_BYTES, MAX_FRAME_RAW_BYTES};

const RAW: u8 = 0;

fn spec(plains: &[(RecordKind, &[u8])]) -> (FrameSpec, Vec<u8>) {
    let mut spec = FrameSpec::new(RAW);
    let mut payload = Vec::new();
    for (kind, plain) in plains {
        let id = if kind.id_is_digest() { Digest::of(plain).0 } else { [kind.0; 32] };
        spec.push(RecordKey::new(*kind, id), plain);
        payload.extend_from_slice(plain);
    }
    (spec, payload)
}

/// A pack with a frame of three kinds, a frame with bases, and a frame of a kind that nobody knows.
fn small_pack() -> (Vec<u8>, Finished) {
    let mut writer = Writer::new(Vec::new(), PackId([7; 16])).expect("memory");
    let (first, payload) = spec(&[
        (RecordKind::DATA, b"chunk one"),
        (RecordKind::RECIPE, b"not really a recipe"),
        (RecordKind::PAGE, b"page"),
    ]);
    writer.append(first, &payload).expect("valid");
    let (mut second, payload) = spec(&[(RecordKind::DATA, b"chunk two")]);
    second.depth = 2;
    second.bases = vec![ChunkId::of(b"x"), ChunkId::of(b"y")];
    writer.append(second, &payload).expect("valid");
    let (third, payload) = spec(&[(RecordKind(99), b"from the future")]);
    writer.append(third, &payload).expect("valid");
    assert_eq!(writer.record_count(), 5);
    let expected = writer.finished_bytes();
    let (bytes, finished) = writer.finish().expect("memory");
    assert_eq!(bytes.len() as u64, finished.size_bytes);
    assert_eq!(expected, finished.size_bytes);
    assert_eq!(Digest::of(&bytes), finished.digest);
    (bytes, finished)
}

/// Reads a pack as a careful reader does: footer, then every frame, then every record.
fn read_all(pack: &[u8]) -> Result<Vec<(RecordKey, Vec<u8>)>> {
    let mut records = Vec::new();
    for frame in read_footer(pack)?.frames() {
        let plain = read_frame(pack, frame)?;
        verify_frame(frame, &plain)?;
        for record in &frame.records {
            records.push((record.key, plain[record.range()].to_vec()));
        }
    }
    Ok(records)
}

#[test]
fn round_trip() {
    let (bytes, finished) = small_pack();
    let footer = read_footer(&bytes).expect("valid");
    assert_eq!(footer, finished.footer);
    assert_eq!(footer.pack_id(), PackId([7; 16]));
    assert_eq!(footer.record_count(), 5);
    let by_ordinal: Vec<_> = (0..5).map(|i| footer.record(i).expect("in it")).collect();
    assert!(footer.records().eq(by_ordinal));
    assert_eq!(footer.record(5), None);
    let records = read_all(&bytes).expect("valid");
    assert_eq!(records[0].0, RecordKey::chunk(ChunkId::of(b"chunk one")));
    assert_eq!(records[1].1, b"not really a recipe");
    assert_eq!(records[4].0.kind, RecordKind(99));
    for frame in footer.frames() {
        let header = &bytes[frame.offset as usize..];
        assert_eq!(read_frame_header(frame.offset, header).expect("valid"), *frame);
        let mut copy = Writer::new(Vec::new(), PackId([8; 16])).expect("memory");
        let payload = read_frame(&bytes, frame).expect("valid");
        let copied = copy.append(frame.to_spec(), &payload).expect("carried");
        assert_eq!(copied.records, frame.records);
    }
}

#[test]
fn golden_header_and_frame() {
    let (bytes, _) = small_pack();
    assert_eq!(
        bytes[..48],
        *b"cladepak\x01\0\0\0\0\0\0\0\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
    );
    let mut header = b"cfrm".to_vec();
    header.extend(204u32.to_le_bytes()); // 24 + 3 * 44 + 32 + 16
    header.extend([0, 0, 0, 0]);
    header.extend(3u32.to_le_bytes());
    header.extend(32u32.to_le_bytes());
    header.extend(32u32.to_le_bytes());
    header.extend(b"\0\0\0\0\0\0\0\0\x09\0\0\0");
    header.extend(Digest::of(b"chunk one").0);
    header.extend(b"\x01\x01\0\0\x09\0\0\0\x13\0\0\0");
    header.extend([1; 32]);
    header.extend(Digest::of(b"not really a recipe").0);
    header.extend(b"\x02\0\0\0\x1c\0\0\0\x04\0\0\0");
    header.extend(Digest::of(b"page").0);
    header.extend(&blake3::hash(&header).as_bytes()[..16]);
    assert_eq!(bytes[48..48 + 204], header);
    assert_eq!(bytes[252..284], *b"chunk onenot really a recipepage");
}

#[test]
fn every_flipped_bit_is_found() {
    let (bytes, _) = small_pack();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(read_all(&flipped).is_err(), "bit {bit}");
        // And a scan never panics, and never calls a damaged frame header whole.
        if let Ok(found) = scan(&flipped) {
            let whole = read_footer(&bytes).expect("valid");
            for frame in &found.frames {
                assert!(whole.frames().contains(frame), "bit {bit}");
            }
        }
    }
}

#[test]
fn every_truncation_is_found_and_whole_frames_survive() {
    let (bytes, finished) = small_pack();
    let frames = finished.footer.frames();
    for len in 0..bytes.len() {
        let cut = &bytes[..len];
        assert!(read_footer(cut).is_err(), "{len} bytes");
        let found = scan(cut).expect("memory");
        assert!(!found.finished, "{len} bytes");
        let whole = frames.iter().take_while(|f| f.end() <= len as u64).count();
        assert_eq!(found.frames, frames[..whole], "{len} bytes");
        let end = whole.checked_sub(1).map_or(48, |last| frames[last].end());
        if len >= 48 {
            assert_eq!(found.valid_len, end, "{len} bytes");
            assert_eq!(found.torn, end != len as u64, "{len} bytes");
        } else {
            assert!(found.torn && found.valid_len == 0);
        }
    }
    let found = scan(&bytes).expect("memory");
    assert!(found.finished && !found.torn);
    assert_eq!(found.frames, frames);
}

#[test]
fn damage_in_the_middle_costs_only_its_frame() {
    let (bytes, finished) = small_pack();
    let frames = finished.footer.frames();
    // Without the footer the frames are found one by one; a hole in the first header hides the first only.
    let mut cut = bytes[..finished.footer.offset() as usize].to_vec();
    cut[60..80].fill(0xee);
    let found = scan(&cut).expect("memory");
    assert_eq!(found.frames, frames[1..]);
    assert_eq!((found.valid_len, found.torn), (48, true));
    // The same with the pack's own header gone.
    cut[..48].fill(0);
    let found = scan(&cut).expect("memory");
    assert_eq!((found.pack_id, found.valid_len), (None, 0));
    assert_eq!(found.frames, frames[1..]);
}

#[test]
fn search_finds_a_frame_across_windows() {
    let (frame, payload) = spec(&[(RecordKind::DATA, b"needle")]);
    let mut writer = Writer::new(Vec::new(), PackId([1; 16])).expect("memory");
    writer.append(frame, &payload).expect("valid");
    let whole = writer.get_mut()[48..].to_vec();
    for junk in [0, 1, (1 << 20) - 5, (1 << 20) - 2, (1 << 20) - 1, 1 << 20, 3 << 20] {
        let mut pack = writer.get_mut()[..48].to_vec();
        pack.resize(48 + junk, b'c');
        pack.extend(&whole);
        let found = scan(&pack).expect("memory");
        assert_eq!(found.frames.len(), 1, "{junk}");
        assert_eq!(found.frames[0].offset, 48 + junk as u64);
    }
}

#[test]
fn a_session_pack_is_continued_after_a_crash() {
    let (bytes, finished) = small_pack();
    let end = finished.footer.frames()[1].end() as usize;
    let torn = &bytes[..end + 30];
    assert!(matches!(
        Writer::resume(Vec::new(), torn),
        Err(Error::Torn { valid_bytes, .. }) if valid_bytes == end as u64
    ));
    assert!(matches!(Writer::resume(Vec::new(), &bytes), Err(Error::Limit { .. })));
    let kept = &bytes[..end];
    let mut writer = Writer::resume(kept.to_vec(), kept).expect("whole frames");
    let (third, payload) = spec(&[(RecordKind(99), b"from the future")]);
    writer.append(third, &payload).expect("valid");
    let (resumed, again) = writer.finish().expect("memory");
    assert_eq!(resumed, bytes);
    assert_eq!(again, finished);
    let fresh = Writer::resume(bytes[..48].to_vec(), &bytes[..48]).expect("only a header");
    assert_eq!(fresh.pack_id(), PackId([7; 16]));
}

#[test]
fn a_failed_write_ends_the_writer() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let (frame, payload) = spec(&[(RecordKind::DATA, b"chunk")]);
    let mut writer = Writer::new(Full(48 + 84 + 2), PackId([1; 16])).expect("room for a header");
    assert!(matches!(writer.append(frame.clone(), &payload), Err(Error::Io { .. })));
    assert_eq!((writer.len_bytes(), writer.frames().len()), (48, 0));
    assert!(matches!(writer.append(frame, &payload), Err(Error::Poisoned { .. })));
}

#[test]
fn limits_hold_when_writing() {
    let mut writer = Writer::new(Vec::new(), PackId([1; 16])).expect("memory");
    let refuse = |writer: &mut Writer<Vec<u8>>, spec: FrameSpec, payload: &[u8]| {
        let before = writer.len_bytes();
        assert!(matches!(writer.append(spec, payload), Err(Error::Limit { .. })));
        assert_eq!(writer.len_bytes(), before);
    };
    let (data, payload) = spec(&[(RecordKind::DATA, b"chunk")]);
    refuse(&mut writer, FrameSpec::new(RAW), b"");
    refuse(&mut writer, FrameSpec::new(RAW), b"x");
    refuse(&mut writer, data.clone(), b"");
    refuse(&mut writer, data.clone(), b"longer than raw");
    let mut deep = data.clone();
    deep.depth = 1;
    refuse(&mut writer, deep, &payload);
    let mut flat = data.clone();
    flat.bases = vec![ChunkId::of(b"x")];
    refuse(&mut writer, flat.clone(), &payload);
    flat.depth = 1;
    flat.bases = vec![ChunkId::of(b"x"); 65];
    refuse(&mut writer, flat, &payload);
    refuse(&mut writer, spec(&[(RecordKind::DATA, b"")]).0, b"x");
    let big = vec![0; MAX_CHUNK_BYTES + 1];
    refuse(&mut writer, spec(&[(RecordKind::DATA, &big)]).0, b"x");
    let big = vec![0; MAX_FRAME_RAW_BYTES + 1];
    refuse(&mut writer, spec(&[(RecordKind::PAGE, &big)]).0, b"x");
    let half = vec![0; FRAME_TARGET_BYTES / 2 + 1];
    let two: [(RecordKind, &[u8]); 2] = [(RecordKind::PAGE, &half), (RecordKind::PAGE, &half)];
    refuse(&mut writer, spec(&two).0, b"x");
    let tiny: Vec<(RecordKind, &[u8])> = vec![(RecordKind::PAGE, b"x"); 4097];
    refuse(&mut writer, spec(&tiny).0, b"x");
    let (mut kind, payload) = spec(&[(RecordKind::RECIPE, b"r")]);
    kind = FrameSpec::with_records(RAW, 0, vec![], vec![RecordMeta { digest: None, ..kind.records()[0] }]);
    refuse(&mut writer, kind, &payload);
    assert!(matches!(writer.finish(), Err(Error::Limit { .. })));

    let big = vec![0; MAX_FRAME_RAW_BYTES];
    let mut writer = Writer::new(Vec::new(), PackId([1; 16])).expect("memory");
    let (page, payload) = spec(&[(RecordKind::PAGE, &big)]);
    writer.append(page, &payload).expect("the largest record");
}

#[test]
fn hostile_footers_do_not_allocate() {
    let (bytes, finished) = small_pack();
    let at = finished.footer.offset() as usize;
    // Counts and lengths of 2^32 - 1, under a digest that holds.
    for field in [40, 44, 48 + 8, 48 + 8 + 8, 48 + 8 + 12, 48 + 8 + 16] {
        let mut footer = bytes[at..bytes.len() - TAIL_BYTES].to_vec();
        footer[field..field + 4].fill(0xff);
        let tail = Tail { footer_len: footer.len() as u64, footer_digest: Digest::of(&footer) };
        assert!(Footer::decode(&footer, &tail, bytes.len() as u64).is_err());
    }
    let mut tail = [0u8; TAIL_BYTES];
    tail.copy_from_slice(&bytes[bytes.len() - TAIL_BYTES..]);
    for len in [0, 47, bytes.len() as u64, u64::MAX, u64::MAX - 47] {
        tail[..8].copy_from_slice(&len.to_le_bytes());
        assert!(Tail::decode(&tail, bytes.len() as u64).is_err(), "{len}");
    }
    assert!(Tail::decode(&tail, 0).is_err());
}

#[test]
fn encrypted_and_newer_packs_are_named() {
    let (bytes, _) = small_pack();
    let mut sealed = bytes.clone();
    sealed[32] = 9;
    assert!(matches!(read_footer(&sealed), Err(Error::Encrypted { .. })));
    let mut newer = bytes[..60].to_vec();
    newer[8] = 2;
    assert!(matches!(read_footer(&newer), Err(Error::Version { version: 2, .. })));
    assert!(matches!(scan(&newer), Err(Error::Version { .. })));
    assert!(matches!(read_footer(&b"PK"[..]), Err(Error::Magic { .. })));
}

#[test]
fn wrong_plain_bytes_are_named() {
    let (bytes, finished) = small_pack();
    let frame = &finished.footer.frames()[0];
    let mut plain = read_frame(&bytes, frame).expect("valid");
    plain[10] ^= 1;
    assert!(matches!(
        verify_frame(frame, &plain),
        Err(Error::RecordDigest { key, .. }) if key.kind == RecordKind::RECIPE
    ));
    plain.pop();
    assert!(matches!(verify_frame(frame, &plain), Err(Error::FrameLength { .. })));
    let other = &finished.footer.frames()[1];
    let range = other.offset as usize..other.end() as usize;
    assert!(split_frame(frame, &bytes[range]).is_err());
}

#[test]
fn small_records_share_frames() {
    let key = |plain: &[u8]| RecordKey::chunk(ChunkId::of(plain));
    let mut grouper = FrameGrouper::new(FramePolicy::small_records());
    let small = vec![1u8; 10_000];
    let large = vec![2u8; 16 * 1024];
    let mut frames = Vec::new();
    for i in 0..40u8 {
        let mut plain = small.clone();
        plain[0] = i;
        frames.extend(grouper.push(key(&plain), &plain).map(|f| (f.plain.into_owned(), f.records)));
        if i == 5 {
            let alone = grouper.push(key(&large), &large).expect("at once");
            assert_eq!((alone.records.len(), alone.plain.len()), (1, large.len()));
        }
    }
    frames.extend(grouper.flush().map(|f| (f.plain.into_owned(), f.records)));
    let counts: Vec<_> = frames.iter().map(|(_, records)| records.len()).collect();
    assert_eq!(counts, [13, 13, 13, 1]);
    let mut writer = Writer::new(Vec::new(), PackId([1; 16])).expect("memory");
    for (plain, records) in frames {
        let spec = FrameSpec::with_records(RAW, 0, vec![], records);
        let meta = writer.append(spec, &plain).expect("within limits");
        verify_frame(meta, &plain).expect("right");
    }
    assert!(grouper.flush().is_none());

    let mut tiny = FrameGrouper::new(FramePolicy::small_records());
    let full = (0..5000u32).find_map(|i| tiny.push(key(&i.to_le_bytes()), b"x"));
    assert_eq!(full.expect("a full group").records.len(), 4096);
    let mut runs = FrameGrouper::new(FramePolicy::gap_runs());
    let chunk = vec![3u8; 100_000];
    assert!(runs.push(key(&chunk), &chunk).is_none());
    assert!(runs.push(key(&chunk), &chunk).is_none());
    let group = runs.push(key(&chunk), &chunk).expect("no more room");
    assert_eq!((group.records.len(), runs.open_bytes()), (2, 100_000));
}
