//! Reading many ranges in few requests, several at a time, with bounded memory.

use bytes::Bytes;
use tokio::task::JoinSet;

use crate::limits::MIB;
use crate::progress::Interrupt;
use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::runtime::wait;
use crate::remote::transport::Transport;

/// A range that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeRequest {
    /// Of which file.
    pub key: Key,
    /// First byte.
    pub offset: u64,
    /// Length in bytes.
    pub len: u64,
}

/// How ranges are joined and read.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// Ranges of one file that are at most this far apart, in bytes, become one request.
    pub max_gap_bytes: u64,
    /// A joined request stays at or below this many bytes. A single longer range is still one request.
    pub max_read_bytes: u64,
    /// Requests at the same time.
    pub streams: usize,
    /// Bytes that are held or under way at the same time. One request is always allowed.
    pub memory_bytes: u64,
    /// Asked between deliveries.
    pub interrupt: Interrupt,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_gap_bytes: MIB,
            max_read_bytes: 32 * MIB,
            streams: 16,
            memory_bytes: 256 * MIB,
            interrupt: Interrupt::default(),
        }
    }
}

/// What [`read_ranges`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReadStats {
    /// Joined requests, repetitions not counted.
    pub reads: u64,
    /// Bytes that were asked for, gaps included.
    pub read_bytes: u64,
}

/// A joined request: one span of a file and the wanted parts in it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    key: Key,
    start: u64,
    end: u64,
    /// Index of the request, and its place in the span.
    parts: Vec<(usize, u64, u64)>,
}

/// Reads all `requests` and hands each to `deliver` with its index, on the calling thread. Requests arrive in
/// any order, each exactly once; equal and overlapping ones are read once. Nothing is verified but length.
///
/// The first error ends it, whether of a read or of `deliver`.
///
/// # Errors
/// [`Error::Interrupted`] once [`ReadOptions::interrupt`] is set, [`Error::NotFound`] when a file is gone, [`Error::Corrupt`] when it ends before a range does.
pub fn read_ranges<E: From<Error>>(
    transport: &Transport,
    requests: &[RangeRequest],
    options: &ReadOptions,
    mut deliver: impl FnMut(usize, Bytes) -> std::result::Result<(), E>,
) -> std::result::Result<ReadStats, E> {
    let reads = plan(requests, options)?;
    let stats = ReadStats { reads: reads.len() as u64, read_bytes: reads.iter().map(|r| r.end - r.start).sum() };
    let streams = options.streams.max(1);
    let mut failed: Option<E> = None;
    let outcome: Result<()> = wait(async {
        let mut waiting = reads.into_iter().peekable();
        let mut running: JoinSet<Result<(Read, Bytes)>> = JoinSet::new();
        let mut held_bytes = 0u64;
        loop {
            while let Some(next) = waiting.peek() {
                let size = next.end - next.start;
                let fits = held_bytes.saturating_add(size) <= options.memory_bytes;
                if running.len() >= streams || !(fits || running.is_empty()) {
                    break;
                }
                held_bytes = held_bytes.saturating_add(size);
                let transport = transport.clone();
                if let Some(read) = waiting.next() {
                    running.spawn(async move {
                        let len = read.end - read.start;
                        let bytes = transport.get_range_async(&read.key, read.start, len).await?;
                        Ok((read, bytes))
                    });
                }
            }
            let Some(joined) = running.join_next().await else {
                return Ok(());
            };
            let (read, bytes) = joined.map_err(|e| Error::Runtime { detail: e.to_string() })??;
            for (index, from, to) in &read.parts {
                if options.interrupt.is_set() {
                    return Err(Error::Interrupted);
                }
                let part = slice(&read, &bytes, *from, *to)?;
                if let Err(e) = deliver(*index, part) {
                    failed = Some(e);
                    return Ok(());
                }
            }
            held_bytes = held_bytes.saturating_sub(read.end - read.start);
        }
    });
    outcome?;
    match failed {
        Some(e) => Err(e),
        None => Ok(stats),
    }
}

/// Joins ranges that lie close together. Sorted by file and place, so that reads of one pack are neighbours.
fn plan(requests: &[RangeRequest], options: &ReadOptions) -> Result<Vec<Read>> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by(|a, b| {
        let (a, b) = (&requests[*a], &requests[*b]);
        (&a.key, a.offset, a.len).cmp(&(&b.key, b.offset, b.len))
    });
    let mut reads: Vec<Read> = Vec::new();
    for index in order {
        let request = &requests[index];
        let start = request.offset;
        let end = start.checked_add(request.len).ok_or_else(|| Error::Malformed {
            key: request.key.to_string(),
            detail: "a range ends beyond 2^64".into(),
        })?;
        let part = (index, start, end);
        if let Some(last) = reads.last_mut()
            && last.key == request.key
        {
            let joined_end = last.end.max(end);
            let near = start <= last.end.saturating_add(options.max_gap_bytes);
            let inside = end <= last.end;
            if inside || (near && joined_end - last.start <= options.max_read_bytes) {
                last.end = joined_end;
                last.parts.push(part);
                continue;
            }
        }
        reads.push(Read { key: request.key.clone(), start, end, parts: vec![part] });
    }
    Ok(reads)
}

fn slice(read: &Read, bytes: &Bytes, from: u64, to: u64) -> Result<Bytes> {
    let at = |x: u64| usize::try_from(x - read.start).ok();
    match (at(from), at(to)) {
        (Some(from), Some(to)) if to <= bytes.len() => Ok(bytes.slice(from..to)),
        _ => Err(Error::Corrupt {
            key: read.key.to_string(),
            expected: format!("bytes up to {to}"),
            actual: format!("bytes up to {}", read.start + bytes.len() as u64),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{PackId, SessionId};

    fn request(pack: u8, offset: u64, len: u64) -> RangeRequest {
        RangeRequest { key: Key::Pack(SessionId([0; 16]), PackId([pack; 16])), offset, len }
    }

    fn spans(requests: &[RangeRequest]) -> Vec<(u64, u64, usize)> {
        let reads = plan(requests, &ReadOptions::default()).expect("plans");
        reads.iter().map(|r| (r.start, r.end, r.parts.len())).collect()
    }

    #[test]
    fn near_ranges_join_far_ones_do_not() {
        assert_eq!(spans(&[request(1, 100, 10), request(1, 0, 50), request(2, 40, 5)]), [(0, 110, 2), (40, 45, 1)]);
        assert_eq!(spans(&[request(1, 0, 10), request(1, 10 + MIB, 1)]), [(0, 11 + MIB, 2)]);
        assert_eq!(spans(&[request(1, 0, 10), request(1, 11 + MIB, 1)]).len(), 2);
    }

    #[test]
    fn reads_stay_below_the_limit_and_overlaps_are_read_once() {
        let many: Vec<_> = (0..100).map(|n| request(1, n * MIB, MIB)).collect();
        let got = spans(&many);
        assert_eq!(got.len(), 4);
        assert!(got.iter().all(|(start, end, _)| end - start <= 32 * MIB));
        assert_eq!(spans(&[request(1, 0, 40 * MIB), request(1, MIB, 10), request(1, 0, 40 * MIB)]), [(0, 40 * MIB, 3)]);
        assert!(plan(&[request(1, u64::MAX, 2)], &ReadOptions::default()).is_err());
        assert!(spans(&[]).is_empty());
    }
}
