//! What `.gitattributes` say about paths.

use super::config::{split_z, text};
use super::{Error, Git, Oid, Result, Version};
use crate::fsio;

/// The attributes of one path that clade looks at. An attribute that is unspecified, or only set or unset
/// without a value, is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathAttributes {
    /// The path, as it was asked for.
    pub path: Vec<u8>,
    /// The filter's name.
    pub filter: Option<String>,
    /// The asset's name.
    pub asset: Option<String>,
    /// The asset's kind.
    pub kind: Option<String>,
    /// The asset's owner.
    pub owner: Option<String>,
}

const NAMES: [&str; 4] = ["filter", "clade-asset", "clade-kind", "clade-owner"];

impl Git {
    /// The attributes of `paths` as the working tree has them (in a bare repository: those outside of any tree).
    /// One answer for each path, in their order; one run of `git` for all.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn attributes(&self, paths: &[Vec<u8>]) -> Result<Vec<PathAttributes>> {
        self.ask_attributes(&[], None, paths)
    }

    /// The attributes of `paths` as the tree of `treeish` has them. One answer for each path, in their order.
    ///
    /// # Errors
    /// When `git` fails, for example because the tree is not here.
    pub fn attributes_in(&self, treeish: Oid, paths: &[Vec<u8>]) -> Result<Vec<PathAttributes>> {
        const WITH_SOURCE: Version = Version { major: 2, minor: 40 };
        if self.version >= WITH_SOURCE {
            return self.ask_attributes(&[&format!("--source={treeish}")], None, paths);
        }
        // Older programs read them from an index only, so the tree becomes one for a moment.
        let temp = fsio::TempFile::new_in(&self.git_dir, "clade-index-")?;
        let path = temp.path().with_extension("index");
        let read = self.command(&["read-tree", &treeish.to_string()]).env("GIT_INDEX_FILE", &path).run();
        let answer = read.map_err(Error::from).and_then(|_| self.ask_attributes(&["--cached"], Some(&path), paths));
        fsio::remove_file(&path)?;
        answer
    }

    fn ask_attributes(
        &self,
        options: &[&str],
        index: Option<&std::path::Path>,
        paths: &[Vec<u8>],
    ) -> Result<Vec<PathAttributes>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let args = [&["check-attr", "-z", "--stdin"], options, &NAMES].concat();
        let mut command = self.command(&args).stdin(paths.join(&0));
        if let Some(path) = index {
            command = command.env("GIT_INDEX_FILE", path);
        }
        let out = command.run()?;
        parse(&out.stdout, paths)
    }
}

fn parse(bytes: &[u8], paths: &[Vec<u8>]) -> Result<Vec<PathAttributes>> {
    let wrong = |detail: String| Error::Output { command: "check-attr".to_owned(), detail };
    let mut fields = split_z(bytes);
    let mut out = Vec::with_capacity(paths.len());
    for path in paths {
        let mut found = PathAttributes { path: path.clone(), ..PathAttributes::default() };
        for name in NAMES {
            let (Some(p), Some(n), Some(value)) = (fields.next(), fields.next(), fields.next()) else {
                return Err(wrong(format!("nothing about {}", text(path))));
            };
            if p != path || n != name.as_bytes() {
                return Err(wrong(format!("{} instead of {}", text(p), text(path))));
            }
            let value = match value {
                b"unspecified" | b"set" | b"unset" => None,
                value => Some(text(value)),
            };
            match name {
                "filter" => found.filter = value,
                "clade-asset" => found.asset = value,
                "clade-kind" => found.kind = value,
                _ => found.owner = value,
            }
        }
        out.push(found);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    fn ask(git: &Git, tree: Option<Oid>, path: &str) -> PathAttributes {
        let paths = [b"other".to_vec(), path.as_bytes().to_vec()];
        let all = match tree {
            Some(tree) => git.attributes_in(tree, &paths),
            None => git.attributes(&paths),
        };
        all.expect("git answers").pop().expect("one for each path")
    }

    #[test]
    fn from_the_working_tree_and_from_a_commit() {
        let repo = TestRepo::new();
        let old = repo.commit(&[
            (".gitattributes", b"*.pt filter=clade -text\n"),
            ("sub/.gitattributes", b"m.pt clade-asset=sub clade-kind=model clade-owner=ann\n"),
        ]);
        repo.commit(&[("sub/.gitattributes", b"m.pt -filter clade-asset\n")]);
        let git = repo.open();
        let then = ask(&git, Some(old), "sub/m.pt");
        assert_eq!(
            (then.filter.as_deref(), then.asset.as_deref(), then.kind.as_deref(), then.owner.as_deref()),
            (Some("clade"), Some("sub"), Some("model"), Some("ann"))
        );
        let now = ask(&git, None, "sub/m.pt");
        assert_eq!((now.filter, now.asset, now.kind), (None, None, None));
        let mut older = repo.open();
        older.version = Version { major: 2, minor: 39 };
        assert_eq!(ask(&older, Some(old), "sub/m.pt"), then, "the way for old programs answers the same");
        assert!(git.attributes(&[]).expect("nothing asked").is_empty());
    }
}
