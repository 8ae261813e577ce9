//! The bytes of git's index, versions 2, 3 and 4: where each entry is and what it says.

use super::{ObjectFormat, Oid};
use crate::fsio;

/// The stat data that the index keeps of a file. Numbers are cut to 32 bits, as git cuts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryStat {
    /// Last change of metadata: seconds since 1970.
    pub ctime_s: u32,
    /// Last change of metadata: nanoseconds.
    pub ctime_ns: u32,
    /// Last change of content: seconds since 1970.
    pub mtime_s: u32,
    /// Last change of content: nanoseconds.
    pub mtime_ns: u32,
    /// Device.
    pub dev: u32,
    /// Number on the device.
    pub ino: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u32,
}

impl EntryStat {
    /// What git writes for a file.
    #[must_use]
    pub fn of(stat: &fsio::Stat) -> Self {
        let (ctime_s, ctime_ns) = seconds(stat.ctime_ns);
        let (mtime_s, mtime_ns) = seconds(stat.mtime_ns);
        Self {
            ctime_s,
            ctime_ns,
            mtime_s,
            mtime_ns,
            dev: low(stat.dev),
            ino: low(stat.ino),
            uid: stat.uid,
            gid: stat.gid,
            size: size_field(stat.size_bytes),
        }
    }
}

fn low(n: u64) -> u32 {
    u32::try_from(n & 0xffff_ffff).expect("32 bits")
}

fn seconds(ns: i128) -> (u32, u32) {
    let (s, n) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let s = u32::try_from(s & 0xffff_ffff).expect("32 bits");
    (s, u32::try_from(n).expect("less than a second"))
}

/// git's cut of a size: only an empty file has 0, which means "look at the content" for all others.
fn size_field(size_bytes: u64) -> u32 {
    match low(size_bytes) {
        0 if size_bytes > 0 => 0x8000_0000,
        size => size,
    }
}

/// One entry and where it starts in the file.
#[derive(Debug)]
pub(super) struct RawEntry<'a> {
    pub(super) at: usize,
    pub(super) path: &'a [u8],
    pub(super) mode: u32,
    pub(super) oid: Oid,
    pub(super) stage: u8,
    pub(super) assume_valid: bool,
    pub(super) skip_worktree: bool,
    pub(super) intent_to_add: bool,
    pub(super) stat: EntryStat,
}

/// What is known of a whole index.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Entries are in another file, which this one only corrects.
    pub(super) is_split: bool,
    /// An extension that a reader must know and we do not.
    pub(super) has_unknown: bool,
    /// git was told to write no checksum.
    pub(super) has_no_checksum: bool,
}

/// Where the stat data is in an entry, and how long.
const STAT_BYTES: usize = 40;
const MODE_AT: usize = 24;

const EXTENDED: u16 = 0x4000;

/// Visits all entries in their order and checks everything that is read, the checksum included.
pub(super) fn walk(
    bytes: &[u8],
    format: ObjectFormat,
    mut visit: impl FnMut(&RawEntry<'_>),
) -> Result<Shape, &'static str> {
    const CUT: &str = "it is cut";
    let id_len = format.len_bytes();
    let end = bytes.len().checked_sub(id_len).filter(|end| *end >= 12).ok_or(CUT)?;
    let (body, trailer) = bytes.split_at(end);
    let mut shape = Shape { has_no_checksum: trailer.iter().all(|b| *b == 0), ..Shape::default() };
    if !shape.has_no_checksum && checksum(body, format)? != trailer {
        return Err("its checksum is wrong");
    }
    if &body[..4] != b"DIRC" {
        return Err("it does not start like an index");
    }
    let version = be32(body, 4).ok_or(CUT)?;
    if !(2..=4).contains(&version) {
        return Err("its version is unknown");
    }
    let count = be32(body, 8).ok_or(CUT)?;
    let mut at = 12;
    // Of version 4, where a path only says how it differs from the one before.
    let mut path: Vec<u8> = Vec::new();
    for _ in 0..count {
        let fixed = STAT_BYTES + id_len + 2;
        let head = body.get(at..).and_then(|b| b.get(..fixed)).ok_or(CUT)?;
        let word = |i: usize| be32(head, i * 4).expect("ten words come first");
        let flags = u16::from_be_bytes([head[fixed - 2], head[fixed - 1]]);
        let mut name_at = at + fixed;
        let mut more = 0;
        if flags & EXTENDED != 0 {
            if version < 3 {
                return Err("an entry has flags of a later version");
            }
            let raw = body.get(name_at..name_at + 2).ok_or(CUT)?;
            more = u16::from_be_bytes([raw[0], raw[1]]);
            name_at += 2;
        }
        let next;
        let name: &[u8] = if version == 4 {
            let (strip, used) = varint(&body[name_at..]).ok_or(CUT)?;
            let keep = path.len().checked_sub(strip).ok_or("a path is shortened by more than it has")?;
            let rest = &body[name_at + used..];
            let len = rest.iter().position(|b| *b == 0).ok_or(CUT)?;
            path.truncate(keep);
            path.extend_from_slice(&rest[..len]);
            next = name_at + used + len + 1;
            &path
        } else {
            let rest = &body[name_at..];
            let len = rest.iter().position(|b| *b == 0).ok_or(CUT)?;
            // Padded with one to eight zeros, counted from the entry's start.
            let size = (name_at - at + len + 8) & !7;
            next = at + size;
            if next > body.len() {
                return Err(CUT);
            }
            &rest[..len]
        };
        visit(&RawEntry {
            at,
            path: name,
            mode: be32(head, MODE_AT).expect("inside the stat data"),
            oid: Oid::from_slice(&head[STAT_BYTES..STAT_BYTES + id_len]).expect("one of both lengths"),
            stage: u8::try_from(flags >> 12 & 3).expect("two bits"),
            assume_valid: flags & 0x8000 != 0,
            skip_worktree: more & 0x4000 != 0,
            intent_to_add: more & 0x2000 != 0,
            stat: EntryStat {
                ctime_s: word(0),
                ctime_ns: word(1),
                mtime_s: word(2),
                mtime_ns: word(3),
                dev: word(4),
                ino: word(5),
                uid: word(7),
                gid: word(8),
                size: word(9),
            },
        });
        at = next;
    }
    extensions(body.get(at..).ok_or(CUT)?, &mut shape)?;
    Ok(shape)
}

fn extensions(mut rest: &[u8], shape: &mut Shape) -> Result<(), &'static str> {
    while !rest.is_empty() {
        let (Some(name), Some(len)) = (rest.get(..4), be32(rest, 4)) else { return Err("an extension is cut") };
        match name {
            b"link" => shape.is_split = true,
            b"sdir" => {}
            // By git's rule the first letter says whether one may ignore it.
            name if !name[0].is_ascii_uppercase() => shape.has_unknown = true,
            _ => {}
        }
        let len = usize::try_from(len).map_err(|_| "an extension is cut")?;
        rest = rest.get(8..).and_then(|r| r.get(len..)).ok_or("an extension is cut")?;
    }
    Ok(())
}

/// Overwrites the stat data of the entry at `at`, except for mode and owner.
pub(super) fn overwrite_stat(bytes: &mut [u8], at: usize, stat: &EntryStat) {
    let words = [
        (0, stat.ctime_s),
        (1, stat.ctime_ns),
        (2, stat.mtime_s),
        (3, stat.mtime_ns),
        (4, stat.dev),
        (5, stat.ino),
        (9, stat.size),
    ];
    for (i, word) in words {
        bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&word.to_be_bytes());
    }
}

/// The checksum that stands behind `body`.
pub(super) fn checksum(body: &[u8], format: ObjectFormat) -> Result<Vec<u8>, &'static str> {
    let kind = match format {
        ObjectFormat::Sha1 => gix::hash::Kind::Sha1,
        ObjectFormat::Sha256 => gix::hash::Kind::Sha256,
    };
    let mut hasher = gix::hash::hasher(kind);
    hasher.update(body);
    let id = hasher.try_finalize().map_err(|_| "its bytes are a known attack on SHA-1")?;
    Ok(id.as_slice().to_vec())
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let raw = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(raw.try_into().ok()?))
}

/// A number in groups of seven bits, the high ones first, each group but the last one less than it says.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (i, byte) in bytes.iter().enumerate().take(9) {
        value = value.checked_shl(7)?.checked_add(usize::from(byte & 0x7f))?;
        if byte & 0x80 == 0 {
            return Some((value, i + 1));
        }
        value = value.checked_add(1)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn sizes_are_cut_as_git_cuts_them() {
        assert_eq!(size_field(0), 0);
        assert_eq!(size_field(5), 5);
        assert_eq!(size_field(1 << 32), 0x8000_0000);
        assert_eq!(size_field(3 << 32), 0x8000_0000);
        assert_eq!(size_field((1 << 32) + 7), 7);
        assert_eq!(seconds(-1), (u32::MAX, 999_999_999));
    }

    #[test]
    fn numbers_of_version_4() {
        for (bytes, value) in [(&[0x05][..], 5), (&[0x80, 0x00], 128), (&[0x81, 0x00], 256), (&[0x80, 0x7f], 255)] {
            assert_eq!(varint(bytes), Some((value, bytes.len())));
        }
        assert_eq!(varint(&[0x80]), None);
        assert_eq!(varint(&[0xff; 20]), None);
    }

    fn index_of(version: &str, format: &str) -> (TestRepo, Vec<u8>, ObjectFormat) {
        let repo = TestRepo::with(&[&format!("--object-format={format}")]);
        repo.git(&["config", "index.version", version]);
        for i in 0..20 {
            repo.write(&format!("dir/{}{i}", "long".repeat(i)), &[0; 3]);
        }
        repo.git(&["add", "-A"]);
        repo.write("later", b"x");
        repo.git(&["add", "-N", "later"]);
        repo.git(&["update-index", "--force-write-index", "--index-version", version]);
        let bytes = fsio::read(&repo.path().join(".git/index")).expect("reads");
        let format = if format == "sha1" { ObjectFormat::Sha1 } else { ObjectFormat::Sha256 };
        (repo, bytes, format)
    }

    #[test]
    fn all_versions_say_what_git_says() {
        for format in ["sha1", "sha256"] {
            for version in ["2", "3", "4"] {
                let (repo, bytes, id) = index_of(version, format);
                let mut ours = Vec::new();
                walk(&bytes, id, |e| {
                    ours.push(format!("{:06o} {} {}\t{}", e.mode, e.oid, e.stage, String::from_utf8_lossy(e.path)));
                    assert_eq!(e.intent_to_add, e.path == b"later");
                })
                .expect("a good index");
                assert_eq!(ours.join("\n"), repo.git(&["ls-files", "-s"]).text(), "{version} {format}");
            }
        }
    }

    #[test]
    fn no_cut_and_no_flipped_bit_passes_or_panics() {
        for version in ["2", "4"] {
            let (_repo, bytes, id) = index_of(version, "sha1");
            for cut in 0..bytes.len() {
                assert!(walk(&bytes[..cut], id, |_| {}).is_err(), "{cut}");
            }
            for bit in (0..bytes.len() * 8).step_by(3) {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert!(walk(&bad, id, |_| {}).is_err(), "{bit}");
                // Without a checksum anything can stand there.
                let end = bad.len() - 20;
                bad[end..].fill(0);
                let _ = walk(&bad, id, |_| {});
            }
        }
    }
}
