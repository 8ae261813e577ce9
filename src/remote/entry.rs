//! Log entries: the only things that make anything at a remote count.
//!
//! An entry is one MessagePack map `{v, seq, prev, nonce, writer, sid?, time_ms, kind, body}` and its digest;
//! `prev` is the BLAKE3 of the whole previous file. The meaning of `body` hangs on `kind`; a kind that is not known here
//! is kept as [`Body::Unknown`] and stops writers, not readers.

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, ContentId, Digest, EventId, FileId, PackId, SegmentId, SessionId, TreeId, WriterId};
use crate::remote::error::{Error, Result};
use crate::remote::wire;

/// Version of the entries written by this program.
pub(crate) const ENTRY_VERSION: u32 = 1;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// BLAKE3 of the bytes of entry `seq - 1`; zeros for entry 1.
    pub prev: Digest,
    /// Random, so that a writer recognises its own entry after an unclear reply.
    pub nonce: [u8; 16],
    /// Which clone wrote it.
    pub writer: WriterId,
    /// The upload session it commits, where it commits one.
    pub sid: Option<SessionId>,
    /// When, by the writer's clock; decides nothing.
    pub time_ms: u64,
    /// What it says.
    pub body: Body,
}

/// What a caller says with a new entry; number, chain and nonce are added when it is appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryDraft {
    /// Which clone writes it.
    pub writer: WriterId,
    /// The upload session it commits, where it commits one.
    pub sid: Option<SessionId>,
    /// The writer's clock.
    pub time_ms: u64,
    /// What it says.
    pub body: Body,
}

/// The meaning of an entry, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `push`: new roots with what they need.
    Push(PushBody),
    /// `release`: roots whose bytes may go.
    Release(Release),
    /// `mark`: packs that are about to be deleted, and what replaces them.
    Mark(Mark),
    /// `fence`: a session that may no longer commit.
    Fence(Fence),
    /// `sweep`: packs whose deletion has begun.
    Sweep(Sweep),
    /// `promote`: this replica is the one that is written to from here on.
    Promote(Promote),
    /// A kind of a newer clade.
    Unknown {
        /// Its name.
        kind: String,
    },
}

impl Body {
    /// The kind's name in the entry.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Push(_) => "push",
            Self::Release(_) => "release",
            Self::Mark(_) => "mark",
            Self::Fence(_) => "fence",
            Self::Sweep(_) => "sweep",
            Self::Promote(_) => "promote",
            Self::Unknown { kind } => kind,
        }
    }
}

/// Body of a push. Every list may be empty; order has no meaning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushBody {
    /// Versions that are complete at this remote from now on.
    pub roots: Vec<Root>,
    /// Packs that this push uploaded.
    pub packs: Vec<PackRef>,
    /// Index segments that this push uploaded.
    pub segments: Vec<SegmentRef>,
    /// Packs that the roots need, and how many stored bytes of each: the new ones and older ones.
    pub uses: Vec<PackUse>,
    /// Git refs as they are after the push.
    pub git: Vec<GitRef>,
    /// Ledger batches stored as records in the packs.
    pub ledger: Vec<BatchId>,
    /// Environments as they are after the push.
    pub envs: Vec<EnvMove>,
}

/// A version that is complete at a remote.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "RootWire", try_from = "RootWire")]
pub struct Root {
    /// The asset's name.
    pub asset: String,
    /// `model`, `dataset`, `pipeline` or `golden`.
    pub kind: String,
    /// The content.
    pub content: ContentId,
}

/// A pack at a remote: `packs/<session>/<pack>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackRef {
    /// The session that uploaded it.
    pub sid: SessionId,
    /// Its name.
    pub pack: PackId,
    /// Its size.
    pub size_bytes: u64,
    /// BLAKE3 of the whole file.
    pub blake3: Digest,
}

/// An index segment at a remote: `segments/<session>/<segment>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SegmentRef {
    /// The session that uploaded it.
    pub sid: SessionId,
    /// Its name.
    pub segment: SegmentId,
    /// Its size.
    pub size_bytes: u64,
    /// BLAKE3 of the whole file.
    pub blake3: Digest,
}

/// That the roots of a push need a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackUse {
    /// The pack.
    pub pack: PackId,
    /// Stored bytes of it that the roots need.
    pub live_bytes: u64,
}

/// A git ref and where it points.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GitRef {
    /// The full name, `refs/heads/main`.
    #[serde(rename = "ref")]
    pub name: String,
    /// The object id in hex.
    pub oid: String,
    /// Every asset version of that commit, also those that were complete before: what `NAME@REF` means to a
    /// reader without git. Sorted by asset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<RefAsset>,
}

/// The version of one asset in a commit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "RefAssetWire", try_from = "RefAssetWire")]
pub struct RefAsset {
    /// The asset's name.
    pub asset: String,
    /// The content.
    pub content: ContentId,
}

/// The version that an environment holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "EnvWire", try_from = "EnvWire")]
pub struct EnvMove {
    /// The environment.
    pub env: String,
    /// The asset's name.
    pub asset: String,
    /// The content it holds.
    pub content: ContentId,
    /// The ledger event that says so.
    pub event: EventId,
}

/// Body of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Versions that no longer keep their bytes.
    pub roots: Vec<Root>,
    /// Who approved it.
    pub approver: String,
    /// Why.
    pub reason: String,
}

/// Body of a mark.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Packs that will be deleted: nobody may rely on them in a later push.
    pub condemned: Vec<PackId>,
    /// Packs that hold what is still needed of them.
    #[serde(default)]
    pub replacements: Vec<PackRef>,
    /// Index segments over the replacements.
    #[serde(default)]
    pub segments: Vec<SegmentRef>,
}

/// Body of a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The session that may not commit any more.
    pub sid: SessionId,
}

/// Body of a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Condemned packs that are deleted from now on.
    pub packs: Vec<PackId>,
}

/// Body of a promotion of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promote {
    /// Who approved it.
    pub approver: String,
    /// Why.
    pub reason: String,
}

#[derive(Serialize, Deserialize)]
struct RootWire {
    asset: String,
    kind: String,
    form: String,
    id: Digest,
}

#[derive(Serialize, Deserialize)]
struct EnvWire {
    env: String,
    asset: String,
    form: String,
    id: Digest,
    event: EventId,
}

#[derive(Serialize, Deserialize)]
struct RefAssetWire {
    asset: String,
    form: String,
    id: Digest,
}

impl From<RefAsset> for RefAssetWire {
    fn from(one: RefAsset) -> Self {
        Self { form: one.content.form().to_owned(), id: Digest(*one.content.as_bytes()), asset: one.asset }
    }
}

impl TryFrom<RefAssetWire> for RefAsset {
    type Error = String;
    fn try_from(wire: RefAssetWire) -> std::result::Result<Self, String> {
        Ok(Self { content: content(&wire.form, wire.id)?, asset: wire.asset })
    }
}

/// The content that `form` and `id` of a file name.
pub(crate) fn content(form: &str, id: Digest) -> std::result::Result<ContentId, String> {
    match form {
        "file" => Ok(ContentId::File(FileId(id.0))),
        "tree" => Ok(ContentId::Tree(TreeId(id.0))),
        other => Err(format!("unknown form {other:?}")),
    }
}

impl From<Root> for RootWire {
    fn from(root: Root) -> Self {
        Self {
            form: root.content.form().to_owned(),
            id: Digest(*root.content.as_bytes()),
            asset: root.asset,
            kind: root.kind,
        }
    }
}

impl TryFrom<RootWire> for Root {
    type Error = String;
    fn try_from(wire: RootWire) -> std::result::Result<Self, String> {
        Ok(Self { content: content(&wire.form, wire.id)?, asset: wire.asset, kind: wire.kind })
    }
}

impl From<EnvMove> for EnvWire {
    fn from(env: EnvMove) -> Self {
        Self {
            form: env.content.form().to_owned(),
            id: Digest(*env.content.as_bytes()),
            env: env.env,
            asset: env.asset,
            event: env.event,
        }
    }
}

impl TryFrom<EnvWire> for EnvMove {
    type Error = String;
    fn try_from(wire: EnvWire) -> std::result::Result<Self, String> {
        Ok(Self { content: content(&wire.form, wire.id)?, env: wire.env, asset: wire.asset, event: wire.event })
    }
}

#[derive(Serialize)]
struct EntryOut<'a, B> {
    v: u32,
    seq: u64,
    prev: Digest,
    #[serde(with = "serde_bytes")]
    nonce: &'a [u8],
    writer: WriterId,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<SessionId>,
    time_ms: u64,
    kind: &'a str,
    body: &'a B,
}

#[derive(Deserialize)]
struct EntryIn {
    seq: u64,
    prev: Digest,
    #[serde(with = "serde_bytes")]
    nonce: Vec<u8>,
    writer: WriterId,
    #[serde(default)]
    sid: Option<SessionId>,
    time_ms: u64,
    kind: String,
}

#[derive(Deserialize)]
struct BodyIn<B> {
    body: B,
}

impl LogEntry {
    /// The entry's bytes: what `prev` of the next one is the digest of.
    ///
    /// An entry with [`Body::Unknown`] is written with an empty body; only tests do that.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match &self.body {
            Body::Push(body) => self.encode_with(body),
            Body::Release(body) => self.encode_with(body),
            Body::Mark(body) => self.encode_with(body),
            Body::Fence(body) => self.encode_with(body),
            Body::Sweep(body) => self.encode_with(body),
            Body::Promote(body) => self.encode_with(body),
            Body::Unknown { .. } => self.encode_with(&std::collections::BTreeMap::<u8, u8>::new()),
        }
    }

    fn encode_with<B: Serialize>(&self, body: &B) -> Vec<u8> {
        wire::encode(&EntryOut {
            v: ENTRY_VERSION,
            seq: self.seq,
            prev: self.prev,
            nonce: &self.nonce,
            writer: self.writer,
            sid: self.sid,
            time_ms: self.time_ms,
            kind: self.body.kind(),
            body,
        })
    }

    /// Reads an entry that was found under `key`. Its number and chain are not judged here.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        let bytes = wire::open(key, bytes, ENTRY_VERSION)?;
        let head: EntryIn = wire::decode(key, bytes)?;
        let body = match head.kind.as_str() {
            "push" => Body::Push(body(key, bytes)?),
            "release" => Body::Release(body(key, bytes)?),
            "mark" => Body::Mark(body(key, bytes)?),
            "fence" => Body::Fence(body(key, bytes)?),
            "sweep" => Body::Sweep(body(key, bytes)?),
            "promote" => Body::Promote(body(key, bytes)?),
            _ => Body::Unknown { kind: head.kind },
        };
        let nonce = head
            .nonce
            .try_into()
            .map_err(|_| Error::Malformed { key: key.to_owned(), detail: "the nonce does not have 16 bytes".into() })?;
        Ok(Self {
            seq: head.seq,
            prev: head.prev,
            nonce,
            writer: head.writer,
            sid: head.sid,
            time_ms: head.time_ms,
            body,
        })
    }
}

fn body<B: serde::de::DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<B> {
    let BodyIn { body } = wire::decode(key, bytes)?;
    Ok(body)
}
