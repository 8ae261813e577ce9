//! What a path in a tree may be, and in which order paths come.

use super::{Error, Result};
use crate::limits::MAX_PATH_BYTES;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathDefect {
    /// It has no bytes.
    #[error("it is empty")]
    Empty,
    /// It is longer than a tree takes.
    #[error("it is longer than {MAX_PATH_BYTES} bytes")]
    TooLong,
    /// It has a NUL byte.
    #[error("it contains a NUL byte")]
    Nul,
    /// It begins or ends with a slash or has two in a row.
    #[error("it has an empty component")]
    EmptyComponent,
    /// It has a component `.` or `..`.
    #[error("it has a component that walks the tree")]
    Traversal,
    /// It has a component `.git`, in any case.
    #[error("it has a component that belongs to git")]
    Git,
    /// It is not greater than the path before it.
    #[error("it does not come after the path before it")]
    Order,
    /// Another entry has a leading part of it as a file.
    #[error("a leading part of it is a file")]
    FileAndDirectory,
}

/// Checks that `path`, with `/` between components, can be an entry of a tree.
///
/// A path is bytes: nothing is normalised and nothing need be UTF-8.
pub fn check_path(path: &[u8]) -> Result<()> {
    match defect(path) {
        None => Ok(()),
        Some(defect) => Err(error(path, defect)),
    }
}

fn defect(path: &[u8]) -> Option<PathDefect> {
    if path.is_empty() {
        return Some(PathDefect::Empty);
    }
    if path.len() > MAX_PATH_BYTES {
        return Some(PathDefect::TooLong);
    }
    if path.contains(&0) {
        return Some(PathDefect::Nul);
    }
    path.split(|&b| b == b'/').find_map(|component| {
        if component.is_empty() {
            Some(PathDefect::EmptyComponent)
        } else if component == b"." || component == b".." {
            Some(PathDefect::Traversal)
        } else if component.eq_ignore_ascii_case(b".git") {
            Some(PathDefect::Git)
        } else {
            None
        }
    })
}

/// The error that names `path`, made safe to print.
pub(super) fn error(path: &[u8], defect: PathDefect) -> Error {
    Error::Path { path: String::from_utf8_lossy(path).chars().take(200).collect(), defect }
}

/// Checks a stream of paths: strictly ascending bytes, and no path that is a file and a directory.
///
/// The bytes `-` and `.` sort before `/`, so `a` and `a/b` need not be neighbours. What is remembered is
/// which leading parts of the last path were files themselves and can still meet a `/`.
#[derive(Debug, Default)]
pub(super) struct PathOrder {
    last: Vec<u8>,
    open: Vec<usize>,
}

impl PathOrder {
    /// Takes the next path, which has been checked by itself.
    pub(super) fn push(&mut self, path: &[u8]) -> Result<()> {
        if !self.last.is_empty() {
            if path <= self.last.as_slice() {
                return Err(error(path, PathDefect::Order));
            }
            let common = self.last.iter().zip(path).take_while(|(a, b)| a == b).count();
            if common == self.last.len() {
                self.open.push(common);
            }
            // Above '/' in the place of the slash, no later path can have the slash there.
            self.open.retain(|&len| len <= common && path.get(len).is_some_and(|&b| b <= b'/'));
            if self.open.iter().any(|&len| path[len] == b'/') {
                return Err(error(path, PathDefect::FileAndDirectory));
            }
        }
        self.last.clear();
        self.last.extend_from_slice(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_tree_are_refused() {
        for good in ["a", "a/b.c/d", ".gitignore", "a/.github", "...", "ä ö", "git"] {
            check_path(good.as_bytes()).expect(good);
        }
        check_path(b"\xff\xfe").expect("not every path is UTF-8");
        check_path(&[b'a'; MAX_PATH_BYTES]).expect("the longest path");
        for (bad, why) in [
            ("", PathDefect::Empty),
            ("/a", PathDefect::EmptyComponent),
            ("a/", PathDefect::EmptyComponent),
            ("a//b", PathDefect::EmptyComponent),
            (".", PathDefect::Traversal),
            ("a/../b", PathDefect::Traversal),
            ("a\0b", PathDefect::Nul),
            (".git/config", PathDefect::Git),
            ("a/.GiT", PathDefect::Git),
        ] {
            assert_eq!(defect(bad.as_bytes()), Some(why), "{bad:?}");
        }
        assert_eq!(defect(&[b'a'; MAX_PATH_BYTES + 1]), Some(PathDefect::TooLong));
    }

    fn run(paths: &[&str]) -> Option<PathDefect> {
        let mut order = PathOrder::default();
        for path in paths {
            if let Err(Error::Path { defect, .. }) = order.push(path.as_bytes()) {
                return Some(defect);
            }
        }
        None
    }

    #[test]
    fn a_file_is_never_a_directory() {
        assert_eq!(run(&["a", "a-", "a.b", "a0", "b/c", "b/d"]), None);
        assert_eq!(run(&["a", "a/b"]), Some(PathDefect::FileAndDirectory));
        assert_eq!(run(&["a", "a-", "a--", "a.x", "a/b"]), Some(PathDefect::FileAndDirectory));
        assert_eq!(run(&["a", "a-/x", "a-0/x"]), None);
        assert_eq!(run(&["x/a", "x/a.b/c", "x/a/b"]), Some(PathDefect::FileAndDirectory));
        assert_eq!(run(&["b", "a"]), Some(PathDefect::Order));
        assert_eq!(run(&["b", "b"]), Some(PathDefect::Order));
    }
}
