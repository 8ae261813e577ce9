//! What a remote holds, record by record.

use super::cache::RemoteCache;
use super::{Error, Result};
use crate::fsio::{self, Map};
use crate::id::{Digest, PackId, RemoteId};
use crate::limits::{MAX_PACK_FOOTER_BYTES, MAX_SEGMENT_BYTES};
use crate::pack::segment::{Check, Segment};
use crate::pack::{self, FrameMeta, RecordKey};
use crate::remote::{Fold, Key, Log, PackRef, RangeRequest, Remote, SegmentRef};
use bytes::Bytes;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// How much of a pack's end is read first: most footers fit.
const FIRST_END_BYTES: u64 = 256 * 1024;

/// The frames of one pack at a remote, and for each record's ordinal its frame.
struct PackFrames {
    frames: Vec<Arc<FrameMeta>>,
    ordinals: Vec<u32>,
}

/// Where a record is at a remote.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) at: PackRef,
    pub(super) frame: Arc<FrameMeta>,
}

impl Found {
    pub(super) fn range(&self) -> RangeRequest {
        let range = self.frame.range();
        RangeRequest { key: Key::Pack(self.at.sid, self.at.pack), offset: range.start, len: range.end - range.start }
    }
}

/// A remote with its log, segments and footers as far as they were needed.
pub struct RemoteView {
    remote: Remote,
    location: String,
    cache: RemoteCache,
    log: Log,
    entries: Vec<Bytes>,
    segments: Vec<Segment<Map>>,
    loaded: usize,
    frames: HashMap<PackId, Arc<PackFrames>>,
}

impl RemoteView {
    /// Reads the log of `remote`, beginning with what `clade_dir` keeps of it.
    pub fn open(remote: Remote, clade_dir: &Path) -> Result<Self> {
        let location = remote.transport().location().to_owned();
        let cache = RemoteCache::open(clade_dir, remote.id())?;
        let err = |source| Error::Remote { location: location.clone(), source };
        let known = cache.log()?;
        let log = match remote.log(known.clone()) {
            Ok(log) => log,
            // What is kept may be damaged; what the remote says may not.
            Err(e) if e.is_integrity() && !known.is_empty() => remote.log(Vec::new()).map_err(err)?,
            Err(e) => return Err(err(e)),
        };
        let mut view = Self {
            remote,
            location,
            cache,
            entries: known,
            log,
            segments: Vec::new(),
            loaded: 0,
            frames: HashMap::new(),
        };
        view.keep_log()?;
        Ok(view)
    }

    /// Keeps what the log has learned.
    fn keep_log(&mut self) -> Result<()> {
        let fresh = self.log.take_new();
        if fresh.is_empty() {
            return Ok(());
        }
        let first = usize::try_from(fresh[0].entry.seq.saturating_sub(1)).unwrap_or(usize::MAX);
        self.entries.truncate(first);
        self.entries.extend(fresh.into_iter().map(|e| e.bytes));
        self.cache.put_log(&self.entries)
    }

    /// The remote itself.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The remote's identity.
    #[must_use]
    pub fn id(&self) -> RemoteId {
        self.remote.id()
    }

    /// Where the remote is, for people.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What the log says, as far as it was read.
    #[must_use]
    pub fn fold(&self) -> &Fold {
        self.log.fold()
    }

    pub(super) fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Reads what was added to the log since.
    pub fn refresh(&mut self) -> Result<()> {
        self.log.catch_up().map_err(|e| self.err(e))?;
        self.keep_log()
    }

    pub(super) fn err(&self, source: crate::remote::Error) -> Error {
        match source {
            crate::remote::Error::Interrupted => Error::Interrupted(crate::progress::Interrupted),
            source => Error::Remote { location: self.location.clone(), source },
        }
    }

    fn pack_err(&self, source: pack::Error) -> Error {
        Error::Pack { location: self.location.clone(), source }
    }

    /// Whether the remote holds a record in a pack on which a push may rely.
    pub fn has(&mut self, key: &RecordKey) -> Result<bool> {
        Ok(self.locate(key)?.iter().any(|f| self.fold().is_usable(&f.at.pack)))
    }

    /// Whether the remote holds every part of a file in packs on which a push may rely. The file's description
    /// must be in `store` or at the remote.
    pub fn has_file(
        &mut self,
        store: &crate::store::Store,
        wanted: super::Wanted,
        interrupt: &crate::progress::Interrupt,
    ) -> Result<bool> {
        let recipe = RecordKey::recipe(wanted.file);
        let Some(terms) = store.terms(wanted.file, wanted.size_bytes)? else { return Ok(false) };
        let is_one_chunk = matches!(&terms[..], [crate::manifest::Term::Chunk { .. }]);
        if !is_one_chunk && !terms.is_empty() && !self.has(&recipe)? {
            return Ok(false);
        }
        for term in terms {
            interrupt.check()?;
            if let crate::manifest::Term::Chunk { id, .. } = term
                && !self.has(&RecordKey::chunk(id))?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The version of `asset` in the commit that a git ref had when it was last pushed.
    #[must_use]
    pub fn version_at_ref(&self, name: &str, asset: &str) -> Option<crate::id::ContentId> {
        let git = self.fold().git.get(name)?;
        git.assets.iter().find(|a| a.asset == asset).map(|a| a.content)
    }

    /// Everywhere a record is in packs that can be read.
    pub(super) fn locate(&mut self, key: &RecordKey) -> Result<Vec<Found>> {
        self.load_segments()?;
        let hits: Vec<(PackId, u32)> =
            self.segments.iter().rev().flat_map(|s| s.lookup(key).flatten().map(|c| (c.pack_id, c.ordinal))).collect();
        let mut out = Vec::new();
        for (pack, ordinal) in hits {
            let Some(state) = self.fold().packs.get(&pack).filter(|p| !p.swept) else { continue };
            let at = state.at;
            let frames = self.pack_frames(at)?;
            let Some(frame) = frames.ordinals.get(ordinal as usize).and_then(|n| frames.frames.get(*n as usize)) else {
                continue;
            };
            if frame.records.iter().any(|r| r.key == *key) {
                out.push(Found { at, frame: frame.clone() });
            }
        }
        Ok(out)
    }

    fn load_segments(&mut self) -> Result<()> {
        let wanted: Vec<SegmentRef> = self.fold().segments[self.loaded..].to_vec();
        for at in wanted {
            let path = self.cache.segment_path(at.segment);
            let kept = if fsio::exists(&path) { Map::open(&path).ok() } else { None };
            let segment = match kept.and_then(|map| Segment::open(map, Check::Quick).ok()) {
                Some(segment) => segment,
                None => {
                    let key = Key::Segment(at.sid, at.segment);
                    let max = at.size_bytes.min(MAX_SEGMENT_BYTES);
                    let bytes = self.remote.transport().get_existing(&key, max).map_err(|e| self.err(e))?;
                    let actual = Digest::of(&bytes);
                    if actual != at.blake3 {
                        return Err(self.err(crate::remote::Error::Corrupt {
                            key: key.to_string(),
                            expected: at.blake3.to_string(),
                            actual: actual.to_string(),
                        }));
                    }
                    Segment::open(&bytes[..], Check::Full).map_err(|e| self.pack_err(e))?;
                    let path = self.cache.put_segment(at.segment, &bytes)?;
                    Segment::open(Map::open(&path)?, Check::Quick).map_err(|e| self.pack_err(e))?
                }
            };
            self.segments.push(segment);
            self.loaded += 1;
        }
        Ok(())
    }

    fn pack_frames(&mut self, at: PackRef) -> Result<Arc<PackFrames>> {
        if let Some(frames) = self.frames.get(&at.pack) {
            return Ok(frames.clone());
        }
        let footer = match self.cache.footer(at.pack)?.map(|end| decode_end(&end, at.size_bytes)) {
            Some(Ok(footer)) => footer,
            _ => {
                let end = self.read_end(at)?;
                let footer = decode_end(&end, at.size_bytes).map_err(|e| self.pack_err(e))?;
                self.cache.put_footer(at.pack, &end)?;
                footer
            }
        };
        if footer.pack_id() != at.pack {
            return Err(self.pack_err(pack::Error::Magic { what: "pack of this name" }));
        }
        let mut ordinals = Vec::with_capacity(footer.record_count() as usize);
        let mut frames = Vec::with_capacity(footer.frames().len());
        for (n, frame) in footer.frames().iter().enumerate() {
            let n = u32::try_from(n).expect("a pack has less than 2^24 records");
            ordinals.extend(std::iter::repeat_n(n, frame.records.len()));
            frames.push(Arc::new(frame.clone()));
        }
        let out = Arc::new(PackFrames { frames, ordinals });
        self.frames.insert(at.pack, out.clone());
        Ok(out)
    }

    /// The last bytes of a pack, exactly footer and tail.
    fn read_end(&self, at: PackRef) -> Result<Vec<u8>> {
        let key = Key::Pack(at.sid, at.pack);
        let read = |len: u64| {
            let offset = at.size_bytes - len;
            self.remote.transport().get_range(&key, offset, len).map_err(|e| self.err(e))
        };
        let first = read(FIRST_END_BYTES.min(at.size_bytes))?;
        let need = tail(&first, at.size_bytes).map_err(|e| self.pack_err(e))?.footer_len + pack::TAIL_BYTES as u64;
        if need > MAX_PACK_FOOTER_BYTES + pack::TAIL_BYTES as u64 {
            return Err(self.pack_err(pack::Error::NoFooter { reason: "its length is out of bounds" }));
        }
        if need <= first.len() as u64 {
            let skip = first.len() - usize::try_from(need).expect("at most what was read");
            return Ok(first[skip..].to_vec());
        }
        Ok(read(need)?.to_vec())
    }

    /// Notes packs that this process just committed, so that nothing of them is asked for.
    pub(super) fn keep_end(&self, pack: PackId, end: &[u8]) -> Result<()> {
        self.cache.put_footer(pack, end)
    }

    pub(super) fn keep_segment(&self, at: SegmentRef, bytes: &[u8]) -> Result<()> {
        self.cache.put_segment(at.segment, bytes).map(|_| ())
    }

    pub(super) fn after_commit(&mut self) -> Result<()> {
        self.keep_log()
    }
}

/// The tail at the end of `end`, the last bytes of a pack of `pack_bytes` bytes.
fn tail(end: &[u8], pack_bytes: u64) -> Result<pack::Tail, pack::Error> {
    let last = end.last_chunk().ok_or(pack::Error::NoFooter { reason: "the pack is too short" })?;
    pack::Tail::decode(last, pack_bytes)
}

/// The footer of a pack from its last bytes, exactly footer and tail.
fn decode_end(end: &[u8], pack_bytes: u64) -> Result<pack::Footer, pack::Error> {
    let tail = tail(end, pack_bytes)?;
    pack::Footer::decode(&end[..end.len() - pack::TAIL_BYTES], &tail, pack_bytes)
}
