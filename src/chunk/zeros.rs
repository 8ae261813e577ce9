//! Runs of zeros.

/// Zero runs of at least this length in plain bytes are holes.
pub(super) const MIN_HOLE_BYTES: usize = 64 * 1024;

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    // Comparing the slice with itself, moved by one, is a memcmp: the fastest loop there is.
    match bytes {
        [] => true,
        [first, rest @ ..] => *first == 0 && *rest == bytes[..rest.len()],
    }
}

/// How many zeros `bytes` starts with.
pub(super) fn leading(bytes: &[u8]) -> usize {
    const STEP: usize = 4096;
    let mut at = 0;
    while let Some(block) = bytes.get(at..at + STEP)
        && is_zero(block)
    {
        at += STEP;
    }
    let rest = &bytes[at..];
    at + rest.iter().position(|&b| b != 0).unwrap_or(rest.len())
}

/// Start of the first run of at least [`MIN_HOLE_BYTES`] zeros that starts before `before`.
///
/// Such a run covers one of a few probes, so that bytes without zeros cost nothing.
pub(super) fn first_hole(bytes: &[u8], before: usize) -> Option<usize> {
    let mut probe = MIN_HOLE_BYTES - 1;
    let mut floor = 0;
    while probe < bytes.len() && probe < before + (MIN_HOLE_BYTES - 1) {
        if bytes[probe] == 0 {
            let zeros = bytes[floor..probe].iter().rev().take_while(|&&b| b == 0);
            let start = probe - zeros.count();
            if start >= before {
                return None;
            }
            if probe + leading(&bytes[probe..]) - start >= MIN_HOLE_BYTES {
                return Some(start);
            }
        }
        // A run that goes on below this probe's block would have covered this probe.
        floor = probe + 1;
        probe += MIN_HOLE_BYTES;
    }
    None
}
