//! Talking to other repositories, through the program and with its credentials.

use super::{Git, Oid, Result};
use crate::process::Output;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A configured remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Where it is fetched from, after git's rewriting of URLs.
    pub url: String,
    /// Where it is pushed to; mostly the same.
    pub push_url: String,
}

/// How a fetch went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchOutcome {
    /// All refs that were asked for are here.
    Done,
    /// The remote answered and has no such ref.
    NoSuchRef {
        /// git's words.
        stderr: String,
    },
    /// The remote could not be reached, or refused us.
    Unreachable {
        /// git's words.
        stderr: String,
    },
}

/// One ref to push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRef {
    /// What is pushed; `None` deletes.
    pub local: Option<Oid>,
    /// The full name on the remote.
    pub remote_name: String,
    /// Push only while the remote has this there (`Some(None)`: has nothing), also when that discards history. Without,
    /// the remote's ref may only move forward.
    pub lease: Option<Option<Oid>>,
}

/// What became of one pushed ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name on the remote.
    pub remote_name: String,
    /// Whether the remote has it now.
    pub ok: bool,
    /// git's words, for example `[rejected] (stale info)`.
    pub summary: String,
}

/// How a push went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushOutcome {
    /// The remote has all of it.
    Done,
    /// The remote answered and took none of it (pushes are atomic where the server can): somebody was faster, or a
    /// rule of the server forbids it.
    Rejected {
        /// Each ref.
        refs: Vec<RefUpdate>,
        /// git's words.
        stderr: String,
    },
    /// The remote could not be reached, or refused us.
    Unreachable {
        /// git's words.
        stderr: String,
    },
}

impl Git {
    /// The configured remotes, by name.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn remotes(&self) -> Result<Vec<Remote>> {
        let mut found: BTreeMap<String, Remote> = BTreeMap::new();
        for line in self.run(&["remote", "-v"])?.text().lines() {
            let Some((name, rest)) = line.split_once('\t') else { continue };
            // Newer programs add what a partial clone leaves out: ` [blob:none]`.
            let (url, push) = if let Some(at) = rest.rfind(" (fetch)") {
                (&rest[..at], false)
            } else if let Some(at) = rest.rfind(" (push)") {
                (&rest[..at], true)
            } else {
                continue;
            };
            let remote = found.entry(name.to_owned()).or_insert_with(|| Remote {
                name: name.to_owned(),
                url: url.to_owned(),
                push_url: url.to_owned(),
            });
            if push {
                remote.push_url = url.to_owned();
            }
        }
        Ok(found.into_values().collect())
    }

    /// Fetches `refspecs` (and nothing else: no tags, no submodules) from a remote's name or URL. Hooks of the
    /// user and credentials work as in any fetch; a terminal is never asked, for output is captured.
    ///
    /// # Errors
    /// When `git` could not be run; a remote that does not answer is a [`FetchOutcome`].
    pub fn fetch(&self, remote: &str, refspecs: &[&str]) -> Result<FetchOutcome> {
        self.fetch_with(&[], remote, refspecs)
    }

    /// Like [`Git::fetch`], and in a partial clone with all objects that its filter left out.
    ///
    /// # Errors
    /// When `git` could not be run.
    pub fn fetch_unfiltered(&self, remote: &str, refspecs: &[&str]) -> Result<FetchOutcome> {
        self.fetch_with(&["--no-filter", "--refetch"], remote, refspecs)
    }

    /// In a partial clone, fetches objects by their ids in one go, from the remote that promised them.
    ///
    /// # Errors
    /// When `git` could not be run.
    pub fn fetch_objects(&self, oids: &[Oid]) -> Result<FetchOutcome> {
        if oids.is_empty() {
            return Ok(FetchOutcome::Done);
        }
        let Some(remote) = self.promisor()? else {
            return Ok(FetchOutcome::NoSuchRef { stderr: "no remote has promised missing objects".to_owned() });
        };
        // As git itself does it for one object.
        let args = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "--no-tags", "--no-write-fetch-head"];
        let rest = ["--recurse-submodules=no", "--filter=blob:none", "--stdin", &remote];
        let stdin = super::history::lines(oids);
        let out = self.command(&[&args[..], &rest].concat()).env("GIT_TERMINAL_PROMPT", "0").stdin(stdin).output()?;
        Ok(fetch_outcome(&out))
    }

    /// The remote from which a partial clone gets what it left out; `None` in a full clone.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn promisor(&self) -> Result<Option<String>> {
        let all = self.config_with_prefix("remote.")?;
        Ok(all.iter().find_map(|(key, values)| {
            let name = key.strip_prefix("remote.")?.strip_suffix(".promisor")?;
            (values.last().map(String::as_str) == Some("true")).then(|| name.to_owned())
        }))
    }

    fn fetch_with(&self, options: &[&str], remote: &str, refspecs: &[&str]) -> Result<FetchOutcome> {
        let base = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no"];
        let args = [&base[..], options, &["--end-of-options", remote], refspecs].concat();
        let out = self.command(&args).env("GIT_TERMINAL_PROMPT", "0").output()?;
        Ok(fetch_outcome(&out))
    }

    /// Pushes refs to a remote's name or URL, all or none where the server can. The user's `pre-push` does not run:
    /// the caller has already sent what these refs need.
    ///
    /// # Errors
    /// When `git` could not be run; a remote that refuses or does not answer is a [`PushOutcome`].
    pub fn push(&self, remote: &str, refs: &[PushRef]) -> Result<PushOutcome> {
        let mut args: Vec<String> =
            ["push", "--porcelain", "--no-verify", "--no-follow-tags"].map(str::to_owned).into();
        args.push("--recurse-submodules=no".to_owned());
        // One ref is atomic by itself, and not every server can more.
        if refs.len() > 1 {
            args.push("--atomic".to_owned());
        }
        for r in refs {
            if let Some(lease) = &r.lease {
                let lease = lease.map_or_else(String::new, |oid| oid.to_string());
                args.push(format!("--force-with-lease={}:{lease}", r.remote_name));
            }
        }
        args.extend(["--end-of-options".to_owned(), remote.to_owned()]);
        for r in refs {
            let local = r.local.map_or_else(String::new, |oid| oid.to_string());
            args.push(format!("{local}:{}", r.remote_name));
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let out = self.command(&args).env("GIT_TERMINAL_PROMPT", "0").output()?;
        Ok(push_outcome(&out))
    }

    /// The value of a ref on a remote, asked now; `None` when the remote has no such ref.
    ///
    /// # Errors
    /// When `git` could not be run. A remote that does not answer is the inner error, git's words.
    pub fn remote_ref(&self, remote: &str, name: &str) -> Result<Result<Option<Oid>, String>> {
        let args = ["ls-remote", "--end-of-options", remote, name];
        let out = self.command(&args).env("GIT_TERMINAL_PROMPT", "0").output()?;
        if !out.success() {
            return Ok(Err(out.stderr_tail()));
        }
        let text = out.text();
        let found = text.lines().filter_map(|l| l.split_once('\t')).find(|(_, n)| *n == name);
        Ok(Ok(found.map(|(oid, _)| self.parse_oid("ls-remote", oid)).transpose()?))
    }

    /// The folder that a URL means when it is on this machine (a plain path or `file://`); relative ones are
    /// taken from the top of the working tree, as git does. The folder need not exist.
    #[must_use]
    pub fn remote_path(&self, url: &str) -> Option<PathBuf> {
        let path = local_path(url)?;
        Some(if path.is_absolute() { path } else { self.work_tree().unwrap_or(self.git_dir()).join(path) })
    }
}

fn local_path(url: &str) -> Option<PathBuf> {
    if let Some(rest) = url.strip_prefix("file://") {
        // A host may stand there; only ours is here.
        let rest = rest.strip_prefix("localhost").unwrap_or(rest);
        return rest.starts_with('/').then(|| Path::new(&percent_decoded(rest)).to_path_buf());
    }
    if url.is_empty() || url.contains("://") {
        return None;
    }
    // `host:path` is ssh, unless a slash stands before the colon; `helper::address` is a helper.
    let before_colon = url.split_once(':').map(|(before, _)| before);
    match before_colon {
        Some(before) if !before.contains('/') => None,
        _ => Some(PathBuf::from(url)),
    }
}

fn percent_decoded(text: &str) -> String {
    let raw = text.as_bytes();
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        let digits = text.get(at + 1..at + 3).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        match (raw[at], digits.and_then(|d| u8::from_str_radix(d, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn fetch_outcome(out: &Output) -> FetchOutcome {
    if out.success() {
        return FetchOutcome::Done;
    }
    let stderr = out.stderr_tail();
    if stderr.contains("couldn't find remote ref") || stderr.contains("not our ref") {
        FetchOutcome::NoSuchRef { stderr }
    } else {
        FetchOutcome::Unreachable { stderr }
    }
}

fn push_outcome(out: &Output) -> PushOutcome {
    if out.success() {
        return PushOutcome::Done;
    }
    let refs: Vec<RefUpdate> = out.text().lines().filter_map(ref_update).collect();
    let stderr = out.stderr_tail();
    if refs.iter().any(|r| !r.ok) {
        PushOutcome::Rejected { refs, stderr }
    } else {
        PushOutcome::Unreachable { stderr }
    }
}

/// A line such as `!<tab>from:to<tab>[rejected] (stale info)`.
fn ref_update(line: &str) -> Option<RefUpdate> {
    let mut parts = line.splitn(3, '\t');
    let (flag, names, summary) = (parts.next()?, parts.next()?, parts.next()?);
    let remote_name = names.split_once(':')?.1.to_owned();
    Some(RefUpdate { remote_name, ok: flag != "!", summary: summary.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::LEDGER_REF;
    use crate::git::test_repo::TestRepo;

    #[test]
    fn which_urls_are_folders_here() {
        for (url, path) in [
            ("/a/b", Some("/a/b")),
            ("../x.git", Some("../x.git")),
            ("./a:b", Some("./a:b")),
            ("file:///a%20b/c", Some("/a b/c")),
            ("file://localhost/a", Some("/a")),
            ("file://server/a", None),
            ("host:a/b", None),
            ("git@host:a", None),
            ("ssh://host/a", None),
            ("https://host/a", None),
            ("ext::sh", None),
            ("", None),
        ] {
            assert_eq!(local_path(url), path.map(PathBuf::from), "{url}");
        }
        assert_eq!(percent_decoded("a%2Gé%41%"), "a%2GéA%");
    }

    #[test]
    fn pushes_race_and_fetches_answer() {
        let repo = TestRepo::new();
        let (a, b) = (repo.commit(&[("x", b"1")]), repo.commit(&[("x", b"2")]));
        repo.git(&["init", "-q", "--bare", "../r.git"]);
        repo.git(&["remote", "add", "o", "../r.git"]);
        repo.git(&["remote", "add", "gone", "../nowhere.git"]);
        let git = repo.open();
        let push = |oid, lease| {
            let r = PushRef { local: Some(oid), remote_name: LEDGER_REF.to_owned(), lease };
            git.push("o", &[r]).expect("runs")
        };
        assert_eq!(git.remote_ref("o", LEDGER_REF).expect("runs"), Ok(None));
        assert_eq!(push(b, Some(None)), PushOutcome::Done);
        for (oid, lease) in [(a, Some(None)), (a, Some(Some(a))), (a, None)] {
            let PushOutcome::Rejected { refs, .. } = push(oid, lease) else { panic!("{oid} {lease:?} is refused") };
            assert_eq!((refs[0].remote_name.as_str(), refs[0].ok), (LEDGER_REF, false));
        }
        assert_eq!(push(a, Some(Some(b))), PushOutcome::Done);
        assert_eq!(git.remote_ref("o", LEDGER_REF).expect("runs"), Ok(Some(a)));
        let spec = "+refs/clade/ledger*:refs/clade/remotes/o/ledger*";
        assert_eq!(git.fetch("o", &[spec]).expect("runs"), FetchOutcome::Done);
        assert_eq!(git.read_ref("refs/clade/remotes/o/ledger").expect("asks"), Some(a));
        let none = git.fetch("o", &["refs/clade/nothing:refs/x"]).expect("runs");
        assert!(matches!(none, FetchOutcome::NoSuchRef { .. }), "{none:?}");
        let gone = git.fetch("gone", &[spec]).expect("runs");
        assert!(matches!(gone, FetchOutcome::Unreachable { .. }), "{gone:?}");
        let r = PushRef { local: Some(a), remote_name: LEDGER_REF.to_owned(), lease: None };
        let gone = git.push("gone", &[r]).expect("runs");
        assert!(matches!(gone, PushOutcome::Unreachable { .. }), "{gone:?}");
        let remotes = git.remotes().expect("lists");
        assert_eq!(remotes.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(), ["gone", "o"]);
        assert_eq!(git.remote_path(&remotes[1].url), Some(git.work_tree().expect("one").join("../r.git")));
    }
}
