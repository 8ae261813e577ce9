//! Which files of a working tree were read already, and what they held: so that asking again costs one
//! `stat`, not a read.

use super::{Index, Result};
use crate::fsio::Stat;
use crate::id::FileId;
use rusqlite::OptionalExtension as _;

/// A file that was read whole.
#[derive(Debug, Clone)]
pub struct CachedFile {
    /// Path from the top of the working tree, raw bytes.
    pub path: Vec<u8>,
    /// What the file system said before it was read, and still said afterwards.
    pub stat: Stat,
    /// When that was, nanoseconds since 1970.
    pub seen_ns: u64,
    /// What it held.
    pub file_id: FileId,
}

fn int(n: i128) -> i64 {
    // Wraps rather than fails: the value is only compared with another that went the same way.
    n as i64
}

impl Index {
    /// What the file held, if it is known to be untouched since it was read. A file changed so shortly
    /// before it was read that a later change could carry the same time counts as unknown (git's rule for
    /// racy entries).
    pub fn cached_file(&self, worktree: &str, path: &[u8], stat: &Stat) -> Result<Option<FileId>> {
        let row = self
            .conn()
            .prepare_cached(
                "SELECT size, mtime_ns, ctime_ns, dev, ino, seen_ns, file_id FROM stat_cache
                 WHERE worktree = ?1 AND path = ?2",
            )
            .and_then(|mut q| {
                q.query_row((worktree, path), |r| {
                    let nums: [i64; 6] = [r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?];
                    Ok((nums, r.get::<_, Vec<u8>>(6)?))
                })
                .optional()
            })
            .map_err(self.err("look up a file"))?;
        Ok(row.and_then(|(nums, id)| {
            let same = nums[..5]
                == [
                    int(i128::from(stat.size_bytes)),
                    int(stat.mtime_ns),
                    int(stat.ctime_ns),
                    int(i128::from(stat.dev)),
                    int(i128::from(stat.ino)),
                ];
            let newest = stat.mtime_ns.max(stat.ctime_ns);
            let racy = newest >= i128::from(nums[5]) - RACY_NS;
            if same && !racy { FileId::from_slice(&id) } else { None }
        }))
    }

    /// Remembers files in one transaction.
    pub fn remember_files(&self, worktree: &str, files: &[CachedFile]) -> Result<()> {
        let mut conn = self.conn();
        let tx = conn.transaction().map_err(self.err("remember files"))?;
        {
            let mut insert = tx
                .prepare_cached("INSERT OR REPLACE INTO stat_cache VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
                .map_err(self.err("remember files"))?;
            for f in files {
                insert
                    .execute((
                        worktree,
                        &f.path,
                        int(i128::from(f.stat.size_bytes)),
                        int(f.stat.mtime_ns),
                        int(f.stat.ctime_ns),
                        int(i128::from(f.stat.dev)),
                        int(i128::from(f.stat.ino)),
                        int(i128::from(f.seen_ns)),
                        f.file_id.as_bytes().as_slice(),
                    ))
                    .map_err(self.err("remember files"))?;
            }
        }
        tx.commit().map_err(self.err("remember files"))
    }
}

/// How coarse a file system's clock may be for a change to hide behind an earlier one.
const RACY_NS: i128 = 20_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsio;

    #[test]
    fn touched_or_racy_files_are_unknown() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let index = Index::open(&dir.path().join("clade.db")).expect("opens");
        let path = dir.path().join("f");
        fsio::write_atomic(&path, b"content").expect("writes");
        let stat = fsio::stat(&path).expect("stats").expect("is there");
        let id = FileId::of(b"content");
        let changed = u64::try_from(stat.ctime_ns).expect("after 1970");
        let file = |seen_ns| CachedFile { path: b"f".to_vec(), stat, seen_ns, file_id: id };

        index.remember_files("w", &[file(changed + 1_000)]).expect("remembers");
        assert_eq!(index.cached_file("w", b"f", &stat).expect("asks"), None, "racy");

        index.remember_files("w", &[file(changed + 1_000_000_000)]).expect("remembers");
        assert_eq!(index.cached_file("w", b"f", &stat).expect("asks"), Some(id));
        assert_eq!(index.cached_file("other", b"f", &stat).expect("asks"), None);
        for touched in [
            Stat { size_bytes: 8, ..stat },
            Stat { mtime_ns: stat.mtime_ns + 1, ..stat },
            Stat { ctime_ns: stat.ctime_ns + 1, ..stat },
            Stat { ino: stat.ino + 1, ..stat },
            Stat { dev: stat.dev + 1, ..stat },
        ] {
            assert_eq!(index.cached_file("w", b"f", &touched).expect("asks"), None, "{touched:?}");
        }
    }
}
