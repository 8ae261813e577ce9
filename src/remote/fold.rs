//! The state that the log's entries add up to: a pure function of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{BatchId, ContentId, PackId, SessionId};
use crate::remote::entry::{Body, EnvMove, GitRef, LogEntry, PackRef, Root, SegmentRef};

/// A committed pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackState {
    /// Where it is and what it must hold.
    pub at: PackRef,
    /// The entry that committed it.
    pub seq: u64,
    /// A mark condemned it, or its session was fenced first: no later push may rely on it. It can still be
    /// read until it is swept.
    pub condemned: bool,
    /// Its deletion has begun.
    pub swept: bool,
}

/// Something that no writer that follows the protocol does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The entry.
    pub seq: u64,
    /// What it does.
    pub what: String,
}

/// What a remote holds, by its log up to [`Fold::seq`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fold {
    /// Number of the last entry that was added; 0 for none.
    pub seq: u64,
    /// Complete versions that were not released, with the entry that last pushed them.
    pub roots: BTreeMap<Root, u64>,
    /// Every pack ever committed.
    pub packs: BTreeMap<PackId, PackState>,
    /// Index segments in commit order.
    pub segments: Vec<SegmentRef>,
    /// Git refs as last pushed, by name.
    pub git: BTreeMap<String, GitRef>,
    /// Environment and asset to the version it holds, as last pushed.
    pub envs: BTreeMap<(String, String), EnvMove>,
    /// Ledger batches that are stored as records.
    pub ledger: BTreeSet<BatchId>,
    /// Sessions that committed, and with which entry. A session commits once.
    pub committed: BTreeMap<SessionId, u64>,
    /// Sessions that may not commit any more.
    pub fenced: BTreeSet<SessionId>,
    /// Entries of kinds that are not known here: number and kind. Not empty: writers stop.
    pub unknown: Vec<(u64, String)>,
    /// Entries that break the rules; shown by `verify`, and read as cautiously as possible.
    pub violations: Vec<Violation>,
}

impl Fold {
    /// Whether a push may rely on `pack`: committed, not condemned, not swept.
    #[must_use]
    pub fn is_usable(&self, pack: &PackId) -> bool {
        self.packs.get(pack).is_some_and(|p| !p.condemned && !p.swept)
    }

    /// Packs that a push may rely on.
    pub fn usable_packs(&self) -> impl Iterator<Item = &PackState> {
        self.packs.values().filter(|p| !p.condemned && !p.swept)
    }

    /// Packs that can be read: also condemned ones, until they are swept.
    pub fn readable_packs(&self) -> impl Iterator<Item = &PackState> {
        self.packs.values().filter(|p| !p.swept)
    }

    /// Whether some root with this content is complete here.
    #[must_use]
    pub fn has_content(&self, content: &ContentId) -> bool {
        self.roots.keys().any(|root| root.content == *content)
    }

    /// The version of `asset` that `env` holds.
    #[must_use]
    pub fn env(&self, env: &str, asset: &str) -> Option<&EnvMove> {
        self.envs.get(&(env.to_owned(), asset.to_owned()))
    }

    /// Adds the next entry. The caller has checked number and chain.
    pub(crate) fn add(&mut self, entry: &LogEntry) {
        self.seq = entry.seq;
        let seq = entry.seq;
        if let Some(sid) = entry.sid {
            if self.fenced.contains(&sid) {
                self.violation(seq, "a commit of a fenced session");
            }
            self.committed.entry(sid).or_insert(seq);
        }
        match &entry.body {
            Body::Push(push) => {
                for pack in &push.packs {
                    self.add_pack(seq, *pack);
                }
                if let Some(used) = push.uses.iter().find(|u| !self.is_usable(&u.pack)) {
                    let what = format!("a push that relies on pack {}", used.pack);
                    self.violation(seq, &what);
                }
                self.segments.extend(&push.segments);
                for root in &push.roots {
                    self.roots.insert(root.clone(), seq);
                }
                for git in &push.git {
                    self.git.insert(git.name.clone(), git.clone());
                }
                for env in &push.envs {
                    let at = (env.env.clone(), env.asset.clone());
                    self.envs.insert(at, env.clone());
                }
                self.ledger.extend(&push.ledger);
            }
            Body::Release(release) => {
                for root in &release.roots {
                    self.roots.remove(root);
                }
            }
            Body::Mark(mark) => {
                for pack in &mark.replacements {
                    self.add_pack(seq, *pack);
                }
                self.segments.extend(&mark.segments);
                for id in &mark.condemned {
                    match self.packs.get_mut(id) {
                        Some(pack) => pack.condemned = true,
                        None => self.violation(seq, &format!("a mark of unknown pack {id}")),
                    }
                }
            }
            Body::Fence(fence) => {
                self.fenced.insert(fence.sid);
            }
            Body::Sweep(sweep) => {
                for id in &sweep.packs {
                    // Packs that were never committed are swept too, after their session was fenced.
                    if let Some(pack) = self.packs.get_mut(id) {
                        let early = !pack.condemned;
                        pack.swept = true;
                        if early {
                            let what = format!("a sweep of pack {id}, which is not condemned");
                            self.violation(seq, &what);
                        }
                    }
                }
            }
            Body::Promote(_) => {}
            Body::Unknown { kind } => self.unknown.push((seq, kind.clone())),
        }
    }

    fn add_pack(&mut self, seq: u64, at: PackRef) {
        let state = PackState {
            at,
            seq,
            // The packs of a fenced session may be gone already: tried by readers, never relied on.
            condemned: self.fenced.contains(&at.sid),
            swept: false,
        };
        match self.packs.get(&at.pack) {
            None => {
                self.packs.insert(at.pack, state);
            }
            // A replica takes the same entry twice at most; another pack under the name is a violation.
            Some(held) if held.at == at => {}
            Some(_) => self.violation(seq, &format!("pack {} for the second time", at.pack)),
        }
    }

    fn violation(&mut self, seq: u64, what: &str) {
        self.violations.push(Violation { seq, what: what.to_owned() });
    }
}
