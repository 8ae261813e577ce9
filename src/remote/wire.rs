//! How the small files of a remote are written: one MessagePack map with string keys, and the BLAKE3 of it.
//!
//! The digest at the end makes damage visible even in a file that nothing else names, such as the newest
//! log entry.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::id::Digest;
use crate::remote::error::{Error, Result};

/// Bytes of the digest at the end.
pub(crate) const SEAL_LEN: usize = 32;

/// Encodes `value` as a map with string keys, followed by the digest of the map.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Writing to memory cannot fail, and no type of this room refuses to be written.
    let mut out = rmp_serde::to_vec_named(value).expect("plain structs encode");
    let seal = blake3::hash(&out);
    out.extend_from_slice(seal.as_bytes());
    out
}

/// Checks the digest at the end of a file and returns what is before it.
pub(crate) fn unseal<'a>(key: &str, file: &'a [u8]) -> Result<&'a [u8]> {
    let Some((map, seal)) = file.split_last_chunk::<SEAL_LEN>() else {
        return Err(Error::Corrupt {
            key: key.to_owned(),
            expected: format!("more than {SEAL_LEN} bytes"),
            actual: format!("{} bytes", file.len()),
        });
    };
    let actual = Digest::of(map);
    if actual.0 != *seal {
        return Err(Error::Corrupt {
            key: key.to_owned(),
            expected: Digest(*seal).to_string(),
            actual: actual.to_string(),
        });
    }
    Ok(map)
}

/// Decodes exactly one value that takes up all of `bytes` (a file without its digest). Nothing is allocated beyond a small multiple of
/// `bytes`, whatever lengths it claims.
pub(crate) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T> {
    let mut reader = rmp_serde::Deserializer::new(bytes);
    let value =
        T::deserialize(&mut reader).map_err(|e| Error::Malformed { key: key.to_owned(), detail: e.to_string() })?;
    let rest = reader.get_ref().len();
    if rest != 0 {
        return Err(Error::Malformed { key: key.to_owned(), detail: format!("{rest} bytes follow its end") });
    }
    Ok(value)
}

#[derive(serde::Deserialize)]
struct Version {
    v: u32,
}

/// Checks the digest and the version of a whole file, which may be up to `known`, and returns the map.
pub(crate) fn open<'a>(key: &str, file: &'a [u8], known: u32) -> Result<&'a [u8]> {
    let map = unseal(key, file)?;
    let Version { v } = decode(key, map)?;
    match v {
        0 => Err(Error::Malformed { key: key.to_owned(), detail: "version 0 does not exist".into() }),
        v if v > known => Err(Error::NewerNeeded { key: key.to_owned(), need: format!("version {v}") }),
        _ => Ok(map),
    }
}
