//! Names of git objects, of either length.

use crate::id::{from_hex, to_hex};
use std::fmt;

/// Which digest names the objects of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
}

impl ObjectFormat {
    /// Length of an id in bytes.
    #[must_use]
    pub fn len_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The id of all zeros, by which git means "nothing".
    #[must_use]
    pub fn null(self) -> Oid {
        Oid { len: if self == Self::Sha1 { 20 } else { 32 }, bytes: [0; 32] }
    }
}

/// The name of a git object. Prints as hex; ordered by its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid {
    // Before `len`, so that ids are ordered by bytes; behind the id's length they are zero.
    bytes: [u8; 32],
    len: u8,
}

impl Oid {
    /// The id made of 20 or 32 bytes.
    #[must_use]
    pub fn from_slice(raw: &[u8]) -> Option<Self> {
        let len = match raw.len() {
            20 => 20,
            32 => 32,
            _ => return None,
        };
        let mut bytes = [0; 32];
        bytes[..raw.len()].copy_from_slice(raw);
        Some(Self { bytes, len })
    }

    /// Reads 40 or 64 lowercase hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.len() {
            40 => from_hex::<20>(text).ok().and_then(|b| Self::from_slice(&b)),
            64 => from_hex::<32>(text).ok().and_then(|b| Self::from_slice(&b)),
            _ => None,
        }
    }

    /// The id's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether it is all zeros, by which git means "nothing".
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.bytes == [0; 32]
    }

    /// The first 12 hex digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        to_hex(&self.bytes[..6])
    }

    pub(super) fn to_gix(self) -> gix::ObjectId {
        gix::ObjectId::try_from(self.as_bytes()).expect("both lengths are git's")
    }

    pub(super) fn from_gix(id: &gix::oid) -> Self {
        Self::from_slice(id.as_bytes()).expect("git's ids have 20 or 32 bytes")
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.as_bytes()))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Oid({})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lengths_and_no_other() {
        for len in [40, 64] {
            let text = "0a".repeat(len / 2);
            let oid = Oid::parse(&text).expect("hex of that length");
            assert_eq!(oid.to_string(), text);
            assert_eq!(Oid::from_gix(&oid.to_gix()), oid);
        }
        assert_eq!(Oid::parse(&"0a".repeat(21)), None);
        assert_eq!(Oid::parse(&"0A".repeat(20)), None);
        assert!(ObjectFormat::Sha256.null().is_null());
        assert!(Oid::parse(&"01".repeat(20)) < Oid::parse(&"02".repeat(20)));
    }
}
