//! Layouts as their writers make them, hostile ones, and every way of feeding them.

use super::safetensors::payloads;
use super::*;

/// Files of each layout, built by hand; the chunk room's tests use them too.
pub(crate) mod build {
    /// A safetensors file; offsets are those given, the data is `data`.
    pub(crate) fn safetensors(json: &str, data: &[u8]) -> Vec<u8> {
        let mut out = (json.len() as u64).to_le_bytes().to_vec();
        out.extend_from_slice(json.as_bytes());
        out.extend_from_slice(data);
        out
    }

    pub(crate) fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend_from_slice(&u16::try_from(text.len()).expect("short").to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(data);
        out
    }

    /// How a zip member says how long it is.
    #[derive(Clone, Copy)]
    pub(crate) enum Sizes {
        InHeader,
        InZip64,
        /// Bit 3, and a descriptor of 16 bytes after the data.
        Follow32,
        /// Bit 3, and a descriptor of 24 bytes after the data.
        Follow64,
    }

    pub(crate) fn member(out: &mut Vec<u8>, name: &str, method: u16, sizes: Sizes, data: &[u8]) {
        let length = data.len() as u64;
        let short = u32::try_from(length).expect("short");
        let follow = matches!(sizes, Sizes::Follow32 | Sizes::Follow64);
        let mut extra = Vec::new();
        if let Sizes::InZip64 = sizes {
            extra.extend_from_slice(&[0x99, 0x99, 2, 0, 7, 7, 1, 0, 16, 0]);
            extra.extend_from_slice(&length.to_le_bytes());
            extra.extend_from_slice(&length.to_le_bytes());
        }
        let in_header = match sizes {
            Sizes::InHeader => short,
            Sizes::InZip64 => u32::MAX,
            Sizes::Follow32 | Sizes::Follow64 => 0,
        };
        out.extend_from_slice(b"PK\x03\x04\x14\x00");
        out.extend_from_slice(&(if follow { 0x0808u16 } else { 0x0800 }).to_le_bytes());
        out.extend_from_slice(&method.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&in_header.to_le_bytes());
        out.extend_from_slice(&in_header.to_le_bytes());
        out.extend_from_slice(&(name.len() as u16).to_le_bytes());
        out.extend_from_slice(&(extra.len() as u16).to_le_bytes());
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(&extra);
        out.extend_from_slice(data);
        match sizes {
            Sizes::Follow32 => {
                out.extend_from_slice(b"PK\x07\x08crc!");
                out.extend_from_slice(&short.to_le_bytes());
                out.extend_from_slice(&short.to_le_bytes());
            }
            Sizes::Follow64 => {
                out.extend_from_slice(b"PK\x07\x08crc!");
                out.extend_from_slice(&length.to_le_bytes());
                out.extend_from_slice(&length.to_le_bytes());
            }
            Sizes::InHeader | Sizes::InZip64 => {}
        }
    }

    pub(crate) fn end_of_zip(out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x01\x02 a directory nobody reads PK\x05\x06");
    }

    pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }

    /// Name, dimensions, type, offset.
    pub(crate) type GgufTensor<'a> = (&'a str, &'a [u64], u32, u64);

    /// A GGUF file with an alignment of 64, a token list, and the tensors given: name, dimensions, type,
    /// offset.
    pub(crate) fn gguf(tensors: &[GgufTensor<'_>], data: &[u8]) -> Vec<u8> {
        let mut out = b"GGUF\x03\0\0\0".to_vec();
        out.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
        out.extend_from_slice(&3u64.to_le_bytes());
        string(&mut out, "general.alignment");
        out.extend_from_slice(&4u32.to_le_bytes());
        out.extend_from_slice(&64u32.to_le_bytes());
        string(&mut out, "tokens");
        out.extend_from_slice(&9u32.to_le_bytes());
        out.extend_from_slice(&8u32.to_le_bytes());
        out.extend_from_slice(&3u64.to_le_bytes());
        for token in ["a", "", "clade"] {
            string(&mut out, token);
        }
        string(&mut out, "scores");
        out.extend_from_slice(&9u32.to_le_bytes());
        out.extend_from_slice(&6u32.to_le_bytes());
        out.extend_from_slice(&2u64.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        for (name, shape, number, offset) in tensors {
            string(&mut out, name);
            out.extend_from_slice(&(shape.len() as u32).to_le_bytes());
            for d in *shape {
                out.extend_from_slice(&d.to_le_bytes());
            }
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
        out.resize(out.len().next_multiple_of(64), 0);
        out.extend_from_slice(data);
        out
    }
}

use build::Sizes;

/// (start, end, block) of the payloads of a whole file.
fn found(bytes: &[u8]) -> Vec<(u64, u64, u32)> {
    let segments = segments(bytes);
    let ends: Vec<u64> = segments.iter().map(|s| s.end).collect();
    let mut at = 0;
    for segment in &segments {
        assert_eq!(segment.start, at);
        assert!(segment.end > at);
        at = segment.end;
    }
    assert_eq!(at, bytes.len() as u64, "{ends:?}");
    let payload = |s: &Segment| match s.kind {
        Kind::Plain => None,
        Kind::Payload { block_bytes, .. } => Some((s.start, s.end, block_bytes)),
    };
    segments.iter().filter_map(payload).collect()
}

/// The segments as a reader sees them that shows the bytes in steps and asks at once.
fn fed(bytes: &[u8], step: usize) -> Vec<Segment> {
    let total = bytes.len() as u64;
    let mut scanner = Scanner::new();
    let (mut have, mut at, mut out) = (0usize, 0u64, Vec::<Segment>::new());
    let mut goes_on = false;
    loop {
        have = (have + step).min(bytes.len());
        let eof = have == bytes.len();
        let from = usize::try_from(scanner.position()).unwrap_or(usize::MAX);
        if let Some(window) = bytes[..have].get(from..) {
            scanner.scan(window, eof);
        }
        loop {
            let view = scanner.view(at);
            let end = view.end.min(have as u64);
            if end <= at {
                break;
            }
            match out.last_mut() {
                // The end of a storage without sizes may turn up right where the view ended.
                Some(last) if goes_on && last.kind == view.kind => last.end = end,
                _ => out.push(Segment { start: at, end, kind: view.kind }),
            }
            goes_on = !(view.is_cut && end == view.end);
            at = end;
        }
        if eof {
            assert_eq!(at, total);
            return out;
        }
    }
}

const TWO: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2,3],"data_offsets":[4,28]},"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}"#;

/// One valid file of each kind, with all that the walkers know.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut torch = Vec::new();
    build::member(&mut torch, "m/data.pkl", 0, Sizes::Follow32, b"pickle PK\x07\x08 pickle, pickle");
    build::member(&mut torch, "m/data/0", 0, Sizes::Follow32, &[1; 300]);
    build::member(&mut torch, "m/data/17", 0, Sizes::Follow64, &[2; 200]);
    build::member(&mut torch, "m/code.py", 8, Sizes::Follow32, &[3; 100]);
    build::member(&mut torch, "m/constants/1", 0, Sizes::InHeader, &[4; 50]);
    build::end_of_zip(&mut torch);
    let mut npz = Vec::new();
    let array = build::npy("<i8", "2, 2", &[5; 32]);
    build::member(&mut npz, "x.npy", 0, Sizes::InZip64, &array);
    build::member(&mut npz, "y.npy", 0, Sizes::Follow32, &array);
    build::member(&mut npz, "z.npy", 8, Sizes::InHeader, &array);
    build::end_of_zip(&mut npz);
    vec![
        ("text", b"only text, of which there is not much".to_vec()),
        ("empty", Vec::new()),
        ("safetensors", build::safetensors(TWO, &[1; 30])),
        ("npy", build::npy("<f4", "3, 5,", &[2; 70])),
        ("gguf", build::gguf(&[("t", &[32, 2], 2, 0), ("u", &[3], 0, 64), ("new", &[3], 999, 128)], &[3; 200])),
        ("torch", torch),
        ("npz", npz),
    ]
}

#[test]
fn safetensors_payloads() {
    let file = build::safetensors(TWO, &[1; 30]);
    let data = 8 + TWO.len() as u64;
    assert_eq!(found(&file), [(data, data + 4, 262_144), (data + 4, data + 28, 262_144)]);
    // Cut short, the payload ends with the file.
    assert_eq!(found(&file[..file.len() - 10])[1].1, file.len() as u64 - 10);
    assert_eq!(found(&file[..file.len() - 28]).len(), 1);
}

#[test]
fn doubtful_safetensors_are_plain() {
    let one = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"a":{{"dtype":"{dtype}","shape":[{shape}],"data_offsets":[{offsets}]}}}}"#)
    };
    let overlap =
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#;
    let twice =
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}"#;
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let max = u64::MAX;
    for json in [
        one("F32", "2", "0,7"),
        one("F32", "2", "8,0"),
        one("F32", &format!("{max},{max}"), "0,8"),
        one("U8", &max.to_string(), &format!("0,{max}")),
        one("U8", "4", "0,-4"),
        one("F6_E2M3", "3", "0,3"),
        overlap.to_owned(),
        twice.to_owned(),
        deep,
        "{".to_owned(),
        "{]".to_owned(),
        "{}".to_owned(),
    ] {
        assert_eq!(found(&build::safetensors(&json, &[7; 40])), [], "{:.80}", json);
    }
    assert_eq!(found(&build::safetensors(&one("F32", "2", "0,8"), &[7; 40])).len(), 1);
    // A type from the future still says where its bytes are.
    assert_eq!(found(&build::safetensors(&one("F3", "2", "1,8"), &[7; 40])).len(), 1);
    let mut long = build::safetensors(TWO, &[0; 30]);
    long[..8].copy_from_slice(&(limits::MAX_TENSOR_HEADER_BYTES as u64 + 1).to_le_bytes());
    assert_eq!(found(&long), []);
}

#[test]
fn gaps_are_plain_and_blocks_are_whole_units() {
    let json = r#"{"a":{"dtype":"F6_E2M3","shape":[8],"data_offsets":[2,8]},"b":{"dtype":"I64","shape":[],"data_offsets":[10,18]}}"#;
    let blocks: Vec<u32> = payloads(json.as_bytes()).expect("valid").iter().map(|p| p.block_bytes).collect();
    assert_eq!(blocks, [262_143, 262_144]);
    let kinds: Vec<bool> =
        segments(&build::safetensors(json, &[1; 20])).iter().map(|s| s.kind == Kind::Plain).collect();
    assert_eq!(kinds, [true, false, true, false, true]);
    assert_eq!(block_bytes(144), 262_080);
    assert_eq!(block_bytes(0), 262_144);
    assert_eq!(block_bytes(262_145), 262_144);
}

#[test]
fn gguf_payloads() {
    let file = build::gguf(&[("t", &[32, 2], 2, 0), ("u", &[3], 0, 64), ("new", &[3], 999, 128)], &[3; 200]);
    let data = file.len() as u64 - 200;
    assert_eq!(found(&file), [(data, data + 36, 18 * (262_144 / 18)), (data + 64, data + 76, 262_144)]);
}

#[test]
fn doubtful_gguf_is_plain() {
    let max = u64::MAX;
    let cases: [&[build::GgufTensor<'_>]; 6] = [
        &[("a", &[32], 0, 0), ("b", &[32], 0, 64)],
        &[("a", &[4], 0, 32)],
        &[("a", &[31], 2, 0)],
        &[("a", &[max, max], 0, 0)],
        &[("a", &[4], 0, max - 63)],
        &[("a", &[1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 0)],
    ];
    for tensors in cases {
        assert_eq!(found(&build::gguf(tensors, &[1; 256])), [], "{tensors:?}");
    }
    let good = build::gguf(&[("a", &[4], 0, 0)], &[1; 256]);
    assert_eq!(found(&good).len(), 1);
    for (at, value) in [(4, 1), (4, 4), (8, max), (16, max), (24, max)] {
        let mut file = good.clone();
        file[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        assert_eq!(found(&file), [], "{value} at {at}");
    }
}

#[test]
fn npy_payloads() {
    let file = build::npy("<f4", "3, 5,", &[2; 70]);
    let end = file.len() as u64;
    assert_eq!(found(&file), [(end - 70, end - 10, 262_144)]);
    for (descr, shape) in [
        ("|O", "3"),
        ("<f3", "3"),
        ("<f4", "3, -5"),
        ("<f4", "99999999999999999999"),
        ("<f4", "18446744073709551615, 2"),
        ("<f4", ","),
        ("|S0", "5"),
        ("<f4', 'shape': (1", "3"),
        ("", "3"),
    ] {
        assert_eq!(found(&build::npy(descr, shape, &[2; 70])), [], "{descr} {shape}");
    }
    assert_eq!(found(&build::npy("|S3", "4", &[2; 70]))[0].2, 262_143);
    assert_eq!(found(&build::npy("<U5", "", &[2; 70]))[0].2, 262_140);
}

#[test]
fn zip_payloads() {
    let (_, torch) = &samples()[5];
    let lengths: Vec<u64> = found(torch).iter().map(|p| p.1 - p.0).collect();
    assert_eq!(lengths, [300, 200, 50]);
    for (start, end, _) in found(torch) {
        let bytes = &torch[start as usize..end as usize];
        assert!(bytes.iter().all(|b| *b == bytes[0]));
    }
    let (_, npz) = &samples()[6];
    let lengths: Vec<u64> = found(npz).iter().map(|p| p.1 - p.0).collect();
    assert_eq!(lengths, [32, 32]);
}

#[test]
fn a_descriptor_inside_a_storage_does_not_end_it() {
    let mut data = vec![9; 400];
    data[100..108].copy_from_slice(b"PK\x07\x08crc!");
    data[108..112].copy_from_slice(&101u32.to_le_bytes());
    data[112..116].copy_from_slice(&101u32.to_le_bytes());
    let mut file = Vec::new();
    build::member(&mut file, "m/data/0", 0, Sizes::Follow32, &data);
    build::member(&mut file, "m/version", 0, Sizes::Follow32, b"3\n");
    build::end_of_zip(&mut file);
    let lengths: Vec<u64> = found(&file).iter().map(|p| p.1 - p.0).collect();
    assert_eq!(lengths, [400]);
    // Without any descriptor the storage goes on to the end of the file.
    assert_eq!(found(&file[..430]).len(), 1);
}

#[test]
fn what_is_no_storage_is_plain() {
    for name in ["data/0", "m/data/", "m/data/0x", "m/other/0", "m/data/0/1", "data"] {
        let mut file = Vec::new();
        build::member(&mut file, name, 0, Sizes::InHeader, &[1; 50]);
        assert_eq!(found(&file), [], "{name}");
    }
    let mut file = Vec::new();
    build::member(&mut file, "m/data/0", 8, Sizes::InHeader, &[1; 50]);
    assert_eq!(found(&file), []);
    let mut file = Vec::new();
    build::member(&mut file, "m/data/0", 0, Sizes::InHeader, &[1; 50]);
    file[6] |= 1;
    assert_eq!(found(&file), [], "encrypted");
    file[6] &= !1;
    file[18..26].copy_from_slice(&[0xff; 8]);
    assert_eq!(found(&file), [], "sizes in a field that is not there");
}

#[test]
fn every_feeding_gives_the_same_segments() {
    for (name, file) in samples() {
        let whole = segments(&file);
        for step in [1, 2, 3, 7, 23, 37, 255, 4096] {
            assert_eq!(fed(&file, step), whole, "{name} in steps of {step}");
        }
    }
}

#[test]
fn truncations_and_flips_keep_the_promises() {
    for (name, file) in samples() {
        for cut in 0..file.len() {
            found(&file[..cut]);
            assert_eq!(fed(&file[..cut], 5), segments(&file[..cut]), "{name} cut at {cut}");
        }
        for bit in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            found(&flipped);
            if bit % 8 == 7 {
                assert_eq!(fed(&flipped, 11), segments(&flipped), "{name}, bit {bit}");
            }
            let _ = describe(&flipped);
            let _ = safetensors_problem(&flipped, flipped.len() as u64);
        }
    }
}

#[test]
fn descriptions_name_types_and_places() {
    let file = build::safetensors(TWO, &[1; 28]);
    let tensors = describe(&file).expect("valid");
    let a = &tensors[0];
    assert_eq!((a.name.as_str(), a.dtype.as_str(), a.shape.as_slice()), ("a", "BF16", &[2][..]));
    assert_eq!(tensors[1].element_count(), Some(6));
    assert_eq!(tensors[1].end, file.len() as u64);
    assert_eq!(describe(&file[..20]), Err(Error::HeaderGoesOn { have_bytes: 20, need_bytes: 8 + TWO.len() as u64 }));
    let gguf = build::gguf(&[("blk.0.w", &[256, 2], 12, 0)], &[0; 288]);
    let tensors = describe(&gguf).expect("valid");
    assert_eq!((tensors[0].name.as_str(), tensors[0].dtype.as_str()), ("blk.0.w", "Q4_K"));
    assert_eq!(tensors[0].end, gguf.len() as u64);
    assert!(matches!(describe(&gguf[..50]), Err(Error::HeaderGoesOn { .. })));
    assert_eq!(describe(&build::npy("<f4", "3, 5", &[])).expect("valid")[0].shape, [3, 5]);
    assert_eq!(describe(b"name,age\nann,3\n"), Err(Error::UnknownLayout));
}

/// Asking again with as many bytes as were asked for reaches the end of any header.
#[test]
fn a_description_asks_for_what_it_needs() {
    for (name, file) in samples() {
        let mut have = 0;
        for _ in 0..1000 {
            match describe(&file[..have]) {
                Err(Error::HeaderGoesOn { need_bytes, .. }) => {
                    assert!(need_bytes > have as u64, "{name}");
                    have = need_bytes as usize;
                    if have > file.len() {
                        break;
                    }
                }
                _ => break,
            }
        }
        let got = describe(&file);
        let known = matches!(name, "safetensors" | "npy" | "gguf");
        assert_eq!(got.is_ok(), known, "{name}: {got:?}");
    }
}

#[test]
fn a_file_cut_short_is_told_precisely() {
    let file = build::safetensors(TWO, &[1; 28]);
    let (total, header) = (file.len() as u64, 8 + TWO.len() as u64);
    let problem = |cut: u64| safetensors_problem(&file[..cut as usize], cut);
    assert_eq!(problem(total), None);
    for have_bytes in 0..total {
        let need_bytes = match have_bytes {
            0..8 => 8,
            _ if have_bytes < header => header,
            _ => total,
        };
        let expected = if have_bytes < header {
            SafetensorsProblem::HeaderCut { have_bytes, need_bytes }
        } else {
            SafetensorsProblem::DataCut { have_bytes, need_bytes }
        };
        assert_eq!(problem(have_bytes), Some(expected));
        assert!(expected.is_truncation());
    }
    // The header alone, and the length, are enough.
    assert_eq!(safetensors_problem(&file[..header as usize], total), None);
    assert_eq!(safetensors_problem(&file[..9], total), None);
    assert!(matches!(
        safetensors_problem(&file[..header as usize], total - 1),
        Some(SafetensorsProblem::DataCut { .. })
    ));
    assert!(matches!(safetensors_problem(&file, total + 1), Some(SafetensorsProblem::BytesAfterEnd { .. })));
    let text = safetensors_problem(b"name,age,city", 13);
    assert_eq!(text, Some(SafetensorsProblem::NotSafetensors));
    let bad = build::safetensors("{\"a\":1}", b"");
    assert!(matches!(safetensors_problem(&bad, bad.len() as u64), Some(SafetensorsProblem::Invalid { .. })));
}
