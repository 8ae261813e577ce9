//! From a remote into the local store.

use super::view::RemoteView;
use super::{Error, Result};
use crate::id::{ContentId, Digest, FileId, TreeId};
use crate::limits::MIB;
use crate::manifest::{Term, TreeEntry, TreeReader};
use crate::pack::{self, RecordKey, RecordKind};
use crate::progress::{Interrupt, Progress};
use crate::remote::{self, AssetEntry, RangeRequest, ReadOptions, Remote};
use crate::store::{Presence, Session, SessionKind, Store};
use bytes::Bytes;
use std::collections::BTreeSet;

/// A file that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// Its id.
    pub file: FileId,
    /// Its size.
    pub size_bytes: u64,
}

/// What arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct FetchOutcome {
    /// Files that are complete now and were not before.
    pub file_count: u64,
    /// Bytes that were read from the remote.
    pub read_bytes: u64,
}

/// Says where records are at one remote.
trait Places {
    /// The ranges of frames that hold `key`, likeliest first.
    fn places(&mut self, key: &RecordKey) -> Result<Vec<RangeRequest>>;
}

impl Places for RemoteView {
    fn places(&mut self, key: &RecordKey) -> Result<Vec<RangeRequest>> {
        Ok(self.locate(key)?.iter().map(super::view::Found::range).collect())
    }
}

impl Places for &AssetEntry {
    fn places(&mut self, key: &RecordKey) -> Result<Vec<RangeRequest>> {
        let place = self.find(key.kind.0, &Digest(key.id));
        Ok(place.and_then(|p| self.range(p.frame)).into_iter().collect())
    }
}

/// Brings `files` into the store. Files that are complete there already cost nothing. Records arrive verified;
/// what was stored before an error stays, so that the next call goes on. With `heal`, what the store lists is
/// read first, and fetched again where it is damaged.
///
/// # Errors
/// [`Error::Absent`] names all files of which the remote lacks something, after everything else was fetched.
pub fn fetch(
    view: &mut RemoteView,
    store: &Store,
    files: &[Wanted],
    heal: bool,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<FetchOutcome> {
    let remote = view.remote().clone();
    let mut job =
        Job { remote: &remote, location: view.location().to_owned(), store, progress, interrupt, read: 0, heal };
    let files: BTreeSet<Wanted> = files.iter().copied().filter(|w| w.size_bytes > 0).collect();
    let out = job.files(view, &files)?;
    Ok(out)
}

/// Brings records such as tree pages or ledger batches into the store. Returns those that the remote lacks.
pub fn fetch_records(
    view: &mut RemoteView,
    store: &Store,
    keys: &[RecordKey],
    interrupt: &Interrupt,
) -> Result<Vec<RecordKey>> {
    let remote = view.remote().clone();
    let progress = crate::progress::Discard;
    let mut job = Job {
        remote: &remote,
        location: view.location().to_owned(),
        store,
        progress: &progress,
        interrupt,
        read: 0,
        heal: false,
    };
    job.records(view, keys)
}

/// The asset entry of a version, where the remote has a usable one.
pub fn read_entry(remote: &Remote, content: &ContentId) -> Result<Option<AssetEntry>> {
    match remote::fetch_asset(remote.transport(), content) {
        Ok(entry) => Ok(entry),
        // Advisory: the log knows as well.
        Err(e) if e.is_integrity() => Ok(None),
        Err(remote::Error::TooLarge { .. } | remote::Error::NewerNeeded { .. }) => Ok(None),
        Err(source) => Err(Error::Remote { location: remote.transport().location().to_owned(), source }),
    }
}

/// Brings a whole version into the store by its asset entry alone: a few requests, however large the remote.
/// Returns `false` when the entry does not lead to all of it; then the log must be asked.
pub fn fetch_version(
    remote: &Remote,
    entry: &AssetEntry,
    store: &Store,
    progress: &dyn Progress,
    interrupt: &Interrupt,
) -> Result<bool> {
    let location = remote.transport().location().to_owned();
    let mut job = Job { remote, location, store, progress, interrupt, read: 0, heal: false };
    let mut session = store.session(SessionKind::Batch, progress, interrupt);
    for record in &entry.inline {
        let (kind, bytes) = (RecordKind(record.kind), &record.bytes);
        // A recipe is keyed by its file, and proven by the file that it gives.
        if !kind.id_is_digest() || Digest::of(bytes) == record.id {
            session.add_record(kind, record.id.0, bytes)?;
        }
    }
    session.finish()?;
    let (mut entry, size_bytes) = (entry, entry.size_bytes);
    let result = match entry.content {
        ContentId::File(file) => job.files(&mut entry, &BTreeSet::from([Wanted { file, size_bytes }])),
        ContentId::Tree(tree) => {
            job.tree_files(&mut entry, tree).and_then(|files| job.files(&mut entry, &files.into_iter().collect()))
        }
    };
    match result {
        Ok(_) => Ok(true),
        Err(Error::Absent { .. } | Error::NoVersion { .. } | Error::Damaged { .. } | Error::Pack { .. }) => Ok(false),
        Err(Error::Store(e)) if e.is_integrity() => Ok(false),
        Err(Error::Remote { source: remote::Error::NotFound { .. }, .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

impl RemoteView {
    /// Brings the pages of a tree into the store and returns its files.
    pub fn fetch_tree(&mut self, store: &Store, tree: TreeId, interrupt: &Interrupt) -> Result<Vec<Wanted>> {
        let remote = self.remote().clone();
        let progress = crate::progress::Discard;
        let location = self.location().to_owned();
        let mut job = Job { remote: &remote, location, store, progress: &progress, interrupt, read: 0, heal: false };
        job.tree_files(self, tree)
    }
}

struct Job<'a> {
    remote: &'a Remote,
    location: String,
    store: &'a Store,
    progress: &'a dyn Progress,
    interrupt: &'a Interrupt,
    read: u64,
    /// Whether what is listed locally is read before it is believed.
    heal: bool,
}

impl Job<'_> {
    /// Whether the store has a record; when healing, whether it has a right one.
    fn has(&self, key: &RecordKey) -> Result<bool> {
        if self.heal {
            match self.store.record(key.kind, &key.id) {
                Ok(found) => Ok(found.is_some()),
                Err(e) if e.is_integrity() => Ok(false),
                Err(e) => Err(e.into()),
            }
        } else {
            Ok(self.store.has(key.kind, &key.id)?)
        }
    }

    fn files(&mut self, places: &mut impl Places, files: &BTreeSet<Wanted>) -> Result<FetchOutcome> {
        let mut incomplete = Vec::new();
        for wanted in files {
            if self.heal || self.store.presence(wanted.file, wanted.size_bytes)? != Presence::Complete {
                incomplete.push(*wanted);
            }
        }
        // A file is described by a recipe, or is one chunk with the file's own id.
        let mut first = Vec::new();
        for wanted in &incomplete {
            if self.heal || self.store.terms(wanted.file, wanted.size_bytes).ok().flatten().is_none() {
                let recipe = RecordKey::recipe(wanted.file);
                let has_recipe = !places.places(&recipe)?.is_empty();
                first.push(if has_recipe { recipe } else { RecordKey::new(RecordKind::DATA, wanted.file.0) });
            }
        }
        self.records(places, &first)?;
        let mut pages = Vec::new();
        for wanted in &incomplete {
            if let Some(recipe) = self.store.recipe(wanted.file)? {
                pages.extend(recipe.pages().iter().map(|p| RecordKey::page(p.page_id)));
            }
        }
        self.records(places, &pages)?;
        let mut chunks = BTreeSet::new();
        let mut absent = BTreeSet::new();
        for wanted in &incomplete {
            match self.store.terms(wanted.file, wanted.size_bytes) {
                Ok(Some(terms)) if self.heal => chunks.extend(terms.iter().filter_map(|t| match t {
                    Term::Chunk { id, .. } => Some(*id),
                    Term::Hole { .. } => None,
                })),
                Ok(Some(terms)) => chunks.extend(self.store.missing_chunks(&terms)?),
                Ok(None) => {
                    absent.insert(wanted.file);
                }
                Err(e) if e.is_integrity() => {
                    absent.insert(wanted.file);
                }
                Err(e) => return Err(e.into()),
            }
        }
        let total = self.bytes_of(&incomplete, &chunks)?;
        self.progress.begin("Fetching", Some(total), Some(incomplete.len() as u64));
        let keys: Vec<RecordKey> = chunks.into_iter().map(RecordKey::chunk).collect();
        self.records(places, &keys)?;
        self.progress.end();
        let mut done = 0;
        for wanted in &incomplete {
            if self.store.presence(wanted.file, wanted.size_bytes)? == Presence::Complete {
                done += 1;
            } else {
                absent.insert(wanted.file);
            }
        }
        if absent.is_empty() {
            Ok(FetchOutcome { file_count: done, read_bytes: self.read })
        } else {
            Err(Error::Absent { files: absent.into_iter().collect() })
        }
    }

    /// Plain bytes of the chunks that will be fetched, for the progress bar.
    fn bytes_of(&self, files: &[Wanted], chunks: &BTreeSet<crate::id::ChunkId>) -> Result<u64> {
        let mut left = chunks.clone();
        let mut total = 0;
        for wanted in files {
            for term in self.store.terms(wanted.file, wanted.size_bytes).ok().flatten().unwrap_or_default() {
                if let Term::Chunk { id, len_bytes } = term
                    && left.remove(&id)
                {
                    total += u64::from(len_bytes);
                }
            }
        }
        Ok(total)
    }

    /// Fetches the pages of a tree level by level, and returns its files.
    fn tree_files(&mut self, places: &mut impl Places, tree: TreeId) -> Result<Vec<Wanted>> {
        let mut level = vec![crate::id::PageId(tree.0)];
        while !level.is_empty() {
            let keys: Vec<RecordKey> = level.iter().map(|id| RecordKey::page(*id)).collect();
            if !self.records(places, &keys)?.is_empty() {
                return Err(Error::NoVersion { content: ContentId::Tree(tree), location: self.location.clone() });
            }
            let mut next = Vec::new();
            for id in &level {
                let page = crate::manifest::TreePage::decode(&self.store.page(*id)?)?;
                if let crate::manifest::TreePage::Inner { children, .. } = page {
                    next.extend(children.iter().map(|c| c.page_id));
                }
            }
            level = next;
        }
        let store = self.store;
        let mut reader = TreeReader::new(tree, |id| store.page(id).map_err(Error::from));
        let entries = reader.iter().collect::<Result<Vec<TreeEntry>>>()?;
        Ok(entries.iter().map(|e| Wanted { file: e.file_id, size_bytes: e.size_bytes }).collect())
    }

    /// Fetches records that the store lacks. Returns those of which no place is known, or none that is right.
    fn records(&mut self, places: &mut impl Places, keys: &[RecordKey]) -> Result<Vec<RecordKey>> {
        let mut missing: Vec<RecordKey> = Vec::new();
        for key in keys {
            if !self.has(key)? {
                missing.push(*key);
            }
        }
        // A damaged copy in one pack does not hide a good one in another.
        for attempt in 0.. {
            let mut ranges: Vec<RangeRequest> = Vec::new();
            for key in &missing {
                ranges.extend(places.places(key)?.into_iter().nth(attempt));
            }
            ranges.sort_by_key(|r| (r.key.to_string(), r.offset));
            ranges.dedup();
            if ranges.is_empty() {
                break;
            }
            self.read(&ranges)?;
            let mut left = Vec::new();
            for key in missing {
                if !self.has(&key)? {
                    left.push(key);
                }
            }
            missing = left;
        }
        Ok(missing)
    }

    /// Reads frames and stores those that are right.
    fn read(&mut self, ranges: &[RangeRequest]) -> Result<()> {
        let options = ReadOptions {
            max_read_bytes: 8 * MIB,
            streams: 4,
            memory_bytes: 48 * MIB,
            interrupt: self.interrupt.clone(),
            ..ReadOptions::default()
        };
        let mut session: Session<'_> =
            self.store.session(SessionKind::Batch, &crate::progress::Discard, self.interrupt);
        let mut read = 0;
        let (progress, location, heal) = (self.progress, self.location.clone(), self.heal);
        let result =
            remote::read_ranges(self.remote.transport(), ranges, &options, |index, bytes: Bytes| -> Result<()> {
                read += bytes.len() as u64;
                let range = &ranges[index];
                let Ok(meta) = pack::read_frame_header(range.offset, &bytes) else { return Ok(()) };
                let Ok(payload) = pack::split_frame(&meta, &bytes) else { return Ok(()) };
                match session.add_frame(&meta, payload, heal) {
                    Ok(true) => progress.bytes(u64::from(meta.raw_len)),
                    Ok(false) => {}
                    Err(e) if e.is_integrity() => {}
                    Err(e) => return Err(e.into()),
                }
                Ok(())
            });
        self.read += read;
        // What is right is kept, whatever happened afterwards; the first failure is the one that is told.
        let kept = session.finish();
        match result {
            Ok(_) => Ok(kept.map(|_| ())?),
            Err(Error::Remote { source, .. }) => Err(Error::Remote { location, source }),
            Err(e) => Err(e),
        }
    }
}
