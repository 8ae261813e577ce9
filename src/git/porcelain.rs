//! What people do with git by hand, done for them: staging, listing, settings of a user.

use super::history::lines;
use super::{Environment, Error, Git, Oid, Remote, Result};
use crate::fsio;
use crate::process::Command;
use std::path::{Path, PathBuf};

/// An entry of git's index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedFile {
    /// The path.
    pub path: Vec<u8>,
    /// git's mode.
    pub mode: u32,
    /// The blob.
    pub oid: Oid,
    /// 0, or 1 to 3 (base, ours, theirs) in a conflict.
    pub stage: u8,
}

impl Git {
    /// The entries of the index, sorted by path: all, or those at or below `paths` (none for no paths).
    ///
    /// # Errors
    /// When `git` fails.
    pub fn staged_files(&self, paths: Option<&[Vec<u8>]>) -> Result<Vec<StagedFile>> {
        let paths = match paths {
            Some([]) => return Ok(Vec::new()),
            Some(paths) => paths,
            None => &[],
        };
        // Very many paths do not fit a command line; then all are listed and the wanted ones kept.
        const MANY: usize = 1000;
        let asked = if paths.len() > MANY { &[][..] } else { paths };
        let out = self.with_paths(&["ls-files", "-z", "--stage", "--"], asked).run()?;
        let wrong = |line: &[u8]| Error::Output {
            command: "ls-files --stage".to_owned(),
            detail: String::from_utf8_lossy(line).into_owned(),
        };
        let mut found = Vec::new();
        for line in out.stdout.split(|b| *b == 0).filter(|l| !l.is_empty()) {
            let tab = line.iter().position(|b| *b == b'\t').ok_or_else(|| wrong(line))?;
            let head = String::from_utf8_lossy(&line[..tab]).into_owned();
            let mut parts = head.split(' ');
            let mode = parts.next().and_then(|m| u32::from_str_radix(m, 8).ok()).ok_or_else(|| wrong(line))?;
            let oid = self.parse_oid("ls-files", parts.next().unwrap_or(""))?;
            let stage = parts.next().and_then(|s| s.parse().ok()).ok_or_else(|| wrong(line))?;
            found.push(StagedFile { path: line[tab + 1..].to_vec(), mode, oid, stage });
        }
        if paths.len() > MANY {
            let wanted: std::collections::BTreeSet<&Vec<u8>> = paths.iter().collect();
            found.retain(|f| wanted.contains(&f.path));
        }
        Ok(found)
    }

    /// The files at or below `paths` (all where none is given) that git knows or would add: ignored ones left out,
    /// sorted, each once.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn list_files(&self, paths: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--"];
        let out = self.with_paths(&args, paths).run()?;
        let mut found: Vec<Vec<u8>> =
            out.stdout.split(|b| *b == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect();
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// Stages what is at `paths`, removals included, as `git add` does. An empty path is the whole working tree.
    ///
    /// # Errors
    /// When `git` fails, for example for a path that is ignored.
    pub fn stage(&self, paths: &[Vec<u8>]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        self.with_paths(&["add", "--all", "--"], paths).env("GIT_OPTIONAL_LOCKS", "1").run()?;
        Ok(())
    }

    /// Runs the filters of `paths` anew and stages the results.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn renormalize(&self, paths: &[Vec<u8>]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        self.with_paths(&["add", "--renormalize", "--"], paths).run()?;
        Ok(())
    }

    /// The lines of `git status` for `paths` (all where none is given): two letters, index and working tree, and
    /// the path. Renames are shown as removal and addition.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn status(&self, paths: &[Vec<u8>]) -> Result<Vec<([u8; 2], Vec<u8>)>> {
        let args = ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--"];
        let out = self.with_paths(&args, paths).env("GIT_OPTIONAL_LOCKS", "1").run()?;
        let mut rows = Vec::new();
        for row in out.stdout.split(|b| *b == 0) {
            if let [x, y, b' ', path @ ..] = row {
                rows.push(([*x, *y], path.to_vec()));
            }
        }
        Ok(rows)
    }

    /// The commits that lead to `tips`, newest first. At the edge of a shallow clone history ends.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn rev_list(&self, tips: &[Oid]) -> Result<Vec<Oid>> {
        if tips.is_empty() {
            return Ok(Vec::new());
        }
        let out = self.run_with(&["rev-list", "--stdin"], lines(tips))?;
        out.text().lines().map(|line| self.parse_oid("rev-list", line)).collect()
    }

    /// The git folder of a remote that is a folder on this machine; `None` for any other remote, and for a folder
    /// that holds no repository.
    ///
    /// # Errors
    /// When `git` could not be run.
    pub fn remote_git_dir(&self, remote: &Remote) -> Result<Option<PathBuf>> {
        let Some(path) = self.remote_path(&remote.url) else { return Ok(None) };
        if !fsio::is_dir(&path) {
            return Ok(None);
        }
        let out = Command::new(&self.env.program)
            .args(["rev-parse", "--path-format=absolute", "--git-common-dir"])
            .cwd(&path)
            .env_remove("GIT_DIR")
            .env_remove("GIT_WORK_TREE")
            .env_remove("GIT_INDEX_FILE")
            .env_remove("GIT_PREFIX")
            .env("LC_ALL", "C")
            .output()?;
        if !out.success() {
            return Ok(None);
        }
        let text = out.text();
        Ok(Some(PathBuf::from(text.trim_end_matches('\n'))))
    }

    /// Makes an empty repository without a working tree, with ids of the kind that the repository at `url` has.
    /// `false`, and nothing is made, when nothing answers there.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn init_bare_like(env: &Environment, url: &str, dir: &Path) -> Result<bool> {
        let listed =
            global(env).args(["ls-remote", "--end-of-options", url]).env("GIT_TERMINAL_PROMPT", "0").output()?;
        if !listed.success() {
            return Ok(false);
        }
        let oid_digits = listed.text().split_whitespace().next().map_or(40, str::len);
        let format = if oid_digits == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
        global(env).args(["init", "--bare", "--quiet", format, "--"]).arg(dir).run()?;
        Ok(true)
    }

    /// Fetches one ref without its history. `false` when the remote has no such ref.
    ///
    /// # Errors
    /// When `git` could not be run.
    pub fn fetch_one_commit(&self, remote: &str, refspec: &str) -> Result<bool> {
        let args = ["fetch", "--quiet", "--depth=1", "--no-tags", "--end-of-options", remote, refspec];
        Ok(self.command(&args).env("GIT_TERMINAL_PROMPT", "0").output()?.success())
    }

    /// Whether `git` finds a program, as it does for filters and hooks.
    ///
    /// # Errors
    /// When `git` could not be run.
    pub fn finds_program(&self, name: &str) -> Result<bool> {
        let alias = format!("alias.clade-which=!command -v {name} >/dev/null");
        Ok(self.command(&["-c", &alias, "clade-which"]).output()?.success())
    }

    /// Removes a section of the repository's own config; one that is not there is no error.
    ///
    /// # Errors
    /// When `git` fails otherwise.
    pub fn remove_config_section(&self, section: &str) -> Result<()> {
        let prefix = format!("{section}.");
        let own = self.run(&["config", "--local", "--name-only", "-z", "--list"])?;
        if own.stdout.split(|b| *b == 0).any(|key| key.starts_with(prefix.as_bytes())) {
            self.run(&["config", "--local", "--remove-section", section])?;
        }
        Ok(())
    }

    /// Sets a value in the configuration of the user.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn set_global_config(env: &Environment, key: &str, value: &str) -> Result<()> {
        global(env).args(["config", "--global", "--replace-all", key, value]).run()?;
        Ok(())
    }

    /// Removes a section of the configuration of the user; one that is not there is no error.
    ///
    /// # Errors
    /// When `git` fails otherwise.
    pub fn remove_global_config_section(env: &Environment, section: &str) -> Result<()> {
        let out = global(env).args(["config", "--global", "--remove-section", section]).output()?;
        // git says "no such section" with 128.
        if out.success() || out.stderr_tail().contains("no such section") {
            return Ok(());
        }
        Err(Error::Output { command: "config --global --remove-section".to_owned(), detail: out.stderr_tail() })
    }

    /// Runs `git push` as the person would, with its output on their terminal, and returns its exit code.
    ///
    /// # Errors
    /// When `git` could not be run.
    pub fn push_as_typed(&self, remote: &str, refspecs: &[String], env: &[(&str, &str)]) -> Result<i32> {
        let mut command = self.command(&["push", "--end-of-options", remote]).env_remove("LC_ALL");
        for spec in refspecs {
            command = command.arg(spec);
        }
        for (name, value) in env {
            command = command.env(name, value);
        }
        Ok(command.spawn()?.wait()?.shell_code())
    }

    /// What a push would move, asked of git by a dry run: the local revision and the full name of the ref at the
    /// remote. Deletions and refs that are there already are left out. No hook runs.
    ///
    /// # Errors
    /// When `git` fails: no such remote, nothing to push, a ref that would be rejected counts as pushed.
    pub fn push_dry_run(&self, remote: &str, refspecs: &[String]) -> Result<Vec<(String, String)>> {
        let args =
            ["push", "--dry-run", "--porcelain", "--no-verify", "--recurse-submodules=no", "--end-of-options", remote];
        let mut command = self.command(&args).env("GIT_TERMINAL_PROMPT", "0");
        for spec in refspecs {
            command = command.arg(spec);
        }
        let line = command.line();
        let out = command.output()?;
        let text = out.text();
        let rows: Vec<(String, String)> = text
            .lines()
            .filter_map(|row| {
                let mut parts = row.split('\t');
                let (flag, refs) = (parts.next()?, parts.next()?);
                let (from, to) = refs.split_once(':')?;
                (flag != "-" && !from.is_empty()).then(|| (from.to_owned(), to.to_owned()))
            })
            .collect();
        if !out.success() && rows.is_empty() {
            return Err(
                crate::process::Error::Failed { command: line, exit: out.exit, stderr: out.stderr_tail() }.into()
            );
        }
        Ok(rows)
    }

    /// The commits that lead to `tips` and that no remote-tracking branch of `remote` leads to.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn commits_not_at(&self, tips: &[Oid], remote: &str) -> Result<Vec<Oid>> {
        if tips.is_empty() {
            return Ok(Vec::new());
        }
        let not = format!("--remotes={remote}");
        let out = self.run_with(&["rev-list", "--stdin", "--not", &not], lines(tips))?;
        out.text().lines().map(|line| self.parse_oid("rev-list", line)).collect()
    }

    fn with_paths(&self, args: &[&str], paths: &[Vec<u8>]) -> Command {
        use std::os::unix::ffi::OsStrExt as _;
        let mut command = self.command(&[&["--literal-pathspecs"], args].concat());
        for path in paths {
            // git takes no empty path; the top is a dot.
            let path = if path.is_empty() { b"." } else { path.as_slice() };
            command = command.arg(std::ffi::OsStr::from_bytes(path));
        }
        command
    }
}

fn global(env: &Environment) -> Command {
    Command::new(&env.program).cwd(Path::new("/")).env("LC_ALL", "C").env_remove("GIT_DIR").env_remove("GIT_CONFIG")
}

impl Git {
    /// The files that git knows or would add and that match any of `patterns` (git's `glob` patterns from the top
    /// of the working tree: `*` stops at `/`, `**` does not), sorted, each once.
    ///
    /// # Errors
    /// When `git` fails.
    pub fn list_matching(&self, patterns: &[String]) -> Result<Vec<Vec<u8>>> {
        if patterns.is_empty() {
            return Ok(Vec::new());
        }
        let args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate", "--"];
        let specs = patterns.iter().map(|p| format!(":(top,glob){p}"));
        let out = self.command(&args).args(specs).run()?;
        let mut found: Vec<Vec<u8>> =
            out.stdout.split(|b| *b == 0).filter(|p| !p.is_empty()).map(<[u8]>::to_vec).collect();
        found.sort();
        found.dedup();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use crate::git::test_repo::TestRepo;

    #[test]
    fn patterns_count_from_the_top() {
        let repo = TestRepo::new();
        repo.commit(&[("src/a.py", b"1"), ("src/deep/b.py", b"2"), ("c.py", b"3")]);
        let git = repo.open();
        let list = |p: &str| git.list_matching(&[p.to_owned()]).expect("git lists");
        assert_eq!(list("src/*.py"), [b"src/a.py".to_vec()]);
        assert_eq!(list("src/**/*.py"), [b"src/a.py".to_vec(), b"src/deep/b.py".to_vec()]);
        assert!(list("none/*").is_empty() && git.list_matching(&[]).expect("nothing asked").is_empty());
    }
}
