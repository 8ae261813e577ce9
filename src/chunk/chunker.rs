//! The state machine between windows.

use super::zeros::{self, MIN_HOLE_BYTES};
use super::{Profile, gear};
use crate::tensor::{Element, Kind, Scanner};

/// With a window of this length, [`Chunker::next`] always makes progress: the greatest chunk, the zeros that
/// decide whether it must end earlier, and what the scanner of layouts needs to look ahead.
pub const WINDOW_BYTES: usize = gear::MAX_BYTES + MIN_HOLE_BYTES + 64;

/// What kind of bytes a chunk holds: a hint for encoders, never part of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Cut by content; no known structure.
    Plain,
    /// A block of a tensor.
    Tensor(Element),
}

/// What comes next in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Call again with a longer window, of at least [`WINDOW_BYTES`] or up to the file's end.
    NeedMore,
    /// The next `len` bytes are one chunk.
    Chunk {
        /// Its length in bytes; at least 1, at most [`crate::limits::MAX_CHUNK_BYTES`].
        len: usize,
        /// What it holds.
        class: Class,
    },
    /// The next `len` bytes are zero and are not stored. Holes may follow each other; callers merge them.
    Hole {
        /// Length in bytes; at least 1.
        len: u64,
    },
    /// The file is over.
    End,
}

/// Cuts one file.
///
/// ```
/// use clade::chunk::{Chunker, Profile, Step};
/// let bytes = [7u8; 100_000];
/// let (mut chunker, mut at) = (Chunker::new(Profile::One), 0);
/// loop {
///     match chunker.next(&bytes[at..], true) {
///         Step::Chunk { len, .. } => at += len,
///         Step::Hole { len } => at += len as usize,
///         Step::End => break,
///         Step::NeedMore => unreachable!("the window reaches the end"),
///     }
/// }
/// assert_eq!(at, bytes.len());
/// ```
#[derive(Debug)]
pub struct Chunker {
    scanner: Scanner,
    pos: u64,
    /// The bytes before `pos` are the start of a hole that may go on.
    in_hole: bool,
}

impl Chunker {
    /// A chunker before the first byte of a file.
    #[must_use]
    pub fn new(profile: Profile) -> Self {
        match profile {
            Profile::One => Self { scanner: Scanner::new(), pos: 0, in_hole: false },
        }
    }

    /// Offset in the file of the window that the next call takes: the sum of all lengths returned.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.pos
    }

    /// What comes next. `window` holds the file's bytes from [`Self::position`] on, as far as the caller has them;
    /// `eof` says that the file ends with the window. Only the first [`WINDOW_BYTES`] are looked at, so a memory
    /// map's whole rest may be given.
    pub fn next(&mut self, window: &[u8], eof: bool) -> Step {
        // Every decision sees exactly the same bytes however they were fed: a full window, or all there are.
        if window.len() < WINDOW_BYTES && !eof {
            return Step::NeedMore;
        }
        let at_end = eof && window.len() <= WINDOW_BYTES;
        let window = &window[..window.len().min(WINDOW_BYTES)];
        if window.is_empty() {
            return Step::End;
        }
        let scanned = self.scanner.position().checked_sub(self.pos);
        if let Some(unseen) = scanned.and_then(|at| window.get(usize::try_from(at).ok()?..)) {
            self.scanner.scan(unseen, at_end);
        }
        let view = self.scanner.view(self.pos);
        let room = usize::try_from(view.end - self.pos).unwrap_or(usize::MAX);
        let step = match view.kind {
            Kind::Plain => self.plain(&window[..room.min(window.len())]),
            Kind::Payload { block_bytes, element } => {
                let len = room.min(window.len()).min(block_bytes as usize);
                if zeros::is_zero(&window[..len]) {
                    Step::Hole { len: len as u64 }
                } else {
                    let class = Class::Tensor(element);
                    Step::Chunk { len, class }
                }
            }
        };
        let len = match step {
            Step::Hole { len } => len,
            Step::Chunk { len, .. } => len as u64,
            Step::NeedMore | Step::End => 0,
        };
        self.pos += len;
        let ends_here = view.is_cut && self.pos == view.end;
        self.in_hole = view.kind == Kind::Plain && matches!(step, Step::Hole { .. }) && !ends_here;
        step
    }

    /// `bytes` go up to the segment's end, or are more than any decision needs.
    fn plain(&self, bytes: &[u8]) -> Step {
        let zeros = zeros::leading(bytes);
        if zeros >= MIN_HOLE_BYTES || (self.in_hole && zeros > 0) {
            return Step::Hole { len: zeros as u64 };
        }
        let cut = gear::cut(bytes);
        let len = zeros::first_hole(bytes, cut).unwrap_or(cut);
        let class = Class::Plain;
        Step::Chunk { len, class }
    }
}

/// All steps of a whole file in memory: chunks and holes, without the end.
pub fn chunks(profile: Profile, bytes: &[u8]) -> impl Iterator<Item = Step> {
    let mut chunker = Chunker::new(profile);
    std::iter::from_fn(move || {
        let at = usize::try_from(chunker.position()).expect("it is an offset into the slice");
        Some(chunker.next(&bytes[at..], true)).filter(|step| *step != Step::End)
    })
}
