//! Round trips, the predictor, and hostile payloads.

use super::*;

/// Portable noise, the same on every machine.
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

/// Numbers as weights have them: narrow exponents, noisy mantissas.
fn weights(len: usize) -> Vec<u8> {
    let raw = noise(5, len);
    let mut out = Vec::new();
    for four in raw.chunks_exact(4) {
        out.extend_from_slice(&[four[0], four[1], four[2], 0x3c | (four[3] & 0x81)]);
    }
    out
}

fn text(len: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for i in 0.. {
        out.extend_from_slice(format!("{{\"row\": {i}, \"city\": \"K\u{f6}ln\"}}\n").as_bytes());
        if out.len() >= len {
            break;
        }
    }
    out.truncate(len);
    out
}

const HINTS: [Hint; 7] = [
    Hint::Plain,
    Hint::Opaque,
    Hint::Float { bytes: 0 },
    Hint::Float { bytes: 1 },
    Hint::Float { bytes: 2 },
    Hint::Float { bytes: 4 },
    Hint::Float { bytes: 8 },
];

#[test]
fn every_hint_gives_the_bytes_back_and_never_more() {
    let sizes = [0, 1, 63, 64, 255, 2047, 2048, 4095, 65_537, 262_144];
    for make in [text, weights, |len| noise(1, len), |len| vec![0; len]] {
        for plain in sizes.map(make) {
            for hint in HINTS {
                let encoded = encode(hint, &plain);
                assert!(encoded.payload.len() <= plain.len());
                let back = decode(encoded.codec, &encoded.payload, plain.len(), None);
                assert_eq!(back.as_ref(), Ok(&plain), "{hint:?}, {} bytes", plain.len());
            }
        }
    }
}

#[test]
fn noise_is_given_up_and_structure_is_not() {
    let plain = noise(9, 256 * 1024);
    for hint in HINTS {
        assert_eq!(predict::level(hint, &plain), None, "{hint:?}");
    }
    let plain = weights(256 * 1024);
    let float = encode(Hint::Float { bytes: 4 }, &plain);
    assert_eq!(float.codec, Codec::Zstd);
    assert_eq!(encode(Hint::Opaque, &plain).codec, Codec::Zstd);
    assert_eq!(encode(Hint::Plain, &text(64 * 1024)).codec, Codec::Zstd);
}

#[test]
fn magic_of_compressed_files_is_believed_only_with_high_entropy() {
    let mut plain = b"\x1f\x8b\x08".to_vec();
    plain.extend(text(64 * 1024));
    assert_eq!(encode(Hint::Plain, &plain).codec, Codec::Zstd);
    // About 7.5 bits a byte: worth a try, but not after a magic.
    let mut dense = noise(3, 64 * 1024);
    dense.iter_mut().for_each(|b| *b = if *b >= 192 { *b - 64 } else { *b });
    assert!(predict::level(Hint::Plain, &dense).is_some());
    dense[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    assert_eq!(predict::level(Hint::Plain, &dense), None);
}

#[test]
fn a_payload_of_another_length_is_refused() {
    let plain = text(10_000);
    let encoded = encode(Hint::Plain, &plain);
    for raw_bytes in [0, 1, 9_999] {
        let got = decode(encoded.codec, &encoded.payload, raw_bytes, None);
        assert!(matches!(got, Err(Error::Damaged { .. })), "{got:?}");
    }
    let got = decode(encoded.codec, &encoded.payload, 10_001, None);
    assert!(matches!(got, Err(Error::WrongLength { actual_bytes: 10_000, .. })));
    let got = decode(Codec::Raw, b"abc", 4, None);
    assert!(matches!(got, Err(Error::WrongLength { actual_bytes: 3, .. })));
    for huge in [limits::MAX_FRAME_RAW_BYTES + 1, usize::MAX] {
        let got = decode(Codec::Zstd, &encoded.payload, huge, None);
        assert!(matches!(got, Err(Error::TooLong { .. })));
    }
}

#[test]
fn bytes_that_no_reader_would_take_stay_raw() {
    let plain = vec![0; limits::MAX_FRAME_RAW_BYTES + 1];
    assert_eq!(encode(Hint::Plain, &plain).codec, Codec::Raw);
    let most = &plain[1..];
    assert_eq!(encode(Hint::Plain, most).codec, Codec::Zstd);
}

#[test]
fn a_base_for_a_codec_without_is_refused() {
    for codec in [Codec::Raw, Codec::Zstd] {
        let got = decode(codec, b"abc", 3, Some(b"base"));
        let base_bytes = 4;
        assert_eq!(got, Err(Error::UnexpectedBase { codec, base_bytes }));
    }
}

#[test]
fn numbers_are_kept_apart() {
    for number in 0..=u8::MAX {
        match Codec::try_from(number) {
            Ok(codec) => assert_eq!(codec.number(), number),
            Err(error) => assert_eq!(error, Error::UnknownCodec { number }),
        }
    }
    assert_eq!((Codec::Raw.number(), Codec::Zstd.number()), (0, 1));
}

#[test]
fn truncations_and_flips_never_panic_nor_pass_for_a_longer_chunk() {
    let plain = text(3_000);
    let payload = encode(Hint::Plain, &plain).payload.into_owned();
    for cut in 0..payload.len() {
        assert!(decode(Codec::Zstd, &payload[..cut], plain.len(), None).is_err());
    }
    for bit in 0..payload.len() * 8 {
        let mut flipped = payload.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(back) = decode(Codec::Zstd, &flipped, plain.len(), None) {
            assert_eq!(back.len(), plain.len());
        }
    }
}

#[test]
fn a_bomb_stops_at_the_announced_length() {
    let payload = zstd::bulk::compress(&vec![0; 64 << 20], 3).expect("zeros compress");
    assert!(payload.len() < 10_000);
    let got = decode(Codec::Zstd, &payload, 100, None);
    assert!(matches!(got, Err(Error::Damaged { .. })));
}

/// A stored frame stays readable. The encoder may change; this must not.
#[test]
fn golden_frame() {
    let frame: [u8; 22] = crate::id::from_hex("28b52ffd20606d000030636c61646520010097a91401").expect("22 bytes of hex");
    let plain = b"clade ".repeat(16);
    assert_eq!(decode(Codec::Zstd, &frame, 96, None), Ok(plain));
}
