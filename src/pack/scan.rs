//! Finding the frames of a pack that has no footer, or lost it.

use super::frame::{FIXED_BYTES, FrameMeta, MAGIC, MAX_HEADER_BYTES};
use super::read::{ReadAt, read_footer, read_range};
use super::writer::{HEADER_BYTES, read_pack_header};
use super::{Error, Result};
use crate::id::PackId;

/// How much is read at a time while searching.
const WINDOW_BYTES: u64 = 1 << 20;

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// The pack's name; none where the pack's own header is damaged.
    pub pack_id: Option<PackId>,
    /// Every whole frame, in order of offsets. Their headers hold, their payloads were not looked at.
    pub frames: Vec<FrameMeta>,
    /// Up to here the pack is header and whole frames without a gap: to this length a session pack can be
    /// cut and continued. 0 where the pack's own header is damaged.
    pub valid_len: u64,
    /// Whether the pack ends in a valid footer.
    pub finished: bool,
    /// Whether there is anything that is neither pack header, whole frame nor footer: a torn end, or damage.
    pub torn: bool,
}

/// Walks a pack from its beginning and collects every whole frame, finished pack or not.
///
/// Where a frame should begin and does not, the next place is searched at which a frame header's check holds,
/// so damage costs the frames it touches and no others. A payload may be damaged all the same: what is
/// adopted from a scan must be decoded and verified first. Errors: reading itself, and a pack of another
/// version or an encrypted one, in which no frame is found.
pub fn scan<R: ReadAt + ?Sized>(pack: &R) -> Result<Scan> {
    let size = pack.len_bytes();
    let footer = match read_footer(pack) {
        Ok(footer) => Some(footer),
        Err(error @ Error::Io { .. }) => return Err(error),
        Err(_) => None,
    };
    let end = footer.as_ref().map_or(size, super::Footer::offset);
    let header = read_pack_header(pack);
    let found = walk(pack, header.as_ref().ok().copied(), end, footer.is_some())?;
    match header {
        // A flipped bit can look like another version; frames of this one then say otherwise.
        Err(error @ (Error::Io { .. } | Error::Version { .. } | Error::Encrypted { .. }))
            if found.frames.is_empty() =>
        {
            Err(error)
        }
        _ => Ok(found),
    }
}

/// Collects the frames before `end`.
fn walk<R: ReadAt + ?Sized>(pack: &R, pack_id: Option<PackId>, end: u64, finished: bool) -> Result<Scan> {
    let start = HEADER_BYTES as u64;
    let mut found = Scan {
        pack_id,
        frames: Vec::new(),
        valid_len: if pack_id.is_some() { start } else { 0 },
        finished,
        torn: pack_id.is_none(),
    };
    let mut at = start.min(end);
    while at < end {
        if let Some(frame) = frame_at(pack, at, end)? {
            at = frame.end();
            found.frames.push(frame);
            if !found.torn {
                found.valid_len = at;
            }
        } else {
            found.torn = true;
            match search(pack, at + 1, end)? {
                Some(next) => at = next,
                None => break,
            }
        }
    }
    Ok(found)
}

/// The frame that begins at `at` and ends by `end`, if there is a whole one.
fn frame_at<R: ReadAt + ?Sized>(pack: &R, at: u64, end: u64) -> Result<Option<FrameMeta>> {
    let room = end - at;
    if room < FIXED_BYTES as u64 {
        return Ok(None);
    }
    let fixed = read_range(pack, at, FIXED_BYTES)?;
    if fixed[..4] != MAGIC {
        return Ok(None);
    }
    let len: [u8; 4] = fixed[4..8].try_into().expect("four bytes");
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_HEADER_BYTES || len as u64 > room {
        return Ok(None);
    }
    let header = read_range(pack, at, len)?;
    let frame = FrameMeta::decode_header(at, &header).ok();
    Ok(frame.filter(|frame| frame.end() <= end))
}

/// The next offset from `from` on at which a whole frame begins.
fn search<R: ReadAt + ?Sized>(pack: &R, from: u64, end: u64) -> Result<Option<u64>> {
    let mut at = from;
    while at + (FIXED_BYTES as u64) < end {
        let len = WINDOW_BYTES.min(end - at);
        let window = read_range(pack, at, usize::try_from(len).expect("at most a window"))?;
        for (i, bytes) in window.windows(MAGIC.len()).enumerate() {
            if bytes == MAGIC && frame_at(pack, at + i as u64, end)?.is_some() {
                return Ok(Some(at + i as u64));
            }
        }
        if at + len == end {
            break;
        }
        // The last bytes of a window may be the first of a magic.
        at += len - (MAGIC.len() as u64 - 1);
    }
    Ok(None)
}
