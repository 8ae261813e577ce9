//! Uploads. Nothing that a session uploads counts until a log entry commits it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{Digest, PackId, SegmentId, SessionId, WriterId};
use crate::limits::{MAX_PACK_BYTES, MAX_REMOTE_SMALL_BYTES, MAX_SEGMENT_BYTES};
use crate::remote::entry::{PackRef, SegmentRef};
use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::request::Settled;
use crate::remote::transport::Transport;
use crate::remote::wire;

const SESSION_VERSION: u32 = 1;

/// Content of `sessions/<session>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Version of the file.
    pub v: u32,
    /// The session, as in the key.
    pub sid: SessionId,
    /// Which clone uploads.
    pub writer: WriterId,
    /// When it began, by the writer's clock; decides nothing.
    pub started_ms: u64,
    /// The newest log entry that the writer had read.
    pub log_seq: u64,
}

impl SessionInfo {
    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads the file found under `key`.
    pub fn decode(key: &str, bytes: &[u8]) -> Result<Self> {
        wire::decode(key, wire::open(key, bytes, SESSION_VERSION)?)
    }
}

/// How an upload is checked before it may be committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadBack {
    /// By its size at the remote.
    Size,
    /// By reading all of it again.
    Digest,
}

/// One writer's uploads towards one push.
#[derive(Debug, Clone)]
pub struct Session {
    transport: Transport,
    info: SessionInfo,
    read_back: ReadBack,
}

impl Session {
    /// Opens a session: writes `sessions/<session>`. `log_seq` is the newest entry that was read.
    pub fn create(transport: &Transport, writer: WriterId, started_ms: u64, log_seq: u64) -> Result<Self> {
        let info = SessionInfo { v: SESSION_VERSION, sid: SessionId::new_v7(), writer, started_ms, log_seq };
        let key = Key::Session(info.sid);
        let bytes = Bytes::from(info.encode());
        match transport.create_settled(&key, &bytes, MAX_REMOTE_SMALL_BYTES as u64)? {
            Settled::Created | Settled::Same => Ok(Self::over(transport, info)),
            Settled::Other(held) => Err(differs(&key, &bytes, &held)),
        }
    }

    /// Takes up a session that this writer opened before. The caller reads the log first: a fenced session
    /// is of no use, a committed one needs nothing more.
    pub fn resume(transport: &Transport, sid: SessionId) -> Result<Self> {
        let key = Key::Session(sid);
        let bytes = transport.get_existing(&key, MAX_REMOTE_SMALL_BYTES as u64)?;
        let info = SessionInfo::decode(&key.to_string(), &bytes)?;
        if info.sid != sid {
            return Err(Error::Corrupt {
                key: key.to_string(),
                expected: format!("session {sid}"),
                actual: format!("session {}", info.sid),
            });
        }
        Ok(Self::over(transport, info))
    }

    fn over(transport: &Transport, info: SessionInfo) -> Self {
        let read_back = if transport.is_local() { ReadBack::Digest } else { ReadBack::Size };
        Self { transport: transport.clone(), info, read_back }
    }

    /// The same session with another check of its uploads. The default is [`ReadBack::Digest`] where that
    /// is cheap ([`Transport::is_local`]), else [`ReadBack::Size`].
    #[must_use]
    pub fn with_read_back(mut self, read_back: ReadBack) -> Self {
        self.read_back = read_back;
        self
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.info.sid
    }

    /// What was written when it was opened.
    #[must_use]
    pub fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Uploads a pack and checks it. A pack that is there already (a resumed push, a lost reply) is read
    /// whole and compared instead of being sent again.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the remote holds other bytes under this name: upload under a new pack id.
    pub fn upload_pack(&self, pack: PackId, bytes: &Bytes) -> Result<PackRef> {
        let key = Key::Pack(self.info.sid, pack);
        let blake3 = self.upload(&key, bytes, MAX_PACK_BYTES)?;
        Ok(PackRef { sid: self.info.sid, pack, size_bytes: bytes.len() as u64, blake3 })
    }

    /// Uploads an index segment and checks it, like [`Session::upload_pack`].
    pub fn upload_segment(&self, segment: SegmentId, bytes: &Bytes) -> Result<SegmentRef> {
        let key = Key::Segment(self.info.sid, segment);
        let blake3 = self.upload(&key, bytes, MAX_SEGMENT_BYTES)?;
        Ok(SegmentRef { sid: self.info.sid, segment, size_bytes: bytes.len() as u64, blake3 })
    }

    /// Whether this session has uploaded `pack`, and with what size. Presence is not correctness:
    /// [`Session::verify_pack`] before it is committed.
    pub fn has(&self, pack: PackId) -> Result<Option<u64>> {
        self.transport.head(&Key::Pack(self.info.sid, pack))
    }

    /// Whether the pack is there with exactly the named size and digest; reads it whole. This is how a
    /// resumed push takes over what it uploaded before.
    pub fn verify_pack(&self, pack: &PackRef) -> Result<bool> {
        let key = Key::Pack(pack.sid, pack.pack);
        Ok(match self.transport.get_limited(&key, pack.size_bytes) {
            Ok(Some(held)) => digest(&held) == pack.blake3,
            Ok(None) | Err(Error::TooLarge { .. }) => false,
            Err(e) => return Err(e),
        })
    }

    fn upload(&self, key: &Key, bytes: &Bytes, limit_bytes: u64) -> Result<Digest> {
        let size = bytes.len() as u64;
        if size > limit_bytes {
            return Err(Error::TooLarge { key: key.to_string(), actual_bytes: size, limit_bytes });
        }
        match self.transport.create_settled(key, bytes, size)? {
            Settled::Same => return Ok(digest(bytes)),
            Settled::Other(held) => return Err(differs(key, bytes, &held)),
            Settled::Created => {}
        }
        let expected = digest(bytes);
        match self.read_back {
            ReadBack::Size => {
                let held = self.transport.head(key)?;
                if held != Some(size) {
                    return Err(Error::Corrupt {
                        key: key.to_string(),
                        expected: format!("{size} bytes"),
                        actual: held.map_or("nothing".into(), |n| format!("{n} bytes")),
                    });
                }
            }
            ReadBack::Digest => match self.transport.get_limited(key, size) {
                Ok(Some(held)) if digest(&held) == expected => {}
                Ok(Some(held)) => return Err(differs(key, bytes, &held)),
                Ok(None) => return Err(differs(key, bytes, &Bytes::new())),
                Err(Error::TooLarge { actual_bytes, .. }) => {
                    return Err(Error::Corrupt {
                        key: key.to_string(),
                        expected: format!("{size} bytes"),
                        actual: format!("{actual_bytes} bytes"),
                    });
                }
                Err(e) => return Err(e),
            },
        }
        Ok(expected)
    }
}

fn digest(bytes: &Bytes) -> Digest {
    Digest(*blake3::Hasher::new().update_rayon(bytes).finalize().as_bytes())
}

fn differs(key: &Key, expected: &Bytes, actual: &Bytes) -> Error {
    let say = |b: &Bytes| format!("{} ({} bytes)", digest(b), b.len());
    Error::Corrupt { key: key.to_string(), expected: say(expected), actual: say(actual) }
}
