//! Typed identifiers, all made by two macros, so that an id of one kind can never be passed for another.
//!
//! Content ids are BLAKE3-256 digests of plain bytes: they never depend on chunking, codecs or remotes.
//! Every digest prints as 64 lowercase hex digits (what `b3sum` prints), is a byte string in binary
//! formats and a hex string in human-readable ones.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected} lowercase hex digits")]
pub struct ParseIdError {
    /// What was given, cut after 80 characters.
    pub text: String,
    /// How many hex digits the id has.
    pub expected: usize,
}

/// Writes `bytes` as lowercase hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        let _ = write!(out, "{b:02x}");
    }
    out
}

/// Reads exactly `N` bytes of lowercase hex. Upper case is refused: every id has one spelling.
pub fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let err = || ParseIdError { text: text.chars().take(80).collect(), expected: N * 2 };
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let raw = text.as_bytes();
    if raw.len() != N * 2 {
        return Err(err());
    }
    let mut out = [0u8; N];
    for (i, o) in out.iter_mut().enumerate() {
        let (Some(h), Some(l)) = (digit(raw[2 * i]), digit(raw[2 * i + 1])) else {
            return Err(err());
        };
        *o = h << 4 | l;
    }
    Ok(out)
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Length of the id in bytes.
            pub const LEN: usize = $len;

            /// The id's bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The id made of `bytes`, or `None` when the length is wrong.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// The first 12 hex digits, for people.
            #[must_use]
            pub fn short(&self) -> String {
                let mut hex = to_hex(&self.0);
                hex.truncate(12);
                hex
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                from_hex(text).map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() {
                    s.collect_str(self)
                } else {
                    s.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl serde::de::Visitor<'_> for Visitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        write!(f, "{} bytes or {} hex digits", $len, $len * 2)
                    }
                    fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<$name, E> {
                        v.parse().map_err(E::custom)
                    }
                    fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<$name, E> {
                        $name::from_slice(v).ok_or_else(|| E::invalid_length(v.len(), &self))
                    }
                }
                if d.is_human_readable() {
                    d.deserialize_str(Visitor)
                } else {
                    d.deserialize_bytes(Visitor)
                }
            }
        }
    };
}

macro_rules! digest_id {
    ($(#[$doc:meta])* $name:ident) => {
        bytes_id! { $(#[$doc])* $name, 32 }

        impl $name {
            /// BLAKE3-256 of `bytes`.
            #[must_use]
            pub fn of(bytes: &[u8]) -> Self {
                Self(*blake3::hash(bytes).as_bytes())
            }
        }

        impl From<blake3::Hash> for $name {
            fn from(hash: blake3::Hash) -> Self {
                Self(*hash.as_bytes())
            }
        }
    };
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        bytes_id! { $(#[$doc])* $name, 16 }

        impl $name {
            /// A new id that sorts by time (UUID version 7); never reused.
            #[must_use]
            pub fn new_v7() -> Self {
                Self(*uuid::Uuid::now_v7().as_bytes())
            }
        }
    };
}

digest_id! {
    /// BLAKE3-256 of a file's bytes: what `b3sum` prints.
    FileId
}
digest_id! {
    /// BLAKE3-256 of a chunk's plain bytes. A file of one chunk has the same digest as its chunk.
    ChunkId
}
digest_id! {
    /// BLAKE3-256 of the canonical root page of a directory tree.
    TreeId
}
digest_id! {
    /// BLAKE3-256 of a metadata page (tree page or term page).
    PageId
}
digest_id! {
    /// BLAKE3-256 of a whole ledger batch file, signatures included.
    BatchId
}
digest_id! {
    /// BLAKE3 of a batch id followed by the event's index in it as a little-endian `u32`.
    EventId
}
digest_id! {
    /// BLAKE3 over the sorted ids of all batches that a ledger holds.
    LedgerId
}
digest_id! {
    /// BLAKE3 over what a pipeline step is: command, parameters, image and code files.
    StepDigest
}
digest_id! {
    /// BLAKE3-256 of bytes that have no other kind of id.
    Digest
}
bytes_id! {
    /// SHA-256 of a file's bytes, for formats of others (LFS, Hugging Face, SLSA).
    Sha256, 32
}
bytes_id! {
    /// One clone's identity as an author of ledger batches: 8 random bytes.
    WriterId, 8
}
uuid_id! {
    /// Name of a pack. Never reused, so deleting a name can never race an upload of the same content.
    PackId
}
uuid_id! {
    /// Name of an index segment. Never reused.
    SegmentId
}
uuid_id! {
    /// One writer's upload session at a remote.
    SessionId
}
uuid_id! {
    /// One execution recorded by `clade run`.
    RunId
}
uuid_id! {
    /// Identity of a repository's ledger, written once by the first `clade init`.
    RepositoryId
}
uuid_id! {
    /// Identity of a remote, written once into its `format` object.
    RemoteId
}

/// The id of a version's content, with its form.
///
/// A file and a tree never share an id space: a version names which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ContentId {
    /// The bytes of one file.
    File(FileId),
    /// A tree of files (a folder or directory asset).
    Tree(TreeId),
}

impl ContentId {
    /// The digest, whichever form it has.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::File(id) => id.as_bytes(),
            Self::Tree(id) => id.as_bytes(),
        }
    }

    /// `file` or `tree`.
    #[must_use]
    pub fn form(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Tree(_) => "tree",
        }
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Self::File(id) => id.short(),
            Self::Tree(id) => id.short(),
        }
    }
}

impl fmt::Display for ContentId {
    /// The digest's 64 hex digits, without the form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        let id = FileId::of(b"");
        assert_eq!(id.to_string(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        assert_eq!(id.to_string().parse::<FileId>(), Ok(id));
        assert!(id.to_string().to_uppercase().parse::<FileId>().is_err());
        assert!(id.to_string()[1..].parse::<FileId>().is_err());
        assert!("".parse::<FileId>().is_err());
    }

    #[test]
    fn bytes_in_binary_hex_in_text() {
        let id = ChunkId::of(b"x");
        let packed = rmp_serde::to_vec(&id).expect("an id encodes");
        assert_eq!(packed[..2], [0xc4, 32]);
        assert_eq!(rmp_serde::from_slice::<ChunkId>(&packed).expect("decodes"), id);
        assert!(rmp_serde::from_slice::<WriterId>(&packed).is_err());
        let json = serde_json::to_string(&id).expect("an id encodes");
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<ChunkId>(&json).expect("decodes"), id);
    }
}
