//! Zip files, forward only: from local header to local header, without the central directory.
//!
//! Payloads are stored members named `*/data/<digits>` or `*/constants/<digits>` (PyTorch storages) and the
//! arrays in stored members named `*.npy`. PyTorch writes members whose local header has no sizes (bit 3 of
//! the flags) and a data descriptor after the bytes; such a member is read up to the first descriptor whose
//! size is the distance from the member's first byte.

use std::collections::VecDeque;

use super::{Element, Payload, block_bytes, npy};

/// The first four bytes of a zip file that starts with a member, and of every member.
pub(super) const MAGIC: &[u8; 4] = b"PK\x03\x04";

const DESCRIPTOR: &[u8; 4] = b"PK\x07\x08";
const HEADER_BYTES: usize = 30;
/// A descriptor with sizes of 64 bits; those of 32 bits have 16.
const LONG_DESCRIPTOR_BYTES: usize = 24;
const FLAG_ENCRYPTED: u16 = 1;
const FLAG_SIZES_FOLLOW: u16 = 1 << 3;
const IN_EXTRA: u32 = u32::MAX;
const EXTRA_ZIP64: u16 = 1;

#[derive(Debug)]
enum State {
    /// Collecting a local header, with its name and extra fields.
    Head,
    /// Collecting the header of an array.
    Npy { reader: npy::Reader, member: Member },
    /// Nothing to look at until this offset.
    SkipTo { offset: u64, then: After },
    /// Looking for the descriptor of a member without sizes.
    Descriptor(Unsized),
    /// Not looking any more.
    Rest,
}

#[derive(Debug, Clone, Copy)]
enum Member {
    Sized { end: u64 },
    Unsized(Unsized),
}

#[derive(Debug, Clone, Copy)]
struct Unsized {
    start: u64,
    /// Both sizes of a stored member are its length; of a compressed one only the first.
    stored: bool,
}

#[derive(Debug, Clone, Copy)]
enum After {
    Head,
    Descriptor(Unsized),
}

/// Walks a zip file and collects payloads. What it consumes does not depend on the feeding.
#[derive(Debug)]
pub(super) struct Walker {
    state: State,
    seen: Vec<u8>,
    want: usize,
    pos: u64,
}

impl Walker {
    pub(super) fn new() -> Self {
        Self { state: State::Head, seen: Vec::new(), want: HEADER_BYTES, pos: 0 }
    }

    /// Offset of the next byte it wants to see; `u64::MAX` when it has given up.
    pub(super) fn position(&self) -> u64 {
        match self.state {
            State::Rest => u64::MAX,
            _ => self.pos,
        }
    }

    /// All bytes before this offset are accounted for: no payload that starts or ends before it is still to be
    /// found.
    pub(super) fn settled(&self) -> u64 {
        match self.state {
            State::SkipTo { offset, .. } => offset,
            State::Rest => u64::MAX,
            _ => self.pos,
        }
    }

    /// Looks at `window`, which starts at [`Self::position`], and adds to `found`. A payload whose end is not
    /// known yet ends at `u64::MAX`; it is the last one, and its end is mended in place.
    pub(super) fn scan(&mut self, window: &[u8], eof: bool, found: &mut VecDeque<Payload>) {
        let base = self.pos;
        loop {
            let at = usize::try_from(self.pos - base).ok();
            let Some(rest) = at.and_then(|at| window.get(at..)) else {
                return;
            };
            let goes_on = match &mut self.state {
                State::Rest => false,
                State::Head => self.head(rest, found),
                State::SkipTo { offset, then } => {
                    self.pos = *offset;
                    self.state = match *then {
                        After::Head => State::Head,
                        After::Descriptor(member) => State::Descriptor(member),
                    };
                    true
                }
                State::Npy { reader, member } => {
                    let (used, progress) = reader.feed(rest);
                    let member = *member;
                    self.pos += used as u64;
                    match progress {
                        npy::Progress::Needs(_) => false,
                        npy::Progress::Unknown => self.after_array(member, None, found),
                        npy::Progress::Header(h) => self.after_array(member, Some(h), found),
                    }
                }
                State::Descriptor(member) => {
                    let member = *member;
                    self.descriptor(member, rest, eof, found)
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    fn rest(&mut self) -> bool {
        self.state = State::Rest;
        false
    }

    fn skip_to(&mut self, offset: Option<u64>, then: After) -> bool {
        match offset {
            Some(offset) => {
                self.state = State::SkipTo { offset, then };
                true
            }
            None => self.rest(),
        }
    }

    /// Collects a local header and decides what its member is.
    fn head(&mut self, window: &[u8], found: &mut VecDeque<Payload>) -> bool {
        let take = (self.want - self.seen.len()).min(window.len());
        self.seen.extend_from_slice(&window[..take]);
        self.pos += take as u64;
        if self.seen.len() < self.want {
            return false;
        }
        let field = |at: usize| u16::from_le_bytes([self.seen[at], self.seen[at + 1]]);
        let (name_bytes, extra_bytes) = (usize::from(field(26)), usize::from(field(28)));
        if !self.seen.starts_with(MAGIC) {
            return self.rest();
        }
        if self.want == HEADER_BYTES && name_bytes + extra_bytes > 0 {
            self.want += name_bytes + extra_bytes;
            return true;
        }
        let header = std::mem::take(&mut self.seen);
        self.want = HEADER_BYTES;
        self.member(&header, name_bytes, found)
    }

    fn member(&mut self, header: &[u8], name_bytes: usize, found: &mut VecDeque<Payload>) -> bool {
        let short = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let (flags, method) = (short(6), short(8));
        let (name, extra) = header[HEADER_BYTES..].split_at(name_bytes);
        let stored = method == 0 && flags & FLAG_ENCRYPTED == 0;
        let start = self.pos;
        let wanted = Wanted::of(name, stored);
        if flags & FLAG_SIZES_FOLLOW != 0 {
            let member = Unsized { start, stored };
            match wanted {
                Wanted::Array => self.array(Member::Unsized(member)),
                Wanted::Storage => {
                    found.push_back(storage(start, u64::MAX));
                    self.state = State::Descriptor(member);
                }
                Wanted::Nothing => self.state = State::Descriptor(member),
            }
            return true;
        }
        let Some((packed, plain)) = sizes(header, extra) else {
            return self.rest();
        };
        let Some(end) = start.checked_add(packed).filter(|&end| end < u64::MAX) else {
            return self.rest();
        };
        if stored && packed != plain {
            return self.rest();
        }
        match wanted {
            Wanted::Array => {
                self.array(Member::Sized { end });
                return true;
            }
            Wanted::Storage if start < end => found.push_back(storage(start, end)),
            Wanted::Storage | Wanted::Nothing => {}
        }
        self.skip_to(Some(end), After::Head)
    }

    fn array(&mut self, member: Member) {
        let reader = npy::Reader::new();
        self.state = State::Npy { reader, member };
    }

    /// After the header of an array, or what was none.
    fn after_array(&mut self, member: Member, header: Option<npy::Header>, found: &mut VecDeque<Payload>) -> bool {
        let start = self.pos;
        let payload = header.and_then(|h| h.payload(start));
        match member {
            // The member's header may lie, or it is shorter than its array's header: then the walk is lost.
            Member::Sized { end } if end < start => self.rest(),
            Member::Sized { end } => {
                found.extend(payload.filter(|p| p.end <= end));
                self.skip_to(Some(end), After::Head)
            }
            Member::Unsized(unsized_member) => {
                found.extend(payload);
                let from = payload.map_or(start, |p| p.end);
                self.skip_to(Some(from), After::Descriptor(unsized_member))
            }
        }
    }

    /// Looks for the member's descriptor. Leaves what could be the start of one for the next window.
    fn descriptor(&mut self, member: Unsized, window: &[u8], eof: bool, found: &mut VecDeque<Payload>) -> bool {
        let mut at = 0;
        loop {
            let Some(next) = find(&window[at..], DESCRIPTOR) else {
                let keep = if eof { 0 } else { DESCRIPTOR.len() - 1 };
                self.pos += window.len().saturating_sub(keep).max(at) as u64;
                return false;
            };
            at += next;
            let seen = &window[at..];
            if seen.len() < LONG_DESCRIPTOR_BYTES && !eof {
                self.pos += at as u64;
                return false;
            }
            let offset = self.pos + at as u64;
            let Some(length) = descriptor_bytes(seen, offset - member.start, member.stored) else {
                at += 1;
                continue;
            };
            if found.back().is_some_and(|p| p.end == u64::MAX) {
                let open = found.pop_back().filter(|p| p.start < offset);
                found.extend(open.map(|p| Payload { end: offset, ..p }));
            }
            self.pos = offset + length as u64;
            self.state = State::Head;
            return true;
        }
    }
}

/// What a member holds, by its name.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    Storage,
    Array,
    Nothing,
}

impl Wanted {
    fn of(name: &[u8], stored: bool) -> Self {
        if !stored {
            return Self::Nothing;
        }
        if name.ends_with(b".npy") {
            return Self::Array;
        }
        let mut parts = name.rsplit(|&b| b == b'/');
        let number = parts.next().unwrap_or_default();
        let folder = parts.next().unwrap_or_default();
        let numbered = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
        let known = folder == b"data" || folder == b"constants";
        if numbered && known && parts.next().is_some() { Self::Storage } else { Self::Nothing }
    }
}

/// The element type of a storage stands only in the pickle beside it.
fn storage(start: u64, end: u64) -> Payload {
    Payload { start, end, block_bytes: block_bytes(1), element: Element::Unknown }
}

/// Packed and plain length of a member, from the header or from its zip64 field.
fn sizes(header: &[u8], extra: &[u8]) -> Option<(u64, u64)> {
    let long = |at: usize| Some(u32::from_le_bytes(*header.get(at..)?.first_chunk()?));
    let (packed, plain) = (long(18)?, long(22)?);
    if packed != IN_EXTRA && plain != IN_EXTRA {
        return Some((u64::from(packed), u64::from(plain)));
    }
    let mut rest = extra;
    loop {
        let (head, after) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let field = after.get(..length)?;
        if u16::from_le_bytes([head[0], head[1]]) == EXTRA_ZIP64 {
            // A local header has both sizes there, plain first.
            let (plain, field) = field.split_first_chunk()?;
            let packed = field.first_chunk()?;
            return Some((u64::from_le_bytes(*packed), u64::from_le_bytes(*plain)));
        }
        rest = &after[length..];
    }
}

/// Length of the descriptor that `seen` starts with, when it says that its member has `length` bytes.
fn descriptor_bytes(seen: &[u8], length: u64, stored: bool) -> Option<usize> {
    let short = |at: usize| Some(u64::from(u32::from_le_bytes(*seen.get(at..)?.first_chunk()?)));
    let long = |at: usize| Some(u64::from_le_bytes(*seen.get(at..)?.first_chunk()?));
    let fits = |packed: Option<u64>, plain: Option<u64>| {
        packed == Some(length) && plain.is_some() && (!stored || plain == Some(length))
    };
    if fits(short(8), short(12)) {
        Some(16)
    } else if fits(long(8), long(16)) {
        Some(LONG_DESCRIPTOR_BYTES)
    } else {
        None
    }
}

/// Offset of the first `needle` in `window`. Looks at blocks first, in a form that compilers vectorise:
/// this runs over every byte of a PyTorch file.
fn find(window: &[u8], needle: &[u8; 4]) -> Option<usize> {
    const BLOCK: usize = 64;
    let mut at = 0;
    while let Some(block) = window.get(at..at + BLOCK + 1) {
        let mut hit = false;
        for i in 0..BLOCK {
            hit |= (block[i] == needle[0]) & (block[i + 1] == needle[1]);
        }
        if hit && let Some(i) = (at..at + BLOCK).find(|&i| window[i..].starts_with(needle)) {
            return Some(i);
        }
        at += BLOCK;
    }
    (at..window.len()).find(|&i| window[i..].starts_with(needle))
}
