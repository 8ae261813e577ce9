//! A first pass over a batch's MessagePack payload: it allocates nothing but the list of events, checks
//! every length, count and depth against its ceiling, and finds where each event lies.

use std::ops::Range;

use super::{Error, Event};
use crate::limits;

/// Where an event lies in the payload, and what its map's top level says.
pub(super) struct EventSpan {
    /// Its bytes, a MessagePack map.
    pub range: Range<usize>,
    /// The value of its key `kind`.
    pub kind: String,
    /// Keys that this program does not know, where it knows the kind.
    pub unknown_fields: usize,
}

/// Checks the payload and finds its events.
pub(super) fn skim(payload: &[u8]) -> Result<Vec<EventSpan>, Error> {
    let mut walk = Walk { bytes: payload, at: 0, values: 0 };
    let mut spans = None;
    for _ in 0..walk.map()? {
        let key = walk.text()?;
        if key == "events" && spans.is_none() {
            spans = Some(walk.events()?);
        } else if key == "events" {
            return Err(walk.bad("the key `events` comes twice"));
        } else {
            walk.skip(1)?;
        }
    }
    if walk.at != payload.len() {
        return Err(walk.bad("bytes after the end of the map"));
    }
    spans.ok_or_else(|| walk.bad("no key `events`"))
}

enum Item<'a> {
    Plain,
    Text(&'a [u8]),
    List(usize),
    Map(usize),
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl<'a> Walk<'a> {
    fn bad(&self, reason: &str) -> Error {
        Error::Payload { offset: self.at, reason: reason.to_owned() }
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.bad("the payload ends inside a value"))?;
        let out = &self.bytes[self.at..end];
        self.at = end;
        Ok(out)
    }

    /// A big-endian length of 1, 2 or 4 bytes, checked against `limit`.
    fn len(&mut self, width: usize, what: &'static str, limit: usize) -> Result<usize, Error> {
        let len = self.take(width)?.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
        match usize::try_from(len) {
            Ok(n) if n <= limit => Ok(n),
            _ => Err(Error::Limit { what, actual: len, limit: limit as u64 }),
        }
    }

    fn item(&mut self) -> Result<Item<'a>, Error> {
        const TEXT: usize = limits::MAX_BATCH_TEXT_BYTES;
        const LIST: usize = limits::MAX_BATCH_LIST;
        self.values += 1;
        if self.values > limits::MAX_BATCH_VALUES {
            return Err(Error::Limit {
                what: "count of values",
                actual: self.values as u64,
                limit: limits::MAX_BATCH_VALUES as u64,
            });
        }
        let marker = self.take(1)?[0];
        let width = |low: u8| 1usize << (marker - low);
        Ok(match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Item::Plain,
            0x80..=0x8f => Item::Map(usize::from(marker & 0x0f)),
            0x90..=0x9f => Item::List(usize::from(marker & 0x0f)),
            0xa0..=0xbf => Item::Text(self.take(usize::from(marker & 0x1f))?),
            0xc4..=0xc6 => {
                let n = self.len(width(0xc4), "length of bytes", TEXT)?;
                self.take(n)?;
                Item::Plain
            }
            0xca | 0xcb => {
                self.take(if marker == 0xca { 4 } else { 8 })?;
                Item::Plain
            }
            0xcc..=0xcf => {
                self.take(width(0xcc))?;
                Item::Plain
            }
            0xd0..=0xd3 => {
                self.take(width(0xd0))?;
                Item::Plain
            }
            0xd9..=0xdb => {
                let n = self.len(width(0xd9), "length of a text", TEXT)?;
                Item::Text(self.take(n)?)
            }
            0xdc | 0xdd => Item::List(self.len(2 * width(0xdc), "length of a list", LIST)?),
            0xde | 0xdf => Item::Map(self.len(2 * width(0xde), "length of a map", LIST)?),
            _ => return Err(self.bad("a MessagePack type that batches do not use")),
        })
    }

    fn map(&mut self) -> Result<usize, Error> {
        match self.item()? {
            Item::Map(n) => Ok(n),
            _ => Err(self.bad("a map is expected here")),
        }
    }

    fn text(&mut self) -> Result<&'a str, Error> {
        match self.item()? {
            Item::Text(raw) => std::str::from_utf8(raw).map_err(|_| self.bad("a text is not UTF-8")),
            _ => Err(self.bad("a text is expected here")),
        }
    }

    fn skip(&mut self, depth: usize) -> Result<(), Error> {
        if depth > limits::MAX_BATCH_DEPTH {
            return Err(Error::Limit { what: "depth", actual: depth as u64, limit: limits::MAX_BATCH_DEPTH as u64 });
        }
        let values = match self.item()? {
            Item::Plain | Item::Text(_) => 0,
            Item::List(n) => n,
            Item::Map(n) => 2 * n,
        };
        for _ in 0..values {
            self.skip(depth + 1)?;
        }
        Ok(())
    }

    fn events(&mut self) -> Result<Vec<EventSpan>, Error> {
        let Item::List(count) = self.item()? else {
            return Err(self.bad("`events` is not a list"));
        };
        if count > limits::MAX_BATCH_EVENTS {
            return Err(Error::Limit {
                what: "count of events",
                actual: count as u64,
                limit: limits::MAX_BATCH_EVENTS as u64,
            });
        }
        // An event takes at least 8 bytes, so the list is never larger than what was read.
        let mut spans = Vec::with_capacity(count.min(self.bytes.len() / 8));
        for _ in 0..count {
            spans.push(self.event()?);
        }
        Ok(spans)
    }

    fn event(&mut self) -> Result<EventSpan, Error> {
        let start = self.at;
        let fields = self.map()?;
        let body = self.at;
        let mut kind = None;
        for _ in 0..fields {
            if self.text()? != "kind" {
                self.skip(2)?;
            } else if kind.replace(self.text()?).is_some() {
                return Err(self.bad("an event has the key `kind` twice"));
            }
        }
        let kind = kind.ok_or_else(|| self.bad("an event has no key `kind`"))?;
        let mut unknown_fields = 0;
        if let Some(known) = Event::fields(kind) {
            let mut again = Walk { bytes: &self.bytes[..self.at], at: body, values: 0 };
            for _ in 0..fields {
                let key = again.text()?;
                unknown_fields += usize::from(key != "kind" && !known.contains(&key));
                again.skip(2)?;
            }
        }
        Ok(EventSpan { range: start..self.at, kind: kind.to_owned(), unknown_fields })
    }
}
