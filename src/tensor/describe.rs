//! Names, types and shapes, for people.

use super::safetensors::{self, PREFIX_BYTES};
use super::{Element, Error, dtype, gguf, npy};

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, as the file spells it; written by others. Empty for npy.
    pub name: String,
    /// Its type, as the layout calls it: `BF16`, `Q4_K`, `<f4`.
    pub dtype: String,
    /// Its dimensions, in the file's own order.
    pub shape: Vec<u64>,
    /// Offset of its first byte in the file.
    pub start: u64,
    /// Offset after its last byte. Announced by the header, so it may lie behind the end of a file cut short.
    pub end: u64,
    /// What its elements are.
    pub element: Element,
    /// Bytes of one element or one quantisation block.
    pub(super) unit_bytes: u64,
}

impl TensorInfo {
    /// How many elements (parameters) the tensor has; `None` when they are more than a `u64` counts.
    #[must_use]
    pub fn element_count(&self) -> Option<u64> {
        dtype::element_count(&self.shape)
    }
}

/// Lists the tensors of a safetensors, GGUF or npy file, given its first bytes.
///
/// Order: by offset for safetensors, by the header's own order for GGUF. GGUF tensors of a type that is not
/// known here are left out.
///
/// # Errors
/// [`Error::HeaderGoesOn`] when `prefix` ends inside the header: read at least `need_bytes` of the file and
/// ask again. [`Error::UnknownLayout`] and [`Error::Invalid`] for bytes that are no such header.
pub fn describe(prefix: &[u8]) -> Result<Vec<TensorInfo>, Error> {
    let have_bytes = prefix.len() as u64;
    let goes_on = |more: u64| Error::HeaderGoesOn { have_bytes, need_bytes: have_bytes.saturating_add(more) };
    if prefix.len() <= PREFIX_BYTES {
        return Err(goes_on((PREFIX_BYTES + 1 - prefix.len()) as u64));
    }
    if prefix.starts_with(gguf::MAGIC) {
        return match gguf::Reader::new().feed(prefix).1 {
            gguf::Progress::Header(tensors) => Ok(tensors),
            gguf::Progress::Needs(more) => Err(goes_on(more)),
            gguf::Progress::Unknown => {
                Err(Error::Invalid { layout: "GGUF", reason: "it is not one of version 2 or 3" })
            }
        };
    }
    if prefix.starts_with(npy::MAGIC) {
        return match npy::Reader::new().feed(prefix) {
            (used, npy::Progress::Header(header)) => Ok(vec![TensorInfo {
                name: String::new(),
                dtype: header.descr,
                shape: header.shape,
                start: used as u64,
                end: (used as u64).saturating_add(header.payload_bytes),
                element: header.dtype.element,
                unit_bytes: header.dtype.unit_bytes,
            }]),
            (_, npy::Progress::Needs(more)) => Err(goes_on(more as u64)),
            (_, npy::Progress::Unknown) => Err(Error::Invalid { layout: "npy", reason: "it is not a simple array" }),
        };
    }
    let Some(length) = safetensors::safetensors_header_bytes(prefix) else {
        return Err(Error::UnknownLayout);
    };
    let whole = PREFIX_BYTES as u64 + length;
    if have_bytes < whole {
        return Err(goes_on(whole - have_bytes));
    }
    let whole = usize::try_from(whole).expect("it is not longer than the bytes given");
    safetensors::tensors(&prefix[PREFIX_BYTES..whole])
        .map_err(|reason| Error::Invalid { layout: "safetensors", reason })
}
