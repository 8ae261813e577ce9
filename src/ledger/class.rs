//! Levels, tags, and which classifications are in force.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ClassSet, Event, Ledger, Scope};
use crate::id::EventId;

/// How sensitive content is. What was never classified is public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Everybody may have it.
    #[default]
    Public,
    /// Everybody inside may have it.
    Internal,
    /// Some may have it.
    Confidential,
    /// Few may have it, for named purposes.
    Restricted,
    /// Nobody may use it.
    Prohibited,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 5] = [Self::Public, Self::Internal, Self::Confidential, Self::Restricted, Self::Prohibited];

    /// The level as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Confidential => "confidential",
            Self::Restricted => "restricted",
            Self::Prohibited => "prohibited",
        }
    }

    /// Reads a level as it is written.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.as_str() == word)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level and tags: a lattice with [`Label::join`].
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// The level.
    pub level: Level,
    /// The tags.
    pub tags: BTreeSet<String>,
}

impl Label {
    /// The smallest label that is at least both: the higher level and all tags.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        Self { level: self.level.max(other.level), tags: self.tags.union(&other.tags).cloned().collect() }
    }
}

/// A classification that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActiveClass {
    /// The `class.set` event.
    pub event: EventId,
    /// What it covers.
    pub scope: Scope,
    /// What it says.
    pub label: Label,
}

/// The classifications in force, sorted by event id.
///
/// A `class.set` is in force unless a `class.retracted` names it, or a `class.set` that is not itself
/// retracted supersedes it. So a concurrent raise survives a lowering that did not name it, and taking a
/// lowering back brings back what it had replaced.
#[must_use]
pub fn active_classes(ledger: &Ledger) -> Vec<ActiveClass> {
    let mut retracted: BTreeSet<EventId> = BTreeSet::new();
    let mut sets: Vec<(EventId, &ClassSet)> = Vec::new();
    for entry in ledger.events() {
        match entry.event {
            Event::ClassSet(set) => sets.push((entry.id, set)),
            Event::ClassRetracted(r) => retracted.extend(r.events.iter().copied()),
            _ => {}
        }
    }
    sets.retain(|(id, _)| !retracted.contains(id));
    let replaced: BTreeSet<EventId> = sets.iter().flat_map(|(_, set)| set.supersedes.iter().copied()).collect();
    sets.retain(|(id, _)| !replaced.contains(id));
    sets.sort_by_key(|(id, _)| *id);
    let active = sets.into_iter().map(|(event, set)| ActiveClass {
        event,
        scope: set.scope.clone(),
        label: Label { level: set.level.unwrap_or_default(), tags: set.tags.clone() },
    });
    active.collect()
}
