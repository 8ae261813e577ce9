//! Chunk boundaries, without I/O.
//!
//! [`Chunker`] is shown a file's bytes through a window that the caller owns and says where to cut. Tensor
//! payloads (found by [`crate::tensor`]) are cut into fixed blocks from their own start; everything else by
//! content, so that an edit moves only the boundaries beside it. Long runs of zeros are holes, which are
//! stored as nothing. Boundaries are a function of the file's bytes and the [`Profile`] alone: not of the
//! windows, the threads or the machine. `docs/reference/formats/chunking.md` has the whole algorithm.

mod chunker;
mod gear;
mod zeros;

pub use chunker::{Chunker, Class, Step, WINDOW_BYTES, chunks};
pub use gear::table_digest;

/// One complete set of chunking rules, frozen. Recipes name the one they were cut by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum Profile {
    /// The first: layouts and sizes of `docs/reference/formats/chunking.md`.
    #[default]
    One,
}

/// A number that names no profile known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("chunking profile {number} is not known to this version of clade")]
pub struct UnknownProfile {
    /// The number.
    pub number: u8,
}

impl Profile {
    /// The number that formats store.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
        }
    }
}

impl TryFrom<u8> for Profile {
    type Error = UnknownProfile;

    fn try_from(number: u8) -> Result<Self, UnknownProfile> {
        match number {
            1 => Ok(Self::One),
            number => Err(UnknownProfile { number }),
        }
    }
}

#[cfg(test)]
mod tests;
