//! The batch file: magic, version, payload, signatures; and its place in the ledger tree.

use serde::{Deserialize, Serialize};

use super::skim::skim;
use super::{Error, Event};
use crate::id::{BatchId, EventId, LedgerId, RepositoryId, WriterId, from_hex, to_hex};
use crate::limits;

const MAGIC: &[u8; 8] = b"cladebat";
const VERSION: u32 = 1;
/// Magic, version, payload length.
const HEADER_BYTES: usize = 16;

/// Who acts, as git names an author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
}

/// A writer's newest batch, as another batch saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Head {
    /// The writer.
    pub writer: WriterId,
    /// The batch's number, from 0.
    pub seq: u64,
    /// The batch.
    pub batch: BatchId,
}

/// What a writer had seen when it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Id of the set of all batches it had.
    pub digest: LedgerId,
    /// Other writers' newest batches that are new since this writer's previous batch.
    #[serde(default)]
    pub heads: Vec<Head>,
}

/// What a batch says: all events of one command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Version of the payload: 1.
    pub v: u32,
    /// The repository's ledger that it belongs to.
    pub repository: RepositoryId,
    /// The clone that wrote it.
    pub writer: WriterId,
    /// Its number among the writer's batches, from 0 without gaps.
    pub seq: u64,
    /// The writer's previous batch; absent for number 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<BatchId>,
    /// What the writer had seen.
    pub seen: Seen,
    /// When it was written, in milliseconds since 1970, by the writer's clock. Nothing is decided by it.
    pub time_ms: u64,
    /// Who acted.
    pub actor: Actor,
    /// Name and version of the program that wrote it.
    pub tool: String,
    /// What happened, in order.
    #[serde(skip_deserializing)]
    pub events: Vec<Event>,
}

/// A batch that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// BLAKE3 of the whole file.
    pub id: BatchId,
    /// What it says.
    pub payload: Payload,
    /// SSH signatures over the payload's bytes, as `ssh-keygen -Y sign` makes them. Not checked here.
    pub signatures: Vec<Vec<u8>>,
    /// Fields of its events that this program does not know.
    pub unknown_fields: usize,
}

impl Batch {
    /// The id of its event number `index`.
    #[must_use]
    pub fn event_id(&self, index: usize) -> EventId {
        // A batch holds at most limits::MAX_BATCH_EVENTS events, which fits.
        event_id(self.id, u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// Id of event `index` of a batch: BLAKE3 of the batch id followed by the index as little-endian `u32`.
#[must_use]
pub fn event_id(batch: BatchId, index: u32) -> EventId {
    let mut hash = blake3::Hasher::new();
    hash.update(batch.as_bytes()).update(&index.to_le_bytes());
    EventId::from(hash.finalize())
}

/// Encodes a payload: these are the bytes to sign, and to give to [`encode`].
///
/// # Errors
/// An event of an unknown kind, a wrong `v`, a `prev` that does not fit `seq`, or anything that a reader
/// would refuse.
pub fn encode_payload(payload: &Payload) -> Result<Vec<u8>, Error> {
    for (index, event) in payload.events.iter().enumerate() {
        if let Event::Unknown { kind } = event {
            return Err(Error::UnknownKind { index, kind: kind.clone() });
        }
    }
    let bytes = rmp_serde::to_vec_named(payload).map_err(|e| Error::Payload { offset: 0, reason: e.to_string() })?;
    parse_payload(&bytes)?;
    Ok(bytes)
}

/// Encodes a batch file from payload bytes and the signatures made over them.
///
/// # Errors
/// Sizes and counts above their ceilings.
pub fn encode(payload: &[u8], signatures: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let signature_bytes: usize = signatures.iter().map(|s| s.len() + 4).sum();
    let total = HEADER_BYTES + payload.len() + 1 + signature_bytes;
    limit("size in bytes", total, limits::MAX_BATCH_BYTES)?;
    limit("count of signatures", signatures.len(), limits::MAX_BATCH_SIGNATURES)?;
    let u32_of = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes();
    let mut out = Vec::with_capacity(total);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&u32_of(payload.len()));
    out.extend_from_slice(payload);
    out.push(u8::try_from(signatures.len()).unwrap_or(u8::MAX));
    for signature in signatures {
        limit("size of a signature", signature.len(), limits::MAX_SIGNATURE_BYTES)?;
        out.extend_from_slice(&u32_of(signature.len()));
        out.extend_from_slice(signature);
    }
    Ok(out)
}

/// Reads a batch file.
///
/// # Errors
/// Anything but one whole batch of version 1. Events of unknown kinds and unknown fields are no errors.
pub fn decode(file: &[u8]) -> Result<Batch, Error> {
    let parts = split(file)?;
    let (payload, unknown_fields) = parse_payload(parts.payload)?;
    Ok(Batch {
        id: BatchId::of(file),
        payload,
        signatures: parts.signatures.into_iter().map(<[u8]>::to_vec).collect(),
        unknown_fields,
    })
}

/// The payload's bytes in a batch file: what signatures are made over.
///
/// # Errors
/// As for [`decode`], as far as the file's frame goes; the payload itself is not looked at.
pub fn payload_bytes(file: &[u8]) -> Result<&[u8], Error> {
    Ok(split(file)?.payload)
}

struct Parts<'a> {
    payload: &'a [u8],
    signatures: Vec<&'a [u8]>,
}

fn limit(what: &'static str, actual: usize, limit: usize) -> Result<(), Error> {
    if actual > limit {
        return Err(Error::Limit { what, actual: actual as u64, limit: limit as u64 });
    }
    Ok(())
}

fn split(file: &[u8]) -> Result<Parts<'_>, Error> {
    limit("size in bytes", file.len(), limits::MAX_BATCH_BYTES)?;
    let mut at = 0usize;
    let mut take = |len: usize| {
        let end = at.saturating_add(len);
        let out =
            file.get(at..end).ok_or(Error::Length { expected_bytes: end as u64, actual_bytes: file.len() as u64 })?;
        at = end;
        Ok::<&[u8], Error>(out)
    };
    let number = |raw: &[u8]| raw.iter().rev().fold(0usize, |n, b| n << 8 | usize::from(*b));
    if !file.starts_with(MAGIC) {
        return Err(Error::Magic);
    }
    take(MAGIC.len())?;
    let version = number(take(4)?);
    if version != VERSION as usize {
        return Err(Error::Version { version: version as u64 });
    }
    let payload_len = number(take(4)?);
    let payload = take(payload_len)?;
    let count = usize::from(take(1)?[0]);
    limit("count of signatures", count, limits::MAX_BATCH_SIGNATURES)?;
    let mut signatures = Vec::new();
    for _ in 0..count {
        let len = number(take(4)?);
        limit("size of a signature", len, limits::MAX_SIGNATURE_BYTES)?;
        signatures.push(take(len)?);
    }
    if at != file.len() {
        return Err(Error::Length { expected_bytes: at as u64, actual_bytes: file.len() as u64 });
    }
    Ok(Parts { payload, signatures })
}

fn parse_payload(bytes: &[u8]) -> Result<(Payload, usize), Error> {
    let spans = skim(bytes)?;
    let mut payload: Payload =
        rmp_serde::from_slice(bytes).map_err(|e| Error::Payload { offset: 0, reason: e.to_string() })?;
    if payload.v != VERSION {
        return Err(Error::Version { version: u64::from(payload.v) });
    }
    if payload.prev.is_some() != (payload.seq > 0) {
        return Err(Error::Payload {
            offset: 0,
            reason: "`prev` is absent for batch 0 of a writer and present for all others".into(),
        });
    }
    limit("count of heads", payload.seen.heads.len(), limits::MAX_BATCH_HEADS)?;
    let mut unknown_fields = 0;
    for (index, span) in spans.into_iter().enumerate() {
        let event = Event::decode(&span.kind, &bytes[span.range]).map_err(|e| Error::Event {
            index,
            kind: span.kind.clone(),
            reason: e.to_string(),
        })?;
        payload.events.push(event);
        unknown_fields += span.unknown_fields;
    }
    Ok((payload, unknown_fields))
}

/// What a path in the ledger tree says about the batch that lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPath {
    /// The writer.
    pub writer: WriterId,
    /// The batch's number.
    pub seq: u64,
    /// The first 6 bytes of the batch id.
    pub prefix: [u8; 6],
}

/// Where a batch lies in the ledger tree.
#[must_use]
pub fn batch_path(writer: WriterId, seq: u64, batch: BatchId) -> String {
    let mut prefix = [0u8; 6];
    prefix.copy_from_slice(&batch.as_bytes()[..6]);
    BatchPath { writer, seq, prefix }.to_path()
}

impl BatchPath {
    fn to_path(self) -> String {
        let writer = self.writer.to_string();
        format!(
            "w/{}/{writer}/{}/{}/{}.{}",
            &writer[..2],
            self.seq >> 12,
            (self.seq >> 6) & 63,
            self.seq & 63,
            to_hex(&self.prefix)
        )
    }
}

/// Reads a path of the ledger tree.
///
/// # Errors
/// Any spelling but the one that [`batch_path`] makes.
pub fn parse_path(path: &str) -> Result<BatchPath, Error> {
    let parsed = || {
        let mut parts = path.split('/');
        let (Some("w"), Some(_), Some(writer), Some(high), Some(middle), Some(last), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let (low, prefix) = last.split_once('.')?;
        let high: u64 = high.parse().ok().filter(|n| *n <= u64::MAX >> 12)?;
        let (middle, low): (u64, u64) = (middle.parse().ok()?, low.parse().ok()?);
        if middle > 63 || low > 63 {
            return None;
        }
        Some(BatchPath {
            writer: writer.parse().ok()?,
            seq: high << 12 | middle << 6 | low,
            prefix: from_hex(prefix).ok()?,
        })
    };
    parsed().filter(|p| p.to_path() == path).ok_or_else(|| Error::Path { path: path.chars().take(200).collect() })
}

/// Refuses a batch that lies at another path than its own.
///
/// # Errors
/// The path is none of a batch, or of another batch.
pub fn check_path(path: &str, batch: &Batch) -> Result<(), Error> {
    parse_path(path)?;
    let expected = batch_path(batch.payload.writer, batch.payload.seq, batch.id);
    if path != expected {
        return Err(Error::Misplaced { batch: batch.id, path: path.to_owned(), expected });
    }
    Ok(())
}
