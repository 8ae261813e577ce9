//! safetensors: `u64` header length, a JSON header, data.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::{Payload, TensorInfo, block_bytes, dtype, in_order};
use crate::limits;

/// Bytes of the length field.
pub(super) const PREFIX_BYTES: usize = 8;

/// One entry of the header; offsets count from the data's start.
#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header's entries in the order written. A name that stands twice is an error: readers differ on
/// which one holds.
struct Header(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut entries = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else if entries.insert(name, map.next_value()?).is_some() {
                        return Err(serde::de::Error::custom("a name stands twice"));
                    }
                }
                Ok(Header(entries))
            }
        }
        d.deserialize_map(Entries)
    }
}

/// Length of the JSON header, when the first bytes can be those of a safetensors file of a length that is
/// looked at. Needs nine bytes; fewer are `None`.
#[must_use]
pub fn safetensors_header_bytes(prefix: &[u8]) -> Option<u64> {
    let (length, rest) = prefix.split_first_chunk::<PREFIX_BYTES>()?;
    let length = u64::from_le_bytes(*length);
    let fits = (2..=limits::MAX_TENSOR_HEADER_BYTES as u64).contains(&length);
    (fits && rest.first() == Some(&b'{')).then_some(length)
}

/// Names, types and places of the tensors. `json` is the header without its length.
pub(super) fn tensors(json: &[u8]) -> Result<Vec<TensorInfo>, &'static str> {
    let data_start = (PREFIX_BYTES + json.len()) as u64;
    let Header(entries) = serde_json::from_slice(json).map_err(|_| "it is not a JSON map of tensors")?;
    let mut out = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let (from, to) = entry.data_offsets;
        let length = to.checked_sub(from).ok_or("a tensor ends before it starts")?;
        let known = dtype::safetensors(&entry.dtype);
        if let Some(known) = known
            && known.total_bytes(&entry.shape) != Some(length)
        {
            return Err("a tensor's length is not that of its type and shape");
        }
        let end = data_start.checked_add(to);
        out.push(TensorInfo {
            name,
            dtype: entry.dtype,
            shape: entry.shape,
            start: data_start.saturating_add(from),
            end: end.ok_or("a tensor ends behind any file")?,
            element: known.map_or(super::Element::Unknown, |d| d.element),
            unit_bytes: known.map_or(1, |d| d.unit_bytes),
        });
    }
    out.sort_by(|a, b| (a.start, a.end, &a.name).cmp(&(b.start, b.end, &b.name)));
    Ok(out)
}

/// Where the payloads are; `None` on any doubt.
pub(super) fn payloads(json: &[u8]) -> Option<Vec<Payload>> {
    let tensors = tensors(json).ok()?;
    in_order(tensors.iter().map(payload).collect())
}

pub(super) fn payload(tensor: &TensorInfo) -> Payload {
    Payload {
        start: tensor.start,
        end: tensor.end,
        block_bytes: block_bytes(tensor.unit_bytes),
        element: tensor.element,
    }
}

/// What keeps a file from being the safetensors file it claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsProblem {
    /// The file ends inside the header.
    #[error("the file ends after {have_bytes} of the {need_bytes} bytes of its header")]
    HeaderCut {
        /// The file's length.
        have_bytes: u64,
        /// Length of the header, its length field included.
        need_bytes: u64,
    },
    /// The file ends before the last tensor does.
    #[error("the file has {have_bytes} of the {need_bytes} bytes that its header announces")]
    DataCut {
        /// The file's length.
        have_bytes: u64,
        /// Where the last tensor ends.
        need_bytes: u64,
    },
    /// The first bytes are not those of a safetensors file.
    #[error("the file does not start like a safetensors file")]
    NotSafetensors,
    /// The header is there and is not valid.
    #[error("the header is not valid: {reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes follow after the last tensor.
    #[error("the file has {have_bytes} bytes, its header announces {need_bytes}")]
    BytesAfterEnd {
        /// The file's length.
        have_bytes: u64,
        /// Where the last tensor ends.
        need_bytes: u64,
    },
}

impl SafetensorsProblem {
    /// Whether the file was cut short, so that a copy or a download is likely to have failed.
    #[must_use]
    pub fn is_truncation(&self) -> bool {
        matches!(self, Self::HeaderCut { .. } | Self::DataCut { .. })
    }
}

/// What is wrong with a file that claims to be safetensors, for a warning before it is kept.
///
/// `prefix` holds the first bytes: all of them, or at least the whole header (9 bytes tell its length, see
/// [`safetensors_header_bytes`]); `total_bytes` is the file's length. `None` when nothing is wrong, and when
/// `prefix` is shorter than a header that the file has, so that nothing can be said.
#[must_use]
pub fn safetensors_problem(prefix: &[u8], total_bytes: u64) -> Option<SafetensorsProblem> {
    let cut = |need_bytes| SafetensorsProblem::HeaderCut { have_bytes: total_bytes, need_bytes };
    let whole_file = prefix.len() as u64 >= total_bytes;
    let Some((length, rest)) = prefix.split_first_chunk::<PREFIX_BYTES>() else {
        return whole_file.then(|| cut(PREFIX_BYTES as u64));
    };
    let length = u64::from_le_bytes(*length);
    let looked_at = (2..=limits::MAX_TENSOR_HEADER_BYTES as u64).contains(&length);
    if !looked_at || rest.first().is_some_and(|&b| b != b'{') {
        return Some(SafetensorsProblem::NotSafetensors);
    }
    let need_bytes = PREFIX_BYTES as u64 + length;
    if total_bytes < need_bytes {
        return Some(cut(need_bytes));
    }
    let length = usize::try_from(length).ok()?;
    let tensors = match tensors(rest.get(..length)?) {
        Ok(tensors) => tensors,
        Err(reason) => return Some(SafetensorsProblem::Invalid { reason }),
    };
    let end = tensors.iter().map(|t| t.end).max().unwrap_or(need_bytes);
    let (have_bytes, need_bytes) = (total_bytes, end);
    if in_order(tensors.iter().map(payload).collect()).is_none() {
        let reason = "two tensors overlap";
        return Some(SafetensorsProblem::Invalid { reason });
    }
    match have_bytes.cmp(&need_bytes) {
        std::cmp::Ordering::Less => Some(SafetensorsProblem::DataCut { have_bytes, need_bytes }),
        std::cmp::Ordering::Greater => Some(SafetensorsProblem::BytesAfterEnd { have_bytes, need_bytes }),
        std::cmp::Ordering::Equal => None,
    }
}
