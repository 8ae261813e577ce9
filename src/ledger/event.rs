//! The events that this program writes and understands. Every event is a map with string keys and the key
//! `kind`; fields are only ever added, and fields that are unknown here change nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::class::Level;
use super::words::{AssetKind, Evidence, MoveCause, Outcome, Role};
use crate::id::{ContentId, Digest, EventId, FileId, RunId, Sha256, StepDigest, TreeId};

/// Parameters of a run: names to any JSON value, sorted by name.
pub type Params = BTreeMap<String, serde_json::Value>;

/// What a content id is an id of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// One file's bytes.
    File,
    /// A tree of files.
    Tree,
    /// Bytes that are elsewhere: a digest over what is known about them.
    External,
}

/// The identity of some content: its form and its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Content {
    /// What the id is an id of.
    pub form: Form,
    /// The id.
    pub id: Digest,
}

impl Content {
    /// Content that is one file.
    #[must_use]
    pub fn file(id: FileId) -> Self {
        Self { form: Form::File, id: Digest(id.0) }
    }

    /// Content that is a tree.
    #[must_use]
    pub fn tree(id: TreeId) -> Self {
        Self { form: Form::Tree, id: Digest(id.0) }
    }

    /// The id as the store knows it; `None` for external content.
    #[must_use]
    pub fn content_id(&self) -> Option<ContentId> {
        match self.form {
            Form::File => Some(ContentId::File(FileId(self.id.0))),
            Form::Tree => Some(ContentId::Tree(TreeId(self.id.0))),
            Form::External => None,
        }
    }
}

impl From<ContentId> for Content {
    fn from(id: ContentId) -> Self {
        match id {
            ContentId::File(id) => Self::file(id),
            ContentId::Tree(id) => Self::tree(id),
        }
    }
}

/// A version: an asset's name and the content that it held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// The asset's name.
    pub asset: String,
    /// What the id is an id of.
    pub form: Form,
    /// The content's id.
    pub id: Digest,
}

impl Version {
    /// The version of `asset` that holds `content`.
    #[must_use]
    pub fn new(asset: impl Into<String>, content: Content) -> Self {
        Self { asset: asset.into(), form: content.form, id: content.id }
    }

    /// The content alone.
    #[must_use]
    pub fn content(&self) -> Content {
        Content { form: self.form, id: self.id }
    }
}

/// Words of a person: in the open, or sealed so that they can be erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Text {
    /// The words themselves.
    Plain(String),
    /// A commitment to the words, which are an object of the store.
    Sealed {
        /// Salted digest of the words.
        sealed: Digest,
        /// The store object that holds salt and words.
        object: FileId,
    },
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Sealed {
            sealed: Digest,
            object: FileId,
        }
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a map of `sealed` and `object`")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Text, E> {
                Ok(Text::Plain(v.to_owned()))
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Text, A::Error> {
                let fields = serde::de::value::MapAccessDeserializer::new(map);
                let Sealed { sealed, object } = Sealed::deserialize(fields)?;
                Ok(Text::Sealed { sealed, object })
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl From<&str> for Text {
    fn from(words: &str) -> Self {
        Self::Plain(words.to_owned())
    }
}

/// `version.seen`: an asset held this content. Written by push, run and promote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSeen {
    /// The version.
    pub ver: Version,
    /// The asset's kind (the key is `asset_kind`, since `kind` names the event).
    #[serde(rename = "asset_kind")]
    pub kind: AssetKind,
    /// Size of all its files, in bytes.
    pub size_bytes: u64,
    /// How many files it has.
    pub files: u64,
    /// SHA-256 of a file's bytes, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Sha256>,
    /// The git commit it was seen in, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Its path in the repository.
    pub path: String,
    /// Who answers for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

/// The code that a run used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The git commit, hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Whether the working tree differed from it.
    #[serde(default)]
    pub dirty: bool,
}

/// A lock file that fixes what a run's code depends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Its path in the repository.
    pub path: String,
    /// Its content.
    pub id: FileId,
}

/// Where a run took place. Environment variables are never part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Operating system and architecture.
    #[serde(default)]
    pub os: String,
    /// Graphics processor and driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
    /// Container image with its digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Lock files.
    #[serde(default)]
    pub locks: Vec<Lock>,
}

/// What a run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// The version read; absent where only a name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ver: Option<Version>,
    /// Path in the repository, or the name or address of what is outside.
    pub path: String,
    /// What it was used for.
    pub role: Role,
    /// The part that was read: a path below the version, optionally `#ROWS`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// How this is known.
    pub evidence: Evidence,
    /// Who declared it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// When it was declared or observed, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
}

/// What a run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutput {
    /// The version written.
    pub ver: Version,
    /// Path in the repository.
    pub path: String,
    /// What the path held before. This is no edge of the lineage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Version>,
    /// Whether the run ended before it said that this is finished.
    #[serde(default)]
    pub partial: bool,
}

/// `run.recorded`: one execution, what it read and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecorded {
    /// The run.
    pub run: RunId,
    /// Name of the pipeline's step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What the step is: command, parameters, image and code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_digest: Option<StepDigest>,
    /// The command, secrets replaced.
    #[serde(default)]
    pub command: Vec<String>,
    /// When it started, in milliseconds since 1970.
    pub start_ms: u64,
    /// How long it took, in milliseconds.
    pub wall_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Its exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Its code.
    #[serde(default)]
    pub code: Code,
    /// Its machine.
    #[serde(default)]
    pub env: Machine,
    /// Its parameters, secrets replaced.
    #[serde(default)]
    pub params: Params,
    /// Its random seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What it read.
    #[serde(default)]
    pub inputs: Vec<RunInput>,
    /// What it wrote.
    #[serde(default)]
    pub outputs: Vec<RunOutput>,
}

/// What a classification or a question is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "RawScope", into = "RawScope")]
pub enum Scope {
    /// What a name held and will hold, or what lies at a path below it.
    Asset {
        /// The asset's name, or a folder above names.
        asset: String,
        /// A path below it.
        path: Option<String>,
        /// Only this version of it: the version's id.
        at: Option<Digest>,
    },
    /// This content, whatever its name.
    Content(Digest),
}

impl Scope {
    /// What `asset` held in every version and will hold.
    #[must_use]
    pub fn asset(asset: impl Into<String>) -> Self {
        Self::Asset { asset: asset.into(), path: None, at: None }
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct RawScope {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Digest>,
}

impl TryFrom<RawScope> for Scope {
    type Error = &'static str;
    fn try_from(raw: RawScope) -> Result<Self, Self::Error> {
        match raw {
            RawScope { content: Some(id), asset: None, path: None, at: None } => Ok(Self::Content(id)),
            RawScope { asset: Some(asset), path, at, content: None } if !asset.trim_matches('/').is_empty() => {
                Ok(Self::Asset { asset, path, at })
            }
            _ => Err("a scope is either {asset, path?, at?} or {content}"),
        }
    }
}

impl From<Scope> for RawScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Asset { asset, path, at } => Self { asset: Some(asset), path, at, content: None },
            Scope::Content(id) => Self { asset: None, path: None, at: None, content: Some(id) },
        }
    }
}

/// `class.set`: content gets a level and tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassSet {
    /// What is classified.
    pub scope: Scope,
    /// How sensitive it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// What kind of sensitive it is.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Why.
    pub reason: Text,
    /// Who or what found it: `user`, a scanner's name.
    pub source: String,
    /// Since when it holds, in milliseconds since 1970; shown, without effect on what is affected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_ms: Option<u64>,
    /// The `class.set` events that this one replaces.
    #[serde(default)]
    pub supersedes: Vec<EventId>,
}

/// `class.retracted`: classifications count as never made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassRetracted {
    /// The `class.set` events.
    pub events: Vec<EventId>,
    /// Why.
    pub reason: Text,
}

/// One asset's move in an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The asset.
    pub asset: String,
    /// What the environment had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Content>,
    /// What it has now.
    pub to: Content,
}

/// Something that a check said about a move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable code of the finding.
    pub code: String,
    /// The asset it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// What was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// `env.moved`: an environment has other versions now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvMoved {
    /// The environment.
    pub env: String,
    /// The moves, one an asset.
    pub moves: Vec<Move>,
    /// Why.
    pub cause: MoveCause,
    /// The `env.moved` events that this one replaces for the same assets.
    #[serde(default)]
    pub supersedes: Vec<EventId>,
    /// Why a refusal was overridden.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<Text>,
    /// What checks said.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// `note`: words of a person, without effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The words.
    pub text: Text,
    /// What they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Version>,
}

/// An event, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind")]
pub enum Event {
    /// An asset held some content.
    #[serde(rename = "version.seen")]
    VersionSeen(VersionSeen),
    /// Something was executed.
    #[serde(rename = "run.recorded")]
    RunRecorded(Box<RunRecorded>),
    /// Content was classified.
    #[serde(rename = "class.set")]
    ClassSet(ClassSet),
    /// Classifications were taken back.
    #[serde(rename = "class.retracted")]
    ClassRetracted(ClassRetracted),
    /// An environment moved.
    #[serde(rename = "env.moved")]
    EnvMoved(EnvMoved),
    /// Somebody said something.
    #[serde(rename = "note")]
    Note(Note),
    /// An event of a newer program: kept in its batch's bytes, without effect, counted.
    #[serde(untagged)]
    Unknown {
        /// Its kind.
        kind: String,
    },
}

impl Event {
    /// The event's kind as it is written.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::VersionSeen(_) => "version.seen",
            Self::RunRecorded(_) => "run.recorded",
            Self::ClassSet(_) => "class.set",
            Self::ClassRetracted(_) => "class.retracted",
            Self::EnvMoved(_) => "env.moved",
            Self::Note(_) => "note",
            Self::Unknown { kind } => kind,
        }
    }

    /// Reads one event's bytes by its kind.
    pub(super) fn decode(kind: &str, bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        use rmp_serde::from_slice;
        Ok(match kind {
            "version.seen" => Self::VersionSeen(from_slice(bytes)?),
            "run.recorded" => Self::RunRecorded(Box::new(from_slice(bytes)?)),
            "class.set" => Self::ClassSet(from_slice(bytes)?),
            "class.retracted" => Self::ClassRetracted(from_slice(bytes)?),
            "env.moved" => Self::EnvMoved(from_slice(bytes)?),
            "note" => Self::Note(from_slice(bytes)?),
            _ => Self::Unknown { kind: kind.to_owned() },
        })
    }

    /// The fields that this program knows of a kind, without `kind`; `None` for an unknown kind.
    pub(super) fn fields(kind: &str) -> Option<&'static [&'static str]> {
        Some(match kind {
            "version.seen" => &["ver", "asset_kind", "size_bytes", "files", "sha256", "commit", "path", "owner"],
            "run.recorded" => &[
                "run",
                "step",
                "step_digest",
                "command",
                "start_ms",
                "wall_ms",
                "outcome",
                "exit",
                "signal",
                "code",
                "env",
                "params",
                "seed",
                "inputs",
                "outputs",
            ],
            "class.set" => &["scope", "level", "tags", "reason", "source", "effective_ms", "supersedes"],
            "class.retracted" => &["events", "reason"],
            "env.moved" => &["env", "moves", "cause", "supersedes", "override", "findings"],
            "note" => &["text", "about"],
            _ => return None,
        })
    }
}
