//! Pointers: the small texts that git stores in place of a file or a folder.

use std::fmt;

use crate::id::{FileId, TreeId};
use crate::limits::MAX_POINTER_BYTES;

const FILE_START: &[u8] = b"clade pointer v";
const DIRECTORY_START: &[u8] = b"clade directory v";
const FILE_LINE: &str = "clade pointer v1: run `clade pull` to get this file";
const DIRECTORY_LINE: &str = "clade directory v1: run `clade pull` to get this folder";

/// What git stores in place of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pointer {
    /// The file's id.
    pub file_id: FileId,
    /// The file's size; never 0, for an empty file is git's own.
    pub size_bytes: u64,
}

impl Pointer {
    /// The one text for this pointer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl fmt::Display for Pointer {
    /// The pointer's exact text, with its last line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file_id, size_bytes } = self;
        write!(f, "{FILE_LINE}\noid blake3:{file_id}\nsize {size_bytes}\n")
    }
}

/// What git stores in place of a directory asset, as `NAME.clade`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryPointer {
    /// The tree of the folder's files.
    pub tree_id: TreeId,
    /// How many files the tree has.
    pub files: u64,
    /// Their sizes added up.
    pub size_bytes: u64,
}

impl DirectoryPointer {
    /// The one text for this pointer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl fmt::Display for DirectoryPointer {
    /// The pointer's exact text, with its last line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tree_id, files, size_bytes } = self;
        write!(f, "{DIRECTORY_LINE}\ntree blake3:{tree_id}\nfiles {files}\nsize {size_bytes}\n")
    }
}

/// What some bytes are, seen as a pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A pointer to a file.
    Pointer(Pointer),
    /// A pointer to a folder.
    Directory(DirectoryPointer),
    /// Ordinary content: it does not begin like a pointer, or is too long to be one.
    NotAPointer,
    /// It begins like a pointer and is none: damaged, edited, or of a newer version. Never content.
    Invalid(PointerDefect),
}

/// Why bytes that begin like a pointer are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PointerDefect {
    /// The first line is not that of version 1.
    #[error("the first line is not that of a version 1 pointer")]
    FirstLine,
    /// The line with the id is missing or not 64 lowercase hex digits.
    #[error("the id line is not `blake3:` and 64 lowercase hex digits")]
    Id,
    /// A line with a number is missing or written in another way than plain decimal.
    #[error("a number is missing or is not plain decimal")]
    Number,
    /// Bytes behind the last line, a missing line end, or other line ends.
    #[error("the lines are not exactly those of a pointer")]
    Lines,
    /// A pointer to nothing: empty files are git's own.
    #[error("the size is 0, and an empty file has no pointer")]
    Empty,
    /// A folder without files has the size 0.
    #[error("the folder has no files but a size")]
    EmptyFolder,
}

/// Tells what `bytes`, the whole content of a file, are.
#[must_use]
pub fn parse(bytes: &[u8]) -> Parsed {
    if bytes.len() >= MAX_POINTER_BYTES {
        Parsed::NotAPointer
    } else if bytes.starts_with(FILE_START) {
        file(bytes).map_or_else(Parsed::Invalid, Parsed::Pointer)
    } else if bytes.starts_with(DIRECTORY_START) {
        directory(bytes).map_or_else(Parsed::Invalid, Parsed::Directory)
    } else {
        Parsed::NotAPointer
    }
}

fn file(bytes: &[u8]) -> Result<Pointer, PointerDefect> {
    let mut lines = Lines::after(bytes, FILE_LINE)?;
    let pointer = Pointer { file_id: FileId(lines.id("oid blake3:")?), size_bytes: lines.number("size ")? };
    lines.end()?;
    if pointer.size_bytes == 0 {
        return Err(PointerDefect::Empty);
    }
    Ok(pointer)
}

fn directory(bytes: &[u8]) -> Result<DirectoryPointer, PointerDefect> {
    let mut lines = Lines::after(bytes, DIRECTORY_LINE)?;
    let pointer = DirectoryPointer {
        tree_id: TreeId(lines.id("tree blake3:")?),
        files: lines.number("files ")?,
        size_bytes: lines.number("size ")?,
    };
    lines.end()?;
    if pointer.files == 0 && pointer.size_bytes != 0 {
        return Err(PointerDefect::EmptyFolder);
    }
    Ok(pointer)
}

/// The rest of a pointer, line by line; a line ends with one line feed.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn after(bytes: &'a [u8], first: &str) -> Result<Self, PointerDefect> {
        let rest = bytes.strip_prefix(first.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
        rest.map(Self).ok_or(PointerDefect::FirstLine)
    }

    fn line(&mut self, key: &str) -> Option<&'a str> {
        let end = self.0.iter().position(|&b| b == b'\n')?;
        let value = self.0[..end].strip_prefix(key.as_bytes())?;
        self.0 = &self.0[end + 1..];
        std::str::from_utf8(value).ok()
    }

    fn id(&mut self, key: &str) -> Result<[u8; 32], PointerDefect> {
        let text = self.line(key).ok_or(PointerDefect::Id)?;
        crate::id::from_hex(text).map_err(|_| PointerDefect::Id)
    }

    fn number(&mut self, key: &str) -> Result<u64, PointerDefect> {
        let text = self.line(key).ok_or(PointerDefect::Number)?;
        let value: u64 = text.parse().map_err(|_| PointerDefect::Number)?;
        // The standard parser takes a plus and leading zeros; a pointer has one spelling.
        if value.to_string() == text { Ok(value) } else { Err(PointerDefect::Number) }
    }

    fn end(&self) -> Result<(), PointerDefect> {
        if self.0.is_empty() { Ok(()) } else { Err(PointerDefect::Lines) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer() -> Pointer {
        Pointer { file_id: FileId::of(b"x"), size_bytes: 120 }
    }

    fn folder() -> DirectoryPointer {
        DirectoryPointer { tree_id: TreeId::of(b"x"), files: 3, size_bytes: 99 }
    }

    #[test]
    fn exact_texts() {
        let id = FileId::of(b"x");
        assert_eq!(
            pointer().to_string(),
            format!("clade pointer v1: run `clade pull` to get this file\noid blake3:{id}\nsize 120\n")
        );
        assert_eq!(
            folder().to_string(),
            format!("clade directory v1: run `clade pull` to get this folder\ntree blake3:{id}\nfiles 3\nsize 99\n")
        );
        assert_eq!(parse(&pointer().encode()), Parsed::Pointer(pointer()));
        assert_eq!(parse(&folder().encode()), Parsed::Directory(folder()));
    }

    #[test]
    fn no_other_text_is_a_pointer() {
        let text = pointer().to_string();
        for (changed, defect) in [
            (text.replace("v1", "v2"), PointerDefect::FirstLine),
            (text.replace("file", "File"), PointerDefect::FirstLine),
            (text.replace('\n', "\r\n"), PointerDefect::FirstLine),
            (text.replace("blake3", "sha256"), PointerDefect::Id),
            (text.replace("size 120", "size 0120"), PointerDefect::Number),
            (text.replace("size 120", "size +120"), PointerDefect::Number),
            (text.replace("size 120", "size 120 "), PointerDefect::Number),
            (text.replace("size 120", "size -1"), PointerDefect::Number),
            (text.replace("size 120", "size 0"), PointerDefect::Empty),
            (text.replace("size 120", "size 18446744073709551616"), PointerDefect::Number),
            (format!("{text}\n"), PointerDefect::Lines),
            (format!("{text}extra 1\n"), PointerDefect::Lines),
        ] {
            assert_eq!(parse(changed.as_bytes()), Parsed::Invalid(defect), "{changed}");
        }
        let upper = text.replace(&pointer().file_id.to_string(), &"A".repeat(64));
        assert_eq!(parse(upper.as_bytes()), Parsed::Invalid(PointerDefect::Id));
        let folder = folder().to_string().replace("files 3", "files 0");
        assert_eq!(parse(folder.as_bytes()), Parsed::Invalid(PointerDefect::EmptyFolder));
    }

    #[test]
    fn content_is_content() {
        assert_eq!(parse(b""), Parsed::NotAPointer);
        assert_eq!(parse(b"clade pointer\n"), Parsed::NotAPointer);
        assert_eq!(parse(b"x clade pointer v1"), Parsed::NotAPointer);
        let mut long = pointer().encode();
        long.resize(MAX_POINTER_BYTES, b'\n');
        assert_eq!(parse(&long), Parsed::NotAPointer);
        long.truncate(MAX_POINTER_BYTES - 1);
        assert!(matches!(parse(&long), Parsed::Invalid(_)));
    }

    #[test]
    fn truncations_and_flips_never_read_as_the_same_pointer() {
        for bytes in [pointer().encode(), folder().encode()] {
            let whole = parse(&bytes);
            for len in 0..bytes.len() {
                assert!(matches!(parse(&bytes[..len]), Parsed::NotAPointer | Parsed::Invalid(_)), "{len} bytes");
            }
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let parsed = parse(&flipped);
                assert_ne!(parsed, whole, "bit {bit}");
                // Where a flip gives another valid pointer, that pointer says what the bytes say.
                match parsed {
                    Parsed::Pointer(p) => assert_eq!(p.encode(), flipped),
                    Parsed::Directory(p) => assert_eq!(p.encode(), flipped),
                    Parsed::NotAPointer | Parsed::Invalid(_) => {}
                }
            }
        }
    }
}
