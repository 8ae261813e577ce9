//! Where a remote is, and which transport reaches it. A new kind of remote is a new variant here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;

use crate::remote::error::{Error, Result};
use crate::remote::key::Key;
use crate::remote::request::{Limits, Put};
use crate::remote::transport::Transport;

/// A place that a remote can be at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// A directory of this machine, or one that is mounted here.
    Directory(PathBuf),
}

impl Location {
    /// Reads a location as people write it: a path, or `file://` with an absolute path in which special
    /// characters are percent-encoded.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for any other scheme, and for `host:path`.
    pub fn parse(text: &str) -> Result<Self> {
        let unsupported = |what: &str| Error::Unsupported { what: format!("remote {text:?}: {what}") };
        if text.is_empty() {
            return Err(unsupported("an empty location"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            if scheme != "file" {
                return Err(unsupported(&format!("scheme {scheme:?}")));
            }
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            if !path.starts_with('/') {
                return Err(unsupported("a file URL with a host or without an absolute path"));
            }
            let path = percent_decode(path).ok_or_else(|| unsupported("a bad percent code"))?;
            return Ok(Self::Directory(path.into()));
        }
        // What git reads as `host:path` must not become a directory of that name by accident.
        if let Some((host, _)) = text.split_once(':')
            && !host.contains('/')
            && host.len() > 1
        {
            return Err(unsupported("ssh; write ./ before a path that holds a colon"));
        }
        Ok(Self::Directory(text.into()))
    }

    /// A transport to what is there, with `limits`.
    ///
    /// # Errors
    /// [`Error::NotARemote`] when a directory does not exist.
    pub fn connect(&self, limits: Limits) -> Result<Transport> {
        match self {
            Self::Directory(dir) => {
                let name = dir.display().to_string();
                let store = match LocalFileSystem::new_with_prefix(dir) {
                    Ok(store) => store.with_fsync(true),
                    Err(e) => {
                        return Err(match Error::from_reply("read", &name, &e) {
                            Error::NotFound { .. } => Error::NotARemote { location: name },
                            other => other,
                        });
                    }
                };
                Ok(Transport::new(Arc::new(store), &name, true, limits))
            }
        }
    }

    /// Like [`Location::connect`], after making the place where that is possible: a directory is created
    /// with its parents, durably.
    pub fn connect_or_create(&self, limits: Limits) -> Result<Transport> {
        match (self.connect(limits), self) {
            (Err(Error::NotARemote { .. }), Self::Directory(dir)) => {
                create_directory(dir, limits)?;
                self.connect(limits)
            }
            (other, _) => other,
        }
    }
}

/// Makes `dir` by creating a probe below it: the transport makes, and syncs, the directories above.
fn create_directory(dir: &Path, limits: Limits) -> Result<()> {
    let name = dir.display().to_string();
    let unusable = |detail: String| Error::Unsupported { what: format!("remote directory {name:?}: {detail}") };
    let absolute = std::path::absolute(dir).map_err(|e| unusable(e.to_string()))?;
    let prefix = object_store::path::Path::from_absolute_path(&absolute).map_err(|e| unusable(e.to_string()))?;
    let root = LocalFileSystem::new().with_fsync(true);
    let store = object_store::prefix::PrefixStore::new(root, prefix);
    let transport = Transport::new(Arc::new(store), &name, true, limits);
    let probe = format!("{}/directory", uuid::Uuid::new_v4().simple());
    match transport.put_new(&Key::Canary(probe.clone()), Bytes::new())? {
        Put::Created | Put::Exists => transport.delete_canary(&probe),
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            if !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            out.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_urls_are_directories() {
        let dir = |text: &str| match Location::parse(text) {
            Ok(Location::Directory(dir)) => dir,
            Err(e) => panic!("{text}: {e}"),
        };
        assert_eq!(dir("../remote"), PathBuf::from("../remote"));
        assert_eq!(dir("file:///a/b%20c"), PathBuf::from("/a/b c"));
        assert_eq!(dir("file://localhost/a"), PathBuf::from("/a"));
        assert_eq!(dir("./a:b"), PathBuf::from("./a:b"));
    }

    #[test]
    fn anything_else_is_unsupported() {
        for text in ["s3://bucket/x", "", "host:path", "file://far/x", "file:///a%zz", "file:///a%2"] {
            assert!(matches!(Location::parse(text), Err(Error::Unsupported { .. })), "{text}");
        }
    }
}
