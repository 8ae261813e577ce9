//! Reading finished packs, wherever their bytes are.

use super::footer::{Footer, TAIL_BYTES, Tail};
use super::frame::{FrameMeta, split_frame};
use super::writer::{HEADER_BYTES, read_pack_header};
use super::{Error, Result};

/// Bytes that can be read at any offset: a slice, a mapped file, a file.
pub trait ReadAt {
    /// How many bytes there are.
    fn len_bytes(&self) -> u64;

    /// Fills `buf` with the bytes from `offset` on. Fewer bytes than that are an error.
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()>;
}

impl ReadAt for [u8] {
    fn len_bytes(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        let from = usize::try_from(offset).ok();
        let bytes =
            from.and_then(|from| self.get(from..)?.get(..buf.len())).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl<R: ReadAt + ?Sized> ReadAt for &R {
    fn len_bytes(&self) -> u64 {
        (**self).len_bytes()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        (**self).read_exact_at(offset, buf)
    }
}

impl ReadAt for Vec<u8> {
    fn len_bytes(&self) -> u64 {
        self.as_slice().len_bytes()
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        self.as_slice().read_exact_at(offset, buf)
    }
}

/// Reads `len` bytes at `offset` after checking that the file has them, so that `len` is safe to allocate.
pub(super) fn read_range<R: ReadAt + ?Sized>(pack: &R, offset: u64, len: usize) -> Result<Vec<u8>> {
    let io = |source| Error::Io { action: "reading", offset, source };
    let end = offset.checked_add(len as u64);
    if end.is_none_or(|end| end > pack.len_bytes()) {
        return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
    }
    let mut bytes = vec![0; len];
    pack.read_exact_at(offset, &mut bytes).map_err(io)?;
    Ok(bytes)
}

/// Reads the footer of a finished pack, after checking the pack's header, tail and digest of the footer.
///
/// Payloads are not read. [`Error::NoFooter`] means that the pack was not finished or lost its end:
/// [`scan`](super::scan) tells what is left of it.
pub fn read_footer<R: ReadAt + ?Sized>(pack: &R) -> Result<Footer> {
    let size = pack.len_bytes();
    let pack_id = read_pack_header(pack)?;
    let Some(tail_at) = size.checked_sub(TAIL_BYTES as u64) else {
        return Err(Error::NoFooter { reason: "the pack is too short" });
    };
    let tail = read_range(pack, tail_at, TAIL_BYTES)?;
    let tail: &[u8; TAIL_BYTES] = tail[..].try_into().expect("as many bytes as asked for");
    let tail = Tail::decode(tail, size)?;
    let len =
        usize::try_from(tail.footer_len).map_err(|_| Error::NoFooter { reason: "its length is out of bounds" })?;
    let bytes = read_range(pack, tail.footer_offset(size), len)?;
    let footer = Footer::decode(&bytes, &tail, size)?;
    if footer.pack_id() != pack_id {
        return Err(Error::Damaged { what: "pack header", offset: 0, reason: "it names the same pack as the footer" });
    }
    Ok(footer)
}

/// Reads the frame header at the front of `bytes`, which begin at `offset` of their pack. The payload need
/// not be there.
pub fn read_frame_header(offset: u64, bytes: &[u8]) -> Result<FrameMeta> {
    FrameMeta::decode_header(offset, bytes).map_err(|reason| Error::Damaged { what: "frame header", offset, reason })
}

/// Reads the payload of the frame that `meta` describes, after checking the header in the file against it.
///
/// The payload itself proves nothing: decode it and pass the result to [`verify_frame`](super::verify_frame).
pub fn read_frame<R: ReadAt + ?Sized>(pack: &R, meta: &FrameMeta) -> Result<Vec<u8>> {
    let range = meta.range();
    let len = usize::try_from(range.end - range.start).map_err(|_| Error::FrameMismatch { offset: meta.offset })?;
    if range.start < HEADER_BYTES as u64 {
        return Err(Error::FrameMismatch { offset: meta.offset });
    }
    let mut bytes = read_range(pack, range.start, len)?;
    split_frame(meta, &bytes)?;
    bytes.drain(..meta.header_len as usize);
    Ok(bytes)
}
