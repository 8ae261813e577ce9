//! `clade class set|retract|log`: what is known to be sensitive, who said so and why.

use super::questions::{self, scrub};
use super::{Error, Result, impact};
use crate::id::EventId;
use crate::ledger::{
    ClassRetracted, ClassSet, Event, EventRef, Ledger, Level, Scope, Text, active_classes, covers, join,
};
use crate::repo::{Repo, SendOutcome};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is to be classified, and how.
#[derive(Debug, Clone)]
pub struct ClassSetOptions {
    /// What it is about.
    pub target: impact::Target,
    /// How sensitive it is, as it was typed.
    pub level: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Why.
    pub reason: String,
    /// Beginnings of ids of the classifications that it replaces.
    pub supersedes: Vec<String>,
}

/// What became of an event that should be with everybody at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Sent {
    /// The ledger's remote has it.
    Sent,
    /// There is no remote: this clone is the authority.
    NoRemote,
    /// It is recorded here only.
    Here {
        /// Why.
        reason: String,
    },
}

/// What `clade class set` and `retract` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassOutcome {
    /// The event that was recorded.
    pub event: EventId,
    /// What it is about.
    pub scopes: Vec<Scope>,
    /// The level that was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// The tags that were set.
    pub tags: BTreeSet<String>,
    /// The classifications that it replaces or retracts.
    pub replaces: Vec<EventId>,
    /// Higher classifications of the same scope that stay in force.
    pub stays: Vec<EventId>,
    /// Whether others have it.
    pub sent: Sent,
}

/// One classification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassEntry {
    /// Its id.
    pub event: EventId,
    /// What it covers.
    pub scope: Scope,
    /// Its level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Why.
    pub reason: Text,
    /// Who or what found it.
    pub source: String,
    /// Who recorded it.
    pub actor: String,
    /// When, in milliseconds since 1970, by the writer's clock.
    pub time_ms: u64,
    /// Whether it is in force.
    pub active: bool,
    /// The classifications that replaced it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub replaced_by: Vec<EventId>,
    /// Who took it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retracted_by: Vec<Retraction>,
}

/// A classification was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Retraction {
    /// The event.
    pub event: EventId,
    /// Why.
    pub reason: Text,
    /// By whom.
    pub actor: String,
    /// When, in milliseconds since 1970, by the writer's clock.
    pub time_ms: u64,
}

/// The answer of `clade class log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassLogOutcome {
    /// The classifications in the ledger's order, oldest first.
    pub classes: Vec<ClassEntry>,
}

/// Classifies, and sends the ledger at once.
///
/// # Errors
/// When the target or a replaced event is unknown, or level and tags are missing. A remote that cannot be reached
/// is no error: the outcome says so.
pub fn set(repo: &Repo, options: &ClassSetOptions) -> Result<ClassOutcome> {
    let level = options.level.as_deref().map(level_of).transpose()?;
    let tags: BTreeSet<String> = options.tags.iter().map(|t| t.trim().to_owned()).collect();
    if tags.iter().any(String::is_empty) {
        return Err(Error::usage("a tag cannot be empty"));
    }
    if level.is_none() && tags.is_empty() {
        return Err(
            Error::usage("nothing to set").hint("name a level or a tag: --level restricted, --tag personal-data")
        );
    }
    let mut ledger = repo.ledger()?;
    let scopes = match &options.target {
        impact::Target::Name(text) => questions::scopes(repo, text, &ledger)?,
        impact::Target::File(path) => vec![impact::scope_of_file(repo, path)?],
    };
    let supersedes = resolve(repo, &mut ledger, &options.supersedes)?;
    let active = active_classes(&ledger);
    let stays = active
        .iter()
        .filter(|c| scopes.contains(&c.scope) && !supersedes.contains(&c.event))
        .filter(|c| level.is_some_and(|l| c.label.level > l))
        .map(|c| c.event)
        .collect();
    let reason = Text::Plain(scrub(repo, &options.reason));
    let events = scopes.iter().map(|scope| {
        Event::ClassSet(ClassSet {
            scope: scope.clone(),
            level,
            tags: tags.clone(),
            reason: reason.clone(),
            source: "user".to_owned(),
            effective_ms: None,
            supersedes: supersedes.clone(),
        })
    });
    let batch = repo.record(events.collect())?;
    let sent = send(repo);
    Ok(ClassOutcome { event: batch.event_id(0), scopes, level, tags, replaces: supersedes, stays, sent })
}

/// Takes classifications back, and sends the ledger at once.
///
/// # Errors
/// When an id means no classification or several, or one that was taken back already.
pub fn retract(repo: &Repo, events: &[String], reason: &str) -> Result<ClassOutcome> {
    let mut ledger = repo.ledger()?;
    let events = resolve(repo, &mut ledger, events)?;
    let retracted: BTreeSet<EventId> = all_retracted(&ledger).into_keys().collect();
    if let Some(done) = events.iter().find(|id| retracted.contains(id)) {
        return Err(Error::not_found(format!("classification {} was retracted already", done.short()))
            .hint("`clade class log` shows what is in force"));
    }
    let scopes = sets(&ledger).filter(|(e, _)| events.contains(&e.id)).map(|(_, s)| s.scope.clone()).collect();
    let reason = Text::Plain(scrub(repo, reason));
    let batch = repo.record(vec![Event::ClassRetracted(ClassRetracted { events: events.clone(), reason })])?;
    let sent = send(repo);
    let (level, tags, stays) = (None, BTreeSet::new(), Vec::new());
    Ok(ClassOutcome { event: batch.event_id(0), scopes, level, tags, replaces: events, stays, sent })
}

/// All classifications, those in force and those that are not; only those that cover `name`, lie below it or
/// name a content that it held, where given.
///
/// # Errors
/// When the ledger was never fetched.
pub fn log(repo: &Repo, name: Option<&str>) -> Result<ClassLogOutcome> {
    let ledger = repo.ledger_for_questions()?;
    let active: BTreeSet<EventId> = active_classes(&ledger).into_iter().map(|c| c.event).collect();
    let retracted = all_retracted(&ledger);
    let mut replaced: BTreeMap<EventId, Vec<EventId>> = BTreeMap::new();
    for (entry, set) in sets(&ledger) {
        for id in &set.supersedes {
            replaced.entry(*id).or_default().push(entry.id);
        }
    }
    let about = |scope: &Scope| match (scope, name) {
        (_, None) => true,
        (Scope::Asset { asset, path, .. }, Some(name)) => {
            let full = join(asset, path.as_deref().unwrap_or_default());
            covers(&full, name) || covers(name, &full)
        }
        (Scope::Content(_), Some(_)) => false,
    };
    let classes = sets(&ledger)
        .filter(|(_, set)| about(&set.scope))
        .map(|(entry, set)| ClassEntry {
            event: entry.id,
            scope: set.scope.clone(),
            level: set.level,
            tags: set.tags.clone(),
            reason: set.reason.clone(),
            source: set.source.clone(),
            actor: actor(&entry),
            time_ms: entry.batch.payload.time_ms,
            active: active.contains(&entry.id),
            replaced_by: replaced.get(&entry.id).cloned().unwrap_or_default(),
            retracted_by: retracted.get(&entry.id).cloned().unwrap_or_default(),
        })
        .collect();
    Ok(ClassLogOutcome { classes })
}

fn level_of(word: &str) -> Result<Level> {
    Level::parse(word).ok_or_else(|| {
        let all: Vec<&str> = Level::ALL.iter().map(|l| l.as_str()).collect();
        Error::usage(format!("{word:?} is no level")).hint(format!("levels, lowest first: {}", all.join(", ")))
    })
}

fn sets(ledger: &Ledger) -> impl Iterator<Item = (EventRef<'_>, &ClassSet)> {
    ledger.events().filter_map(|e| match e.event {
        Event::ClassSet(set) => Some((e, set)),
        _ => None,
    })
}

fn actor(entry: &EventRef<'_>) -> String {
    let actor = &entry.batch.payload.actor;
    if actor.email.is_empty() { actor.name.clone() } else { format!("{} <{}>", actor.name, actor.email) }
}

fn all_retracted(ledger: &Ledger) -> BTreeMap<EventId, Vec<Retraction>> {
    let mut out: BTreeMap<EventId, Vec<Retraction>> = BTreeMap::new();
    for entry in ledger.events() {
        if let Event::ClassRetracted(r) = entry.event {
            for id in &r.events {
                out.entry(*id).or_default().push(Retraction {
                    event: entry.id,
                    reason: r.reason.clone(),
                    actor: actor(&entry),
                    time_ms: entry.batch.payload.time_ms,
                });
            }
        }
    }
    out
}

/// The classifications whose ids begin so. What is not known here may be known to others, so they are asked.
fn resolve(repo: &Repo, ledger: &mut Ledger, prefixes: &[String]) -> Result<Vec<EventId>> {
    let mut asked = false;
    let mut out = Vec::new();
    for prefix in prefixes {
        let found = |ledger: &Ledger| -> Vec<EventId> {
            sets(ledger).map(|(e, _)| e.id).filter(|id| id.to_string().starts_with(prefix.as_str())).collect()
        };
        let mut ids = if prefix.len() < 4 { Vec::new() } else { found(ledger) };
        if ids.is_empty() && prefix.len() >= 4 && !std::mem::replace(&mut asked, true) && repo.fetch_ledger().is_ok() {
            *ledger = repo.ledger()?;
            ids = found(ledger);
        }
        match ids[..] {
            [id] => out.push(id),
            [] => {
                return Err(Error::not_found(format!("no classification has the id {prefix:?}"))
                    .hint("`clade class log` prints the ids; at least 4 digits are needed"));
            }
            _ => {
                return Err(Error::not_found(format!(
                    "{} classifications have ids that begin with {prefix:?}",
                    ids.len()
                ))
                .hint("give more digits of the id"));
            }
        }
    }
    Ok(out)
}

/// Sends the ledger; a failure is told, not an error: the event is recorded here.
fn send(repo: &Repo) -> Sent {
    match repo.send_ledger() {
        Ok(SendOutcome::Sent) => Sent::Sent,
        Ok(SendOutcome::NoRemote) => Sent::NoRemote,
        Ok(SendOutcome::Failed { remote, detail }) => {
            let line = detail.lines().find(|l| !l.trim().is_empty()).unwrap_or("no answer").trim().to_owned();
            Sent::Here { reason: format!("{remote}: {line}") }
        }
        Err(e) => Sent::Here { reason: e.to_string() },
    }
}
