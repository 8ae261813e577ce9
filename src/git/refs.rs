//! Refs and revisions. Always through the program, so that files and reftables are the same to us.

use super::{Error, Git, Oid, Result};
use crate::fsio;
use crate::process;

/// A ref and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// The full name, for example `refs/heads/main`.
    pub name: String,
    /// The object it names: of an annotated tag, the tag.
    pub oid: Oid,
    /// What an annotated tag leads to in the end, else the same as `oid`.
    pub peeled: Oid,
}

impl Git {
    /// The object that a revision names (`HEAD~2`, a branch, a tag, an id or a unique beginning of one);
    /// `None` when it names nothing.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn resolve(&self, revision: &str) -> Result<Option<Oid>> {
        self.rev_parse(revision)
    }

    /// The commit that a revision leads to; `None` when it names nothing or no commit.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn resolve_commit(&self, revision: &str) -> Result<Option<Oid>> {
        self.rev_parse(&format!("{revision}^{{commit}}"))
    }

    fn rev_parse(&self, revision: &str) -> Result<Option<Oid>> {
        // The program reads such a text as an option or a range, never as the name of one object.
        if revision.is_empty() || revision.starts_with(['-', '^']) || revision.contains(['\0', '\n']) {
            return Ok(None);
        }
        let args = ["rev-parse", "--verify", "--quiet", "--end-of-options", revision];
        let command = self.command(&args);
        let line = command.line();
        let out = command.output()?;
        match out.exit {
            process::Exit::Code(0) => self.parse_oid("rev-parse", &out.text()).map(Some),
            // 128 is what some ways of naming nothing give (`HEAD@{99}`).
            process::Exit::Code(1 | 128) => Ok(None),
            exit => Err(process::Error::Failed { command: line, exit, stderr: out.stderr_tail() }.into()),
        }
    }

    /// The full name of the branch that is checked out; `None` where no branch is (a detached head).
    ///
    /// # Errors
    /// When `git` fails.
    pub fn head_ref(&self) -> Result<Option<String>> {
        Ok(self.ask(&["symbolic-ref", "--quiet", "HEAD"])?.map(|out| out.text()))
    }

    /// All refs below the given prefixes (`refs/heads/`, `refs/remotes/`, `refs/tags/`; none: all refs), by name.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn refs(&self, prefixes: &[&str]) -> Result<Vec<Ref>> {
        // A trailing slash is taken literally by some versions.
        let prefixes: Vec<&str> = prefixes.iter().map(|p| p.trim_end_matches('/')).collect();
        let format = "--format=%(objectname) %(*objectname) %(refname)";
        let out = self.run(&[&["for-each-ref", format], &prefixes[..]].concat())?;
        let mut refs = Vec::new();
        for line in out.text().lines() {
            let mut parts = line.splitn(3, ' ');
            let (Some(oid), Some(peeled), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(Error::Output { command: "for-each-ref".to_owned(), detail: line.to_owned() });
            };
            let oid = self.parse_oid("for-each-ref", oid)?;
            let peeled = if peeled.is_empty() { oid } else { self.parse_oid("for-each-ref", peeled)? };
            refs.push(Ref { name: name.to_owned(), oid, peeled });
        }
        Ok(refs)
    }

    /// The object that the ref with this full name names; `None` when there is no such ref.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn read_ref(&self, name: &str) -> Result<Option<Oid>> {
        self.rev_parse(name)
    }

    /// Sets the ref with this full name to `new` if it is still `expected` (`None`: does not exist). Durable when
    /// it returns. The object must be durable before.
    ///
    /// # Errors
    /// [`Error::LostRace`] when the ref is something else by now; [`Error::Process`] when `git` fails otherwise.
    pub fn update_ref(&self, name: &str, new: Oid, expected: Option<Oid>) -> Result<()> {
        let old = expected.unwrap_or_else(|| self.format.null());
        self.change_ref(name, expected, &["update-ref", "--no-deref", name, &new.to_string(), &old.to_string()])
    }

    /// Deletes the ref with this full name if it is still `expected`.
    ///
    /// # Errors
    /// Those of [`Git::update_ref`].
    pub fn delete_ref(&self, name: &str, expected: Oid) -> Result<()> {
        self.change_ref(name, Some(expected), &["update-ref", "--no-deref", "-d", name, &expected.to_string()])
    }

    fn change_ref(&self, name: &str, expected: Option<Oid>, args: &[&str]) -> Result<()> {
        // git's own default is to make neither loose objects nor (before 2.36) refs durable.
        let settings = [
            "-c",
            "core.fsync=all",
            "-c",
            "core.fsyncMethod=fsync",
            "-c",
            "core.filesRefLockTimeout=5000",
            "-c",
            "core.packedRefsTimeout=5000",
        ];
        match self.run(&[&settings, args].concat()) {
            Ok(_) => {}
            Err(failed) => {
                let actual = self.read_ref(name)?;
                return Err(if actual == expected {
                    failed
                } else {
                    Error::LostRace { name: name.to_owned(), expected, actual }
                });
            }
        }
        // The name as well: git syncs the file, not its folder. With reftables there is no such folder.
        let path = self.common_dir.join(name);
        if let Some(dir) = path.parent().filter(|d| fsio::is_dir(d)) {
            fsio::sync_dir(dir)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn revisions_of_all_spellings() {
        let repo = TestRepo::new();
        let first = repo.commit(&[("a", b"1")]);
        let second = repo.commit(&[("a", b"2")]);
        repo.git(&["tag", "-a", "-m", "t", "v1", "HEAD~1"]);
        let git = repo.open();
        for (text, oid) in [
            ("HEAD", Some(second)),
            ("main~1", Some(first)),
            ("v1", Some(first)),
            (&second.to_string()[..8], Some(second)),
            ("nothing", None),
            ("HEAD@{99}", None),
            ("--all", None),
            ("^HEAD", None),
            ("", None),
            ("HEAD:a", None),
        ] {
            assert_eq!(git.resolve_commit(text).expect("asks"), oid, "{text}");
        }
        assert!(git.resolve("HEAD:a").expect("asks").is_some());
        assert_eq!(git.head_ref().expect("asks").as_deref(), Some("refs/heads/main"));
        let refs = git.refs(&["refs/tags/", "refs/heads/"]).expect("lists");
        let names: Vec<&str> = refs.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
        assert_eq!(refs[1].peeled, first);
        assert_ne!(refs[1].oid, first);
    }

    #[test]
    fn of_two_writers_one_wins() {
        for refs in ["files", "reftable"] {
            let repo = TestRepo::new();
            if refs == "reftable" {
                let Ok(version) = repo.open().run(&["version"]) else { panic!("git works") };
                if !version.text().contains("2.4")
                    || repo.open().version() < (crate::git::Version { major: 2, minor: 45 })
                {
                    continue;
                }
                repo.git(&["refs", "migrate", "--ref-format=reftable"]);
            }
            let (a, b) = (repo.commit(&[("a", b"1")]), repo.commit(&[("a", b"2")]));
            let git = repo.open();
            let name = "refs/clade/test";
            git.update_ref(name, a, None).expect("free");
            let lost = git.update_ref(name, b, None).expect_err("taken");
            assert!(matches!(lost, Error::LostRace { actual: Some(x), expected: None, .. } if x == a), "{lost}");
            git.update_ref(name, b, Some(a)).expect("as expected");
            let lost = git.delete_ref(name, a).expect_err("moved");
            assert!(matches!(lost, Error::LostRace { .. }), "{lost}");
            assert_eq!(git.read_ref(name).expect("asks"), Some(b));
            git.delete_ref(name, b).expect("as expected");
            assert_eq!(git.read_ref(name).expect("asks"), None);
            assert_eq!(git.tree_entries(b).expect("objects are readable").len(), 1);
        }
    }
}
