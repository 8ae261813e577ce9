//! git's configuration, as git itself sees it: all files, includes and the environment count.

use super::{Error, Git, Result};
use std::collections::BTreeMap;

/// Who commits here, as git would write it into a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name.
    pub name: String,
    /// The address, without brackets.
    pub email: String,
}

impl Identity {
    /// Name and address as in a commit: `Name <address>`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{} <{}>", self.name, self.email)
    }
}

impl Git {
    /// The value of `key` that counts (the last one); `None` when it is not set.
    ///
    /// # Errors
    /// When `git` fails, for example over a damaged config file.
    pub fn config(&self, key: &str) -> Result<Option<String>> {
        Ok(self.ask(&["config", "-z", "--get", key])?.map(|out| one(&out.stdout)))
    }

    /// All values of `key` in the order of their places, the one that counts last.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn config_all(&self, key: &str) -> Result<Vec<String>> {
        let out = self.ask(&["config", "-z", "--get-all", key])?;
        Ok(out.map_or_else(Vec::new, |out| split_z(&out.stdout).map(text).collect()))
    }

    /// The value of `key` as yes or no, in all of git's spellings; `None` when it is not set.
    ///
    /// # Errors
    /// When `git` fails or the value is no boolean.
    pub fn config_bool(&self, key: &str) -> Result<Option<bool>> {
        Ok(self.ask(&["config", "-z", "--type=bool", "--get", key])?.map(|out| one(&out.stdout) == "true"))
    }

    /// The value of `key` as a number, with git's suffixes `k`, `m`, `g` multiplied out; `None` when it is not set.
    ///
    /// # Errors
    /// When `git` fails or the value is no number.
    pub fn config_int(&self, key: &str) -> Result<Option<i64>> {
        let Some(out) = self.ask(&["config", "-z", "--type=int", "--get", key])? else { return Ok(None) };
        let value = one(&out.stdout);
        let number = value
            .parse()
            .map_err(|_| Error::Output { command: format!("config --type=int --get {key}"), detail: value.clone() })?;
        Ok(Some(number))
    }

    /// All settings whose key starts with `prefix`, with all their values in order. Section and last part of a
    /// key are in lower case, the part between keeps its case. `prefix` must be in that form.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn config_with_prefix(&self, prefix: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let out = self.run(&["config", "-z", "--list"])?;
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for item in split_z(&out.stdout) {
            let item = text(item);
            // A key without `=` has no value and means true.
            let (key, value) = item.split_once('\n').unwrap_or((&item, "true"));
            if key.starts_with(prefix) {
                found.entry(key.to_owned()).or_default().push(value.to_owned());
            }
        }
        Ok(found)
    }

    /// Sets `key` to one value in the repository's own config, whatever was there.
    ///
    /// # Errors
    /// When `git` fails, for example because the config is locked.
    pub fn set_config(&self, key: &str, value: &str) -> Result<()> {
        self.run(&["config", "--local", "--replace-all", key, value]).map(drop)
    }

    /// Adds a value to `key` in the repository's own config, unless it has that value already.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn add_config(&self, key: &str, value: &str) -> Result<()> {
        let there = self.ask(&["config", "--local", "-z", "--get-all", key])?;
        if there.is_some_and(|out| split_z(&out.stdout).any(|v| v == value.as_bytes())) {
            return Ok(());
        }
        self.run(&["config", "--local", "--add", key, value]).map(drop)
    }

    /// Removes all values of `key` from the repository's own config, or only those equal to `value`. A key that
    /// is not there is no error.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn unset_config(&self, key: &str, value: Option<&str>) -> Result<()> {
        let there = self.ask(&["config", "--local", "-z", "--get-all", key])?;
        let Some(there) = there else { return Ok(()) };
        let values: Vec<String> = split_z(&there.stdout).map(text).collect();
        let keep: Vec<&String> = values.iter().filter(|v| value.is_some_and(|gone| gone != v.as_str())).collect();
        if keep.len() == values.len() {
            return Ok(());
        }
        // git matches values by patterns, so all go and the others come back.
        self.run(&["config", "--local", "--unset-all", key])?;
        for value in keep {
            self.run(&["config", "--local", "--add", key, value])?;
        }
        Ok(())
    }

    /// Who commits here: `user.name` and `user.email`, or what the environment says.
    ///
    /// # Errors
    /// When git does not know and refuses to guess.
    pub fn identity(&self) -> Result<Identity> {
        let line = self.run(&["var", "GIT_AUTHOR_IDENT"])?.text();
        parse_identity(&line).ok_or_else(|| Error::Output { command: "var GIT_AUTHOR_IDENT".to_owned(), detail: line })
    }
}

fn parse_identity(line: &str) -> Option<Identity> {
    let (name, rest) = line.split_once(" <")?;
    let (email, _) = rest.rsplit_once('>')?;
    Some(Identity { name: name.to_owned(), email: email.to_owned() })
}

/// The parts of output that ends every part with a zero byte.
pub(super) fn split_z(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let empty = bytes.is_empty();
    bytes.split(|b| *b == 0).filter(move |_| !empty)
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn one(bytes: &[u8]) -> String {
    text(bytes.strip_suffix(b"\0").unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn set_get_add_and_unset() {
        let repo = TestRepo::new();
        let git = repo.open();
        assert_eq!(git.config("clade.x").expect("asks"), None);
        git.set_config("clade.x", "a b\nc").expect("sets");
        assert_eq!(git.config("clade.x").expect("asks").as_deref(), Some("a b\nc"));
        git.add_config("clade.x", "*").expect("adds");
        git.add_config("clade.x", "*").expect("has it");
        assert_eq!(git.config_all("clade.x").expect("asks"), ["a b\nc", "*"]);
        git.unset_config("clade.x", Some("*")).expect("removes one");
        assert_eq!(git.config_all("clade.x").expect("asks"), ["a b\nc"]);
        git.unset_config("clade.x", None).expect("removes all");
        git.unset_config("clade.x", None).expect("nothing to remove");
        assert!(git.config_all("clade.x").expect("asks").is_empty());
        git.set_config("clade.n", "2k").expect("sets");
        assert_eq!(git.config_int("clade.n").expect("asks"), Some(2048));
        git.set_config("clade.b", "on").expect("sets");
        assert_eq!(git.config_bool("clade.b").expect("asks"), Some(true));
        git.set_config("clade.remote.Eu West.url", "u").expect("sets");
        let all = git.config_with_prefix("clade.remote.").expect("lists");
        assert_eq!(all.get("clade.remote.Eu West.url"), Some(&vec!["u".to_owned()]));
    }

    #[test]
    fn the_environment_counts() {
        let repo = TestRepo::new();
        let mut env = repo.env();
        for (k, v) in [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "clade.x"), ("GIT_CONFIG_VALUE_0", "env")] {
            env.extra.push((k.to_owned(), v.to_owned()));
        }
        let git = Git::discover_with(repo.path(), env).expect("a repository");
        git.set_config("clade.x", "file").expect("sets");
        assert_eq!(git.config("clade.x").expect("asks").as_deref(), Some("env"));
        assert_eq!(git.identity().expect("set").line(), "A U Thor <author@example.com>");
    }
}
