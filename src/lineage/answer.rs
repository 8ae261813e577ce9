//! The shapes of answers. All of them are data that serialises the same way for the same ledger.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::id::{Digest, EventId, LedgerId, RunId};
use crate::ledger::{Content, Evidence, FlagKind, Form, Label, Level, Role, Scope, Verdict, WriterState};

/// A node, for people and for machines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum NodeRef {
    /// Some content.
    Content {
        /// One of its names: an asset, or an asset and a path in it; absent when it has none.
        #[serde(skip_serializing_if = "Option::is_none")]
        asset: Option<String>,
        /// What the id is an id of.
        form: Form,
        /// Its id.
        id: Digest,
    },
    /// A page of a large tree.
    Page {
        /// Its id.
        id: Digest,
    },
    /// Something of which only a name or an address is known.
    Named {
        /// The name.
        name: String,
    },
    /// A run.
    Run {
        /// The run.
        run: RunId,
        /// The event that recorded it.
        event: EventId,
        /// Its step.
        #[serde(skip_serializing_if = "Option::is_none")]
        step: Option<String>,
    },
}

/// How a step of a path follows from the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "edge", rename_all = "snake_case")]
pub enum StepEdge {
    /// The path starts here.
    Start {
        /// The classification that starts it, where the question was about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        event: Option<EventId>,
    },
    /// This container holds the one before.
    Contains,
    /// The one before is a container that brought this along.
    Member,
    /// This run read the one before.
    Input {
        /// What for.
        role: Role,
        /// How this is known.
        evidence: Evidence,
        /// The part that it read.
        #[serde(skip_serializing_if = "Option::is_none")]
        selector: Option<String>,
    },
    /// The run before wrote this.
    Output {
        /// Whether the run ended before it said that this is finished.
        partial: bool,
    },
    /// The same bytes under another name; they are too few to prove anything.
    SameContent,
    /// The name may have stood for the one before.
    Named,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Where the path is.
    pub node: NodeRef,
    /// How it came here.
    #[serde(flatten)]
    pub edge: StepEdge,
    /// Whether this step only may have happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub possible: bool,
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// It is the content that was asked about.
    Selected,
    /// It contains affected content.
    Contains,
    /// A recorded run made it from affected content.
    Run,
    /// It has the same bytes, which are too few to prove anything.
    TrivialContent,
    /// A run read something of which only a name is known.
    NamedOnly,
    /// A run read a part, and the content may lie outside of it.
    Selector,
    /// It is a model, and no recorded run that says what it learned from made it.
    NoRecordedRun,
    /// It was made from a model of unknown origin.
    DescendsFromUnknown,
    /// No record names it; it was found on a git reference.
    Unrecorded,
    /// Its recorded origin does not lead to the content.
    NotDownstream,
}

/// The node right before, on the path that proves a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Witness {
    /// The content, name or model that it came from.
    pub from: NodeRef,
    /// The run between, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<NodeRef>,
    /// What the run used it for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

/// A version and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImpactRow {
    /// The asset.
    pub asset: String,
    /// What the id is an id of.
    pub form: Form,
    /// The version's id.
    pub id: Digest,
    /// Paths in the repository that held it, sorted.
    pub paths: BTreeSet<String>,
    /// What is known.
    pub verdict: Verdict,
    /// What that rests on.
    pub basis: Basis,
    /// What affected or unknown inputs were used for in the runs that made it, sorted.
    pub roles: BTreeSet<Role>,
    /// Whether some way from the content to it goes through learning roles only.
    pub learned: bool,
    /// Whether a run that did not finish left it.
    pub partial: bool,
    /// Whether the ledger names it.
    pub recorded: bool,
    /// What it came from, on the path that proves the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub witness: Option<Witness>,
}

/// What an impact question was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetRow {
    /// The scope.
    pub scope: Scope,
    /// How many versions and members it named; 0 when nothing recorded matches it.
    pub matched_count: u64,
}

/// How many rows have each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Proven.
    pub affected: u64,
    /// Not excluded.
    pub possible: u64,
    /// Of unknown origin.
    pub unknown: u64,
    /// Recorded whole, and not affected.
    pub unaffected: u64,
}

/// Over what an answer is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Coverage {
    /// Id of the ledger: with `unrecorded_digest` it determines the answer.
    pub ledger: LedgerId,
    /// How many batches it holds.
    pub batches: u64,
    /// Who wrote them, and when they were last seen.
    pub writers: Vec<WriterState>,
    /// All versions that are models.
    pub models_total: u64,
    /// Those that nobody recorded a run for, or that descend from such a model.
    pub models_unknown_origin: u64,
    /// Versions on git references that the ledger does not know.
    pub unrecorded_count: u64,
    /// Digest of their names and ids.
    pub unrecorded_digest: Digest,
    /// Events of kinds that this program does not know.
    pub unknown_events: u64,
    /// Fields of known events that this program does not know.
    pub unknown_fields: u64,
    /// Batches that others name and that are missing.
    pub missing_batches: u64,
    /// Numbers that a writer used twice.
    pub equivocations: u64,
    /// Repositories whose ledgers were asked as well.
    pub linked: Vec<String>,
}

/// The answer to: what did this content go into?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImpactReport {
    /// What was asked about.
    pub target: Vec<TargetRow>,
    /// Every version of every model, sorted by verdict, asset, id.
    pub models: Vec<ImpactRow>,
    /// Affected and possible versions that are no models, sorted likewise.
    pub others: Vec<ImpactRow>,
    /// The models' verdicts, counted.
    pub counts: Counts,
    /// Over what the answer is complete.
    pub coverage: Coverage,
}

/// A path that proves a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyPath {
    /// What it proves.
    pub verdict: Verdict,
    /// Whether all runs on it learned from what they read.
    pub learned: bool,
    /// The steps, from the content to the version.
    pub steps: Vec<Step>,
}

/// The answer to: how did this content get into that version?
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyReport {
    /// The version asked about.
    pub to: Content,
    /// What is known about it.
    pub verdict: Verdict,
    /// A shortest path for each kind of connection there is; strongest first. For an unknown version, the
    /// path from the model of unknown origin. Empty for an unaffected one.
    pub paths: Vec<WhyPath>,
}

/// A version that the rules want somebody to look at or make again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// The asset.
    pub asset: String,
    /// What the id is an id of.
    pub form: Form,
    /// The version's id.
    pub id: Digest,
    /// What to do.
    pub flag: FlagKind,
    /// The strongest verdict of the classifications that caused it.
    pub verdict: Verdict,
    /// The highest level of these classifications.
    pub level: Level,
    /// What affected inputs were used for, sorted.
    pub roles: BTreeSet<Role>,
    /// The `class.set` events that caused it, sorted.
    pub causes: Vec<EventId>,
    /// A shortest path from the strongest cause.
    pub path: Vec<Step>,
    /// The joined label of the causes.
    pub label: Label,
}
