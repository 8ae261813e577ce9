//! One pass over a file's bytes: which of them are payloads.

use std::collections::VecDeque;

use super::safetensors::PREFIX_BYTES;
use super::{Kind, Payload, Segment, gguf, npy, safetensors, zip};

/// Finds the payloads of a file whose bytes it is shown in order.
///
/// The result is a function of the bytes alone, however they are cut into windows.
///
/// ```
/// use clade::tensor::Scanner;
/// let mut scanner = Scanner::new();
/// let text = b"no layout at all";
/// scanner.scan(text, true);
/// assert_eq!(scanner.view(0).end, u64::MAX);
/// ```
#[derive(Debug)]
pub struct Scanner {
    pos: u64,
    state: State,
    /// In order, apart. Those that end before the last view are gone.
    payloads: VecDeque<Payload>,
}

#[derive(Debug)]
enum State {
    Start,
    Safetensors { json: Vec<u8>, length: usize },
    Gguf(Box<gguf::Reader>),
    Npy(npy::Reader),
    Zip(Box<zip::Walker>),
    Done,
}

/// What a [`Scanner`] knows about the bytes from an offset on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// What these bytes are.
    pub kind: Kind,
    /// They are of that kind up to here at least; `u64::MAX` when nothing but the file's end will end them.
    pub end: u64,
    /// Whether a segment is known to end at `end`; otherwise more bytes must be scanned to know.
    pub is_cut: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner before the first byte of a file.
    #[must_use]
    pub fn new() -> Self {
        Self { pos: 0, state: State::Start, payloads: VecDeque::new() }
    }

    /// Offset of the next byte that it wants to see. May lie ahead of what it was shown, even behind the file's
    /// end, when headers say that there is nothing to look at before; `u64::MAX` when it has seen enough.
    #[must_use]
    pub fn position(&self) -> u64 {
        match &self.state {
            State::Done => u64::MAX,
            State::Zip(walker) => walker.position(),
            _ => self.pos,
        }
    }

    /// Looks at the bytes from [`Self::position`] on; `eof` says that nothing follows them. It may leave up to 23
    /// bytes for the next call, which must show them again.
    pub fn scan(&mut self, window: &[u8], eof: bool) {
        let mut window = window;
        if let State::Start = self.state {
            if window.len() <= PREFIX_BYTES && !eof {
                return;
            }
            self.state = State::of(window);
        }
        if let State::Safetensors { json, .. } = &self.state
            && json.is_empty()
            && self.pos == 0
        {
            self.pos = PREFIX_BYTES as u64;
            window = &window[PREFIX_BYTES..];
        }
        match &mut self.state {
            State::Start | State::Done => {}
            State::Safetensors { json, length } => {
                let take = (*length - json.len()).min(window.len());
                json.extend_from_slice(&window[..take]);
                self.pos += take as u64;
                if json.len() == *length {
                    self.payloads = safetensors::payloads(json).unwrap_or_default().into();
                    self.state = State::Done;
                }
            }
            State::Gguf(reader) => {
                let (used, progress) = reader.feed(window);
                self.pos += used as u64;
                match progress {
                    gguf::Progress::Needs(_) => {}
                    gguf::Progress::Header(tensors) => {
                        self.payloads = gguf::payloads(&tensors).unwrap_or_default().into();
                        self.state = State::Done;
                    }
                    gguf::Progress::Unknown => self.state = State::Done,
                }
            }
            State::Npy(reader) => {
                let (used, progress) = reader.feed(window);
                self.pos += used as u64;
                match progress {
                    npy::Progress::Needs(_) => {}
                    npy::Progress::Header(header) => {
                        self.payloads = header.payload(self.pos).into_iter().collect();
                        self.state = State::Done;
                    }
                    npy::Progress::Unknown => self.state = State::Done,
                }
            }
            State::Zip(walker) => walker.scan(window, eof, &mut self.payloads),
        }
        if eof {
            self.state = State::Done;
        }
    }

    /// What the bytes from `offset` on are. `offset` must not be smaller than in an earlier call, nor greater
    /// than an `end` that was returned before.
    #[must_use]
    pub fn view(&mut self, offset: u64) -> View {
        while self.payloads.front().is_some_and(|p| p.end <= offset) {
            self.payloads.pop_front();
        }
        let (kind, end) = match self.payloads.front() {
            Some(payload) if payload.start <= offset => (payload.kind(), payload.end),
            Some(payload) => (Kind::Plain, payload.start),
            None => (Kind::Plain, u64::MAX),
        };
        let settled = match &self.state {
            State::Done => u64::MAX,
            State::Zip(walker) => walker.settled(),
            _ => self.pos,
        };
        let is_cut = end < u64::MAX && end <= settled;
        View { kind, end: end.min(settled), is_cut }
    }
}

impl State {
    /// Which layout the first bytes announce.
    fn of(prefix: &[u8]) -> Self {
        if prefix.starts_with(gguf::MAGIC) {
            Self::Gguf(Box::new(gguf::Reader::new()))
        } else if prefix.starts_with(npy::MAGIC) {
            Self::Npy(npy::Reader::new())
        } else if prefix.starts_with(zip::MAGIC) {
            Self::Zip(Box::new(zip::Walker::new()))
        } else if let Some(length) = safetensors::safetensors_header_bytes(prefix) {
            let length = usize::try_from(length).expect("the limit on headers fits memory");
            let json = Vec::new();
            Self::Safetensors { json, length }
        } else {
            Self::Done
        }
    }
}

/// The segments of a whole file in memory.
#[must_use]
pub fn segments(bytes: &[u8]) -> Vec<Segment> {
    let mut scanner = Scanner::new();
    scanner.scan(bytes, true);
    let total = bytes.len() as u64;
    let (mut out, mut start) = (Vec::new(), 0);
    while start < total {
        let view = scanner.view(start);
        let end = view.end.min(total);
        let kind = view.kind;
        out.push(Segment { start, end, kind });
        start = end;
    }
    out
}
