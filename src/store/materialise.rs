//! Files out: every chunk verified before it is written, every file before it gets its name.

use super::{Error, Result, Store, digest_of};
use crate::fsio::{self, File, Map, TempFile};
use crate::id::{ChunkId, FileId};
use crate::manifest::Term;
use crate::pack::{RecordKey, RecordKind};
use crate::progress::{Interrupt, Progress};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::Path;

/// Plain bytes of neighbouring terms that one job handles.
const JOB_BYTES: u64 = 4 * 1024 * 1024;

impl Store {
    /// Writes the bytes of `file` to `dest`, replacing what is there in one step. `mode` are permission
    /// bits. Nothing is written to `dest` unless all of it is
    /// right. Not durable: what is in the store can be written again.
    pub fn materialise(
        &self,
        file: FileId,
        size_bytes: u64,
        dest: &Path,
        mode: u32,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<()> {
        self.materialise_if(file, size_bytes, dest, mode, progress, interrupt, &|| true).map(|_| ())
    }

    /// Like [`Store::materialise`], but asks `confirm` right before the file gets its name: for a destination that
    /// may be edited meanwhile. Returns whether it got it.
    #[expect(clippy::too_many_arguments, reason = "one more than materialise, for the same things")]
    pub fn materialise_if(
        &self,
        file: FileId,
        size_bytes: u64,
        dest: &Path,
        mode: u32,
        progress: &dyn Progress,
        interrupt: &Interrupt,
        confirm: &dyn Fn() -> bool,
    ) -> Result<bool> {
        // In the store where a rename can reach the destination, so that a kill leaves nothing in the working tree.
        let dir = dest.parent().unwrap_or(Path::new("."));
        let tmp = self.tmp_dir();
        let same = fsio::stat(dir)?.map(|s| s.dev) == fsio::stat(&tmp)?.map(|s| s.dev);
        let mut temp = TempFile::new_in(if same { &tmp } else { dir }, ".clade-")?;
        self.write_to(file, size_bytes, temp.file(), progress, interrupt)?;
        fsio::set_mode(temp.path(), mode)?;
        let confirmed = confirm();
        if confirmed {
            temp.persist_unsynced(dest)?;
        }
        Ok(confirmed)
    }

    /// Writes the bytes of `file` into an empty file and checks them as a whole.
    fn write_to(
        &self,
        file: FileId,
        size_bytes: u64,
        out: &File,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let terms = self.terms_or_missing(file, size_bytes)?;
        out.set_len(size_bytes)?;
        jobs(&terms).par_iter().try_for_each(|job| -> Result<()> {
            interrupt.check()?;
            self.chunks_of(job, |offset, bytes| {
                out.write_all_at(bytes, offset)?;
                progress.bytes(bytes.len() as u64);
                Ok(())
            })
        })?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_rayon(&Map::of(out)?);
        check(file, &hasher)?;
        progress.items(1);
        Ok(())
    }

    /// Streams the bytes of `file` in order. Every chunk is verified before it is written; that together
    /// they are the file is known at the end, so after an error `out` holds the beginning of something.
    pub fn copy_to(&self, file: FileId, size_bytes: u64, out: &mut dyn Write, interrupt: &Interrupt) -> Result<()> {
        let terms = self.terms_or_missing(file, size_bytes)?;
        let mut stream = Stream { hasher: blake3::Hasher::new(), at: 0, out };
        for job in jobs(&terms) {
            interrupt.check()?;
            self.chunks_of(&job, |offset, bytes| {
                stream.zeros_until(offset)?;
                stream.put(bytes)
            })?;
        }
        stream.zeros_until(size_bytes)?;
        check(file, &stream.hasher)
    }

    fn terms_or_missing(&self, file: FileId, size_bytes: u64) -> Result<Vec<Term>> {
        let missing = || Error::Missing { kind: RecordKind::RECIPE, id: file.0 };
        let terms = match self.terms(file, size_bytes)? {
            Some(terms) => terms,
            None => {
                // Another process may have added it since this one looked.
                self.reload()?;
                self.terms(file, size_bytes)?.ok_or_else(missing)?
            }
        };
        let total: u64 = terms.iter().map(Term::len_bytes).sum();
        if total != size_bytes { Err(Error::WrongFile { expected: file, actual: FileId::of(b"") }) } else { Ok(terms) }
    }

    /// Calls `put` with the offset and the verified bytes of each chunk of a job, in order. Chunks that
    /// share a frame are decoded once.
    fn chunks_of(&self, job: &Job<'_>, mut put: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut frame = OpenFrame::default();
        let mut offset = job.offset;
        for term in job.terms {
            if let Term::Chunk { id, .. } = term {
                if frame.chunk(id).is_none() {
                    frame = self.open_frame(id)?;
                }
                match frame.chunk(id) {
                    Some(bytes) => put(offset, bytes)?,
                    // Damaged there: the slow way tries every pack, and says what is wrong.
                    None => {
                        let missing = Error::Missing { kind: RecordKind::DATA, id: id.0 };
                        put(offset, &self.record(RecordKind::DATA, &id.0)?.ok_or(missing)?)?;
                    }
                }
            }
            offset += term.len_bytes();
        }
        Ok(())
    }

    /// The first frame that lists a chunk; without any chunks when it cannot be read.
    fn open_frame(&self, id: &ChunkId) -> Result<OpenFrame> {
        let places = self.read_catalog().locate(&RecordKey::chunk(*id))?;
        let Some(place) = places.into_iter().next() else { return Ok(OpenFrame::default()) };
        let Ok(plain) = self.read_frame(&place.path, place.pack, &place.frame, 0) else {
            return Ok(OpenFrame::default());
        };
        let data = place.frame.records.iter().filter(|r| r.key.kind == RecordKind::DATA);
        Ok(OpenFrame { plain, chunks: data.map(|r| (ChunkId(r.key.id), r.range())).collect() })
    }
}

/// A decoded frame and where its chunks are in it.
#[derive(Default)]
struct OpenFrame {
    plain: Vec<u8>,
    chunks: BTreeMap<ChunkId, Range<usize>>,
}

impl OpenFrame {
    /// The bytes of a chunk, if they are in this frame and right.
    fn chunk(&self, id: &ChunkId) -> Option<&[u8]> {
        let bytes = self.plain.get(self.chunks.get(id)?.clone())?;
        (digest_of(bytes).0 == id.0).then_some(bytes)
    }
}

/// Bytes on their way out, hashed as they pass.
struct Stream<'a> {
    hasher: blake3::Hasher,
    at: u64,
    out: &'a mut dyn Write,
}

impl Stream<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
        let what = || "the pipe that reads it".to_owned();
        self.out.write_all(bytes).map_err(|source| Error::Input { what: what(), source })
    }

    fn zeros_until(&mut self, offset: u64) -> Result<()> {
        static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
        while self.at < offset {
            let n = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(ZEROS.len());
            self.put(&ZEROS[..n])?;
        }
        Ok(())
    }
}

/// Neighbouring terms and where in the file they begin.
struct Job<'a> {
    offset: u64,
    terms: &'a [Term],
}

fn jobs(terms: &[Term]) -> Vec<Job<'_>> {
    let mut out = Vec::new();
    let (mut start, mut offset, mut bytes, mut at) = (0, 0, 0, 0);
    for (i, term) in terms.iter().enumerate() {
        at += term.len_bytes();
        bytes += match term {
            Term::Chunk { len_bytes, .. } => u64::from(*len_bytes),
            Term::Hole { .. } => 0,
        };
        if bytes >= JOB_BYTES || i + 1 == terms.len() {
            out.push(Job { offset, terms: &terms[start..=i] });
            (start, offset, bytes) = (i + 1, at, 0);
        }
    }
    out
}

fn check(expected: FileId, hasher: &blake3::Hasher) -> Result<()> {
    let actual = FileId::from(hasher.finalize());
    if actual == expected { Ok(()) } else { Err(Error::WrongFile { expected, actual }) }
}
