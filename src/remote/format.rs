//! The file `format`: what a remote is, and what a program must know to use it.

use serde::{Deserialize, Serialize};

use crate::id::RemoteId;
use crate::limits::MAX_REMOTE_SMALL_BYTES;
use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::request::Settled;
use crate::remote::transport::Transport;
use crate::remote::wire;

/// Version of the remote layout written by this program.
pub const FORMAT_VERSION: u32 = 1;

/// Needs that this program knows how to honour, for reading and for writing. None exist yet.
pub const KNOWN_NEEDS: &[&str] = &[];

/// Content of `format`, created once with the remote and never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Version of the layout.
    pub v: u32,
    /// Identity of this remote; everything that is kept locally about it is kept under this id.
    pub remote_id: RemoteId,
    /// Chunk profile that writers use.
    pub profile: u32,
    /// What a reader must know; an unknown name stops it.
    #[serde(default)]
    pub needs_read: Vec<String>,
    /// What a writer must know, besides everything in `needs_read`.
    #[serde(default)]
    pub needs_write: Vec<String>,
}

impl Format {
    /// The format of a new remote, with a fresh identity.
    #[must_use]
    pub fn new(profile: u32) -> Self {
        Self {
            v: FORMAT_VERSION,
            remote_id: RemoteId::new_v7(),
            profile,
            needs_read: Vec::new(),
            needs_write: Vec::new(),
        }
    }

    /// The file's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads the file's bytes. Needs are not judged here.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let key = Key::Format.to_string();
        wire::decode(&key, wire::open(&key, bytes, FORMAT_VERSION)?)
    }

    /// Fails with [`Error::NewerNeeded`] unless this program may read the remote.
    pub fn check_read(&self) -> Result<()> {
        check(&self.needs_read)
    }

    /// Fails with [`Error::NewerNeeded`] unless this program may read and write the remote.
    pub fn check_write(&self) -> Result<()> {
        check(&self.needs_read)?;
        check(&self.needs_write)
    }

    /// The remote's format, or [`Error::NotARemote`]. One request.
    pub fn load(transport: &Transport) -> Result<Self> {
        match transport.get_limited(&Key::Format, MAX_REMOTE_SMALL_BYTES as u64)? {
            Some(bytes) => Self::decode(&bytes),
            None => Err(Error::NotARemote { location: transport.location().to_owned() }),
        }
    }

    /// Writes this format unless the remote has one, and returns the one that it has now.
    pub fn create(&self, transport: &Transport) -> Result<Self> {
        let bytes = self.encode().into();
        match transport.create_settled(&Key::Format, &bytes, MAX_REMOTE_SMALL_BYTES as u64)? {
            Settled::Created | Settled::Same => Ok(self.clone()),
            Settled::Other(held) => Self::decode(&held),
        }
    }
}

fn check(needs: &[String]) -> Result<()> {
    match needs.iter().find(|n| !KNOWN_NEEDS.contains(&n.as_str())) {
        None => Ok(()),
        Some(need) => Err(Error::NewerNeeded { key: Key::Format.to_string(), need: need.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_needs_stop() {
        let mut format = Format::new(1);
        assert!(format.check_write().is_ok());
        format.needs_write.push("moon".into());
        assert!(format.check_read().is_ok());
        assert!(matches!(
            format.check_write(),
            Err(Error::NewerNeeded { need, .. }) if need == "moon"
        ));
        format.needs_read.push("sun".into());
        assert!(format.check_read().is_err());
        assert_eq!(Format::decode(&format.encode()).expect("reads back"), format);
    }

    #[test]
    fn a_later_version_is_named_as_such() {
        let format = Format { v: 2, ..Format::new(1) };
        assert!(matches!(Format::decode(&format.encode()), Err(Error::NewerNeeded { .. })));
    }
}
