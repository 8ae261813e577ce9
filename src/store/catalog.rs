//! Which packs and segments there are, and where a record is.

use super::sink::{OPEN, PACK, pack_path};
use super::{Error, Result};
use crate::fsio::{self, File, Map};
use crate::id::PackId;
use crate::index::{Index, PackRow};
use crate::pack::segment::{Check, Segment, SegmentBuilder};
use crate::pack::{self, Footer, FrameMeta, RecordKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Footers kept in memory at most.
const MAX_FOOTERS: usize = 4096;

/// Where a record is: a frame of a pack, and its number in the frame.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) pack: PackId,
    pub(super) path: PathBuf,
    pub(super) frame: Arc<FrameMeta>,
    pub(super) record: usize,
}

/// The frames of one pack, and for each record's ordinal its frame and number.
#[derive(Debug, Default)]
struct PackFrames {
    frames: Vec<Arc<FrameMeta>>,
    ordinals: Vec<(u32, u32)>,
}

impl PackFrames {
    fn push(&mut self, frame: FrameMeta) {
        let n = u32::try_from(self.frames.len()).expect("a pack has less than 2^24 frames");
        for r in 0..frame.records.len() {
            self.ordinals.push((n, u32::try_from(r).expect("a frame has at most 4096 records")));
        }
        self.frames.push(Arc::new(frame));
    }

    fn of(footer: &Footer) -> Self {
        let mut out = Self::default();
        for frame in footer.frames().iter().cloned() {
            out.push(frame);
        }
        out
    }
}

#[derive(Debug)]
struct PackFile {
    path: PathBuf,
    size_bytes: u64,
}

/// Everything that is known of what is on disk.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    packs: BTreeMap<PackId, PackFile>,
    segments: Vec<(PathBuf, Segment<Map>)>,
    /// Records of packs that no segment covers: session packs of this process, mostly.
    loose: HashMap<RecordKey, (PackId, u32)>,
    frames: Mutex<HashMap<PackId, Arc<PackFrames>>>,
    open: HashMap<PackId, PackFrames>,
    /// Packs of which a segment or the index speaks, and which are not there or have another size.
    missing: BTreeSet<PackId>,
}

impl Catalog {
    pub(super) fn load(dir: &Path, index: &Index) -> Result<Self> {
        let mut out = Self::default();
        out.adopt_leftovers(dir, index)?;
        let packs = dir.join("packs");
        for name in fsio::list_dir(&packs)? {
            let path = packs.join(&name);
            let Some(id) = parse_name(&path, PACK) else { continue };
            let Some(stat) = fsio::stat(&path)? else { continue };
            out.packs.insert(id, PackFile { path, size_bytes: stat.size_bytes });
        }
        for row in index.packs()? {
            if out.packs.get(&row.id).is_none_or(|p| p.size_bytes != row.size_bytes) {
                out.missing.insert(row.id);
            }
        }
        let mut covered = BTreeSet::new();
        let segments = dir.join("segments");
        for name in fsio::list_dir(&segments)? {
            let path = segments.join(&name);
            if path.extension().is_none_or(|e| e != "seg") {
                continue;
            }
            // Derived data: a damaged segment is made anew from the footers of its packs.
            let Ok(segment) = Map::open(&path).map_err(Error::from).and_then(|map| {
                Segment::open(map, Check::Quick).map_err(|source| Error::Pack { path: path.clone(), source })
            }) else {
                fsio::remove_file(&path)?;
                continue;
            };
            for pack in segment.packs() {
                match out.packs.get(&pack.pack_id) {
                    Some(file) if file.size_bytes == pack.size_bytes => {
                        covered.insert(pack.pack_id);
                    }
                    _ => {
                        out.missing.insert(pack.pack_id);
                    }
                }
            }
            out.segments.push((path, segment));
        }
        let bare: Vec<PackId> = out.packs.keys().filter(|id| !covered.contains(*id)).copied().collect();
        for id in bare {
            // A pack whose footer cannot be read is damaged: it is never deduplicated against, and `verify`
            // names it.
            match out.pack_frames(&id) {
                Ok(frames) => out.index_loose(id, &frames),
                Err(Error::Pack { .. }) => {
                    out.missing.insert(id);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(out)
    }

    fn index_loose(&mut self, id: PackId, frames: &PackFrames) {
        for (ordinal, (frame, record)) in frames.ordinals.iter().enumerate() {
            let key = frames.frames[*frame as usize].records[*record as usize].key;
            let ordinal = u32::try_from(ordinal).expect("a pack has less than 2^24 records");
            self.loose.insert(key, (id, ordinal));
        }
    }

    /// Finishes session packs whose process is gone: whole frames are kept, a torn one at the end is cut.
    fn adopt_leftovers(&mut self, dir: &Path, index: &Index) -> Result<()> {
        let packs = dir.join("packs");
        for name in fsio::list_dir(&packs)? {
            let path = packs.join(&name);
            let Some(id) = parse_name(&path, OPEN) else { continue };
            let file = match File::open_rw(&path) {
                Ok(file) => file,
                // Another process adopted it just now.
                Err(e) if e.is_not_found() => continue,
                Err(e) => return Err(e.into()),
            };
            if !file.try_lock_exclusive()? || !fsio::exists(&path) {
                continue;
            }
            let map = Map::of(&file)?;
            let scan = pack::scan(&map[..]);
            match scan {
                Ok(scan) if !scan.frames.is_empty() && scan.pack_id == Some(id) => {
                    let finished = finish_leftover(file, &map, &scan).map_err(|e| e.at(&path))?;
                    fsio::rename(&path, &pack_path(dir, &id))?;
                    fsio::sync_dir(&packs)?;
                    index.put_packs(&[PackRow {
                        id,
                        size_bytes: finished.size_bytes,
                        digest: Some(finished.digest),
                        verified_ms: None,
                    }])?;
                }
                // Nothing in it was ever reported as stored.
                _ => fsio::remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Packs and their bytes.
    pub(super) fn totals(&self) -> (u64, u64) {
        (self.packs.len() as u64, self.packs.values().map(|p| p.size_bytes).sum())
    }

    pub(super) fn packs(&self) -> impl Iterator<Item = (&PackId, &Path, u64)> {
        self.packs.iter().map(|(id, p)| (id, p.path.as_path(), p.size_bytes))
    }

    pub(super) fn missing(&self) -> &BTreeSet<PackId> {
        &self.missing
    }

    pub(super) fn segments(&self) -> &[(PathBuf, Segment<Map>)] {
        &self.segments
    }

    /// All places of a record, likeliest first; only packs that are there.
    pub(super) fn locate(&self, key: &RecordKey) -> Result<Vec<Place>> {
        let mut out = Vec::new();
        if let Some((pack, ordinal)) = self.loose.get(key) {
            out.extend(self.place(pack, *ordinal, key)?);
        }
        for (_, segment) in self.segments.iter().rev() {
            for hit in segment.lookup(key) {
                // A damaged entry hides nothing that another pack holds.
                let Ok(hit) = hit else { continue };
                if self.packs.contains_key(&hit.pack_id) && !self.missing.contains(&hit.pack_id) {
                    out.extend(self.place(&hit.pack_id, hit.ordinal, key)?);
                }
            }
        }
        Ok(out)
    }

    /// Whether a record is listed in a pack that is there. A hit in a segment is confirmed in the footer.
    pub(super) fn contains(&self, key: &RecordKey) -> Result<bool> {
        Ok(!self.locate(key)?.is_empty())
    }

    fn place(&self, pack: &PackId, ordinal: u32, key: &RecordKey) -> Result<Option<Place>> {
        let at = |frames: &PackFrames, path: PathBuf| {
            let (frame, record) = *frames.ordinals.get(ordinal as usize)?;
            let frame = frames.frames.get(frame as usize)?;
            // The index holds the beginning of ids only.
            (frame.records.get(record as usize)?.key == *key).then(|| Place {
                pack: *pack,
                path,
                frame: frame.clone(),
                record: record as usize,
            })
        };
        if let Some(frames) = self.open.get(pack) {
            let path = self.packs.get(pack).map(|p| p.path.clone()).unwrap_or_default();
            return Ok(at(frames, path));
        }
        let Some(file) = self.packs.get(pack) else { return Ok(None) };
        match self.pack_frames(pack) {
            Ok(frames) => Ok(at(&frames, file.path.clone())),
            // A damaged or vanished pack does not hide what another pack may hold.
            Err(Error::Pack { .. }) => Ok(None),
            Err(Error::Fsio(e)) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The frames of a finished pack, from its footer.
    fn pack_frames(&self, id: &PackId) -> Result<Arc<PackFrames>> {
        let mut frames = self.frames.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = frames.get(id) {
            return Ok(found.clone());
        }
        let path = &self.packs[id].path;
        let map = Map::open(path)?;
        let footer = pack::read_footer(&map[..]).map_err(|source| Error::Pack { path: path.clone(), source })?;
        if footer.pack_id() != *id {
            return Err(Error::Pack { path: path.clone(), source: pack::Error::Magic { what: "pack of this name" } });
        }
        let out = Arc::new(PackFrames::of(&footer));
        if frames.len() >= MAX_FOOTERS {
            frames.clear();
        }
        frames.insert(*id, out.clone());
        Ok(out)
    }

    /// Notes a frame that this process appended to its open pack.
    pub(super) fn note_open(&mut self, pack: PackId, path: &Path, frame: FrameMeta) {
        self.packs.entry(pack).or_insert_with(|| PackFile { path: path.to_path_buf(), size_bytes: 0 });
        let frames = self.open.entry(pack).or_default();
        let first = frames.ordinals.len();
        let keys: Vec<RecordKey> = frame.records.iter().map(|r| r.key).collect();
        frames.push(frame);
        for (i, key) in keys.into_iter().enumerate() {
            let ordinal = u32::try_from(first + i).expect("a pack has less than 2^24 records");
            self.loose.insert(key, (pack, ordinal));
        }
    }

    /// Notes that an open pack is finished.
    pub(super) fn note_finished(&mut self, dir: &Path, row: &PackRow) {
        self.packs.insert(row.id, PackFile { path: pack_path(dir, &row.id), size_bytes: row.size_bytes });
        if let Some(frames) = self.open.remove(&row.id) {
            self.frames.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, Arc::new(frames));
        }
    }

    /// Notes that an open pack was thrown away before anything in it was reported as stored.
    pub(super) fn note_discarded(&mut self, id: &PackId) {
        self.packs.remove(id);
        self.open.remove(id);
        self.loose.retain(|_, (pack, _)| pack != id);
    }

    /// A segment over the named packs, which must be there and whole.
    pub(super) fn build_segment(&self, ids: impl IntoIterator<Item = PackId>) -> Result<SegmentBuilder> {
        let mut builder = SegmentBuilder::new();
        for id in ids {
            let file = &self.packs[&id];
            let frames = self.pack_frames(&id)?;
            let keys = frames.frames.iter().flat_map(|f| f.records.iter().map(|r| r.key));
            builder.add_pack(id, file.size_bytes, keys).map_err(|e| Error::of_pack(&file.path, e))?;
        }
        Ok(builder)
    }

    /// Replaces segments by one that covers what they covered.
    pub(super) fn swap_segments(&mut self, removed: &[PathBuf], path: PathBuf, segment: Segment<Map>) {
        self.segments.retain(|(p, _)| !removed.contains(p));
        let covered: BTreeSet<PackId> = segment.packs().map(|p| p.pack_id).collect();
        self.loose.retain(|_, (pack, _)| !covered.contains(pack));
        self.segments.push((path, segment));
    }
}

fn parse_name(path: &Path, extension: &str) -> Option<PackId> {
    if path.extension()? != extension {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

/// Cuts a torn end off a session pack and writes its footer.
fn finish_leftover(file: File, map: &Map, scan: &pack::Scan) -> Result<pack::Finished, Leftover> {
    let valid = usize::try_from(scan.valid_len).expect("a mapped length");
    if scan.finished {
        // Its process ended between the footer and the name.
        let footer = pack::read_footer(&map[..])?;
        return Ok(pack::Finished { footer, size_bytes: map.len() as u64, digest: crate::id::Digest::of(map) });
    }
    file.set_len(scan.valid_len)?;
    let mut file = file;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(|source| pack::Error::Io {
        action: "seeking",
        offset: scan.valid_len,
        source,
    })?;
    let (file, finished) = pack::Writer::resume(file, &map[..valid])?.finish()?;
    file.sync_all()?;
    Ok(finished)
}

/// Why a leftover could not be finished.
enum Leftover {
    Pack(pack::Error),
    Fsio(fsio::Error),
}

impl Leftover {
    fn at(self, path: &Path) -> Error {
        match self {
            Self::Pack(e) => Error::of_pack(path, e),
            Self::Fsio(e) => e.into(),
        }
    }
}

impl From<pack::Error> for Leftover {
    fn from(e: pack::Error) -> Self {
        Self::Pack(e)
    }
}

impl From<fsio::Error> for Leftover {
    fn from(e: fsio::Error) -> Self {
        Self::Fsio(e)
    }
}
