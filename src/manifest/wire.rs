//! Canonical MessagePack: one encoding for one value.

use serde::{Deserialize, Serialize};

use super::{Error, Result};
use crate::limits::MAX_META_RECORD_BYTES;

/// The version that every manifest of this room has.
pub(super) const VERSION: u8 = 1;

/// Encodes a tuple as a MessagePack array with the shortest form of each number.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("tuples of numbers and byte strings always encode")
}

/// Decodes `bytes` into the tuple `T`, whose first two members are the tag and the version.
///
/// The value is encoded again and compared: a longer form of a number, a text in place of a byte string or
/// bytes behind the end would all give a second encoding, and so a second id, to the same value.
pub(super) fn decode<'a, T: Deserialize<'a> + Serialize>(what: &'static str, tag: &str, bytes: &'a [u8]) -> Result<T> {
    if bytes.len() > MAX_META_RECORD_BYTES {
        return Err(Error::TooLarge { what, len_bytes: bytes.len(), max_bytes: MAX_META_RECORD_BYTES });
    }
    match head(bytes) {
        Some((found, _)) if found != tag.as_bytes() => return Err(Error::WrongKind { what }),
        None => return Err(Error::WrongKind { what }),
        Some((_, version)) if version != VERSION => return Err(Error::Version { what, version }),
        Some(_) => {}
    }
    let value: T = rmp_serde::from_slice(bytes).map_err(|source| Error::Encoding { what, source })?;
    if encode(&value) == bytes { Ok(value) } else { Err(Error::NotCanonical { what }) }
}

/// The tag and version with which a manifest begins: a short array, a short text, a small number.
pub(super) fn head(bytes: &[u8]) -> Option<(&[u8], u8)> {
    let (&array, rest) = bytes.split_first()?;
    let (&text, rest) = rest.split_first()?;
    if array & 0xf0 != 0x90 || text & 0xe0 != 0xa0 {
        return None;
    }
    let (tag, rest) = rest.split_at_checked(usize::from(text & 0x1f))?;
    let version = *rest.first()?;
    (version < 0x80).then_some((tag, version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_encodings_are_refused() {
        type Value<'a> = (&'a str, u8, u64);
        let good = encode(&("t", 1u8, 300u64));
        assert_eq!(good, [0x93, 0xa1, b't', 1, 0xcd, 1, 44]);
        assert_eq!(decode::<Value>("t", "t", &good).expect("canonical").2, 300);
        let wide = [0x93, 0xa1, b't', 1, 0xce, 0, 0, 1, 44];
        assert!(matches!(decode::<Value>("t", "t", &wide), Err(Error::NotCanonical { .. })));
        let mut longer = good.clone();
        longer.push(0);
        assert!(matches!(decode::<Value>("t", "t", &longer), Err(Error::NotCanonical { .. })));
        assert!(matches!(decode::<Value>("t", "u", &good), Err(Error::WrongKind { .. })));
        assert!(matches!(decode::<Value>("t", "t", &[0x93, 0xa1, b't', 2, 0]), Err(Error::Version { version: 2, .. })));
    }

    #[test]
    fn claimed_lengths_do_not_allocate() {
        // An array of 2^32-1 members in eleven bytes.
        let bytes = [0x93, 0xa1, b't', 1, 0xdd, 0xff, 0xff, 0xff, 0xff];
        assert!(decode::<(&str, u8, Vec<(u64, u64)>)>("t", "t", &bytes).is_err());
    }
}
