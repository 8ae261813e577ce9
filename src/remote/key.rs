//! The names of things at a remote.

use std::fmt;

use crate::id::{ContentId, PackId, SegmentId, SessionId};

/// A key of the remote layout. Its text form is the whole layout; nothing else is ever written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `format`: what this remote is.
    Format,
    /// `hint`: a guess at the newest log entry; the only key that is overwritten.
    Hint,
    /// `log/<20 decimal digits>`: one log entry, counted from 1.
    Log(u64),
    /// `sessions/<session>`: who uploads under that session.
    Session(SessionId),
    /// `packs/<session>/<pack>`: one pack.
    Pack(SessionId, PackId),
    /// `segments/<session>/<segment>`: one index segment.
    Segment(SessionId, SegmentId),
    /// `assets/f-<file id>` or `assets/t-<tree id>`: where the bytes of one version are.
    Asset(ContentId),
    /// `canary/<name>`: a probe, deleted after use.
    Canary(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format => f.write_str("format"),
            Self::Hint => f.write_str("hint"),
            Self::Log(seq) => write!(f, "log/{seq:020}"),
            Self::Session(sid) => write!(f, "sessions/{sid}"),
            Self::Pack(sid, pack) => write!(f, "packs/{sid}/{pack}"),
            Self::Segment(sid, segment) => write!(f, "segments/{sid}/{segment}"),
            Self::Asset(ContentId::File(id)) => write!(f, "assets/f-{id}"),
            Self::Asset(ContentId::Tree(id)) => write!(f, "assets/t-{id}"),
            Self::Canary(name) => write!(f, "canary/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::FileId;

    #[test]
    fn layout_is_fixed() {
        assert_eq!(Key::Log(1).to_string(), "log/00000000000000000001");
        assert_eq!(Key::Log(u64::MAX).to_string().len(), 24);
        assert_eq!(
            Key::Pack(SessionId([1; 16]), PackId([0xab; 16])).to_string(),
            format!("packs/{}/{}", "01".repeat(16), "ab".repeat(16))
        );
        assert_eq!(Key::Asset(ContentId::File(FileId([2; 32]))).to_string(), format!("assets/f-{}", "02".repeat(32)));
    }
}
