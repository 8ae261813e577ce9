//! Whether bytes can shrink, from 4 KiB of samples.

use super::Hint;

const SAMPLES: usize = 16;
/// A multiple of every lane count.
const SAMPLE_BYTES: usize = 256;
/// Shorter chunks are simply tried.
const ALWAYS_TRY_BYTES: usize = 2048;
/// Shorter ones cannot win more than a frame header costs.
const NEVER_TRY_BYTES: usize = 64;

/// Entropies, in bits a byte, above which nothing is tried.
const PLAIN_LIMIT: f64 = 7.85;
const LANE_LIMIT: f64 = 7.6;
/// What already is compressed by its magic is believed earlier.
const MAGIC_LIMIT: f64 = 7.5;

const TEXT_LEVEL: i32 = 3;
/// Numbers have few matches to look for: more effort does not find more.
const NUMBER_LEVEL: i32 = 1;

/// The zstd level to try, or `None` to store the bytes raw at once.
pub(super) fn level(hint: Hint, plain: &[u8]) -> Option<i32> {
    let level = match hint {
        Hint::Plain => TEXT_LEVEL,
        Hint::Float { .. } | Hint::Opaque => NUMBER_LEVEL,
    };
    if plain.len() < NEVER_TRY_BYTES {
        return None;
    }
    if plain.len() < ALWAYS_TRY_BYTES {
        return Some(level);
    }
    let promising = match hint {
        Hint::Plain if is_compressed(plain) => least_entropy(plain, 1) <= MAGIC_LIMIT,
        Hint::Plain => least_entropy(plain, 1) <= PLAIN_LIMIT,
        Hint::Float { bytes } => least_entropy(plain, lanes(bytes)) <= LANE_LIMIT,
        Hint::Opaque => [1, 2, 4, 8].into_iter().any(|lanes| least_entropy(plain, lanes) <= LANE_LIMIT),
    };
    promising.then_some(level)
}

fn lanes(bytes: u8) -> usize {
    match bytes {
        2 | 4 | 8 => usize::from(bytes),
        _ => 1,
    }
}

/// The entropy of the most regular lane, where lane `i` holds each `lanes`-th byte from `i` on.
fn least_entropy(plain: &[u8], lanes: usize) -> f64 {
    let mut counts = vec![[0u32; 256]; lanes];
    let gap = (plain.len() / SAMPLES).max(SAMPLE_BYTES) / SAMPLE_BYTES * SAMPLE_BYTES;
    let starts = (0..SAMPLES).map(|i| i * gap);
    for sample in starts.filter_map(|start| plain.get(start..)) {
        for (i, &byte) in sample.iter().take(SAMPLE_BYTES).enumerate() {
            counts[i % lanes][usize::from(byte)] += 1;
        }
    }
    counts.iter().map(entropy).fold(8.0, f64::min)
}

/// Shannon's entropy in bits, corrected for the few samples (Miller and Madow), or noise would look regular.
fn entropy(counts: &[u32; 256]) -> f64 {
    let total: f64 = counts.iter().map(|&n| f64::from(n)).sum();
    let seen = counts.iter().filter(|&&n| n > 0);
    let (mut bits, mut kinds) = (0.0, 0.0);
    for &n in seen {
        let p = f64::from(n) / total;
        bits -= p * p.log2();
        kinds += 1.0;
    }
    bits + (kinds - 1.0) / (2.0 * total * std::f64::consts::LN_2)
}

/// Whether the bytes start like gzip, zstd, xz, bzip2, JPEG, PNG or a zip file's deflated member.
fn is_compressed(plain: &[u8]) -> bool {
    const MAGICS: [&[u8]; 6] =
        [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"];
    let deflated = plain.starts_with(b"PK\x03\x04") && plain.get(8) == Some(&8);
    deflated || MAGICS.iter().any(|magic| plain.starts_with(magic))
}
