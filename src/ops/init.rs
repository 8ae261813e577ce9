//! `clade init` and `clade uninstall`: what makes git work with clade in a clone, and how it is undone.

use super::{Error, Kind, Result};
use crate::fsio;
use crate::git::Git;
use crate::git::hooks::{Hook, HookChange, HookRemoval, HooksOutcome};
use crate::limits::MIB;
use crate::repo::{CONFIG_PATH, Context, LedgerState, Repo, RepositoryConfig};
use serde::Serialize;

/// The settings that make git call clade.
const SETTINGS: [(&str, &str); 6] = [
    // `exec` makes git the parent of the filter, by which the hook after a checkout finds its notes.
    ("filter.clade.process", "exec clade filter-process"),
    ("filter.clade.required", "true"),
    ("diff.clade.textconv", "clade textconv"),
    ("diff.clade.cachetextconv", "false"),
    ("merge.clade.name", "clade: versions of models and data"),
    ("merge.clade.driver", "clade merge-driver %O %A %B %P"),
];

/// The sections that hold them.
const SECTIONS: [&str; 3] = ["filter.clade", "diff.clade", "merge.clade"];

/// The hooks that clade needs.
const HOOKS: [Hook; 3] = [Hook::PostIndexChange, Hook::PrePush, Hook::ReferenceTransaction];

/// What `clade init` found and did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct InitOutcome {
    /// Identity of the repository's ledger; none for `--global`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Whether this call gave the repository its identity.
    pub created: bool,
    /// Hooks that were there already and are called first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chained_hooks: Vec<String>,
    /// A folder of hooks outside the git folder, in which nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks_elsewhere: Option<String>,
    /// What the repository holds already that clade could keep better, with one command each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<InitFinding>,
    /// Pointers in the working tree whose bytes are not here.
    pub pointers: u64,
    /// Why the ledger could not be fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ledger_problem: Option<String>,
}

/// Something in the repository that clade could keep better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InitFinding {
    /// What it is.
    pub what: String,
    /// The command that deals with it.
    pub command: String,
}

/// Sets up a clone. Safe to repeat.
pub fn init(context: &Context) -> Result<InitOutcome> {
    let repo = Repo::discover(context)?;
    let mut out = InitOutcome::default();
    write_settings(&repo.git)?;
    install_hooks(&repo, &mut out)?;
    for remote in repo.git.remotes()? {
        add_refspec(&repo.git, &remote.name)?;
    }
    let config = match repo.config()? {
        Some(config) => config,
        None => {
            let config = RepositoryConfig::new();
            let path = repo.git.require_work_tree()?.join(CONFIG_PATH);
            fsio::create_dir_all(path.parent().expect("it has a folder"))?;
            fsio::write_atomic(&path, config.encode().as_bytes())?;
            repo.git.stage(&[CONFIG_PATH.as_bytes().to_vec()])?;
            out.created = true;
            config
        }
    };
    fsio::write_atomic(&repo.layout.repository_path(), format!("{}\n", config.repository).as_bytes())?;
    out.repository = Some(config.repository.to_string());
    if let LedgerState::NeverFetched { .. } = repo.ledger_state()?
        && let Err(e) = repo.fetch_ledger()
    {
        out.ledger_problem = Some(Error::from(e).to_string());
    }
    out.found = survey(&repo)?;
    out.pointers = super::hydrate::pointers_in_worktree(&repo, &[])?.len() as u64;
    Ok(out)
}

/// Sets up all clones of this user: their first checkout does the rest.
pub fn init_global(context: &Context) -> Result<InitOutcome> {
    for (key, value) in SETTINGS {
        Git::set_global_config(&context.git, key, value)?;
    }
    Ok(InitOutcome::default())
}

/// The part of [`init`] that a filter does in a fresh clone after `clade init --global`: hooks, refspecs and
/// the repository's identity. Nothing is fetched.
pub fn init_fresh_clone(repo: &Repo) -> Result<()> {
    if fsio::exists(&repo.layout.repository_path()) {
        return Ok(());
    }
    let mut out = InitOutcome::default();
    install_hooks(repo, &mut out)?;
    for remote in repo.git.remotes()? {
        add_refspec(&repo.git, &remote.name)?;
    }
    repo.repository_id()?;
    Ok(())
}

fn write_settings(git: &Git) -> Result<()> {
    for (key, value) in SETTINGS {
        git.set_config(key, value)?;
    }
    Ok(())
}

fn install_hooks(repo: &Repo, out: &mut InitOutcome) -> Result<()> {
    match repo.git.install_hooks(&HOOKS)? {
        HooksOutcome::Done(done) => {
            for (hook, change) in done {
                match change {
                    HookChange::Chained => out.chained_hooks.push(hook.name().to_owned()),
                    HookChange::Blocked(before) => {
                        return Err(Error::not_found(format!(
                            "the hook {} was replaced, and the one from before still waits at {}",
                            hook.name(),
                            before.display()
                        ))
                        .hint("keep the one that you want under the hook's name, remove the other, and run `clade init` again"));
                    }
                    HookChange::Created | HookChange::Updated | HookChange::Unchanged => {}
                }
            }
        }
        HooksOutcome::HooksElsewhere(path) => out.hooks_elsewhere = Some(path.to_string_lossy().into_owned()),
    }
    Ok(())
}

/// Fetches bring the ledger along. A pattern, since an exact name would break `git fetch` while the server
/// has no ledger; never a refspec for push.
fn add_refspec(git: &Git, remote: &str) -> Result<()> {
    let spec = format!("+refs/clade/ledger*:refs/clade/remotes/{remote}/ledger*");
    Ok(git.add_config(&format!("remote.{remote}.fetch"), &spec)?)
}

/// Looks for large files that are kept in other ways.
fn survey(repo: &Repo) -> Result<Vec<InitFinding>> {
    let mut out = Vec::new();
    let Some(head) = repo.git.resolve_commit("HEAD")? else { return Ok(out) };
    let entries = repo.git.tree_entries(head)?;
    let paths: Vec<Vec<u8>> = entries.iter().map(|e| e.path.clone()).collect();
    let attributes = repo.git.attributes_in(head, &paths)?;
    let lfs = attributes.iter().filter(|a| a.filter.as_deref() == Some("lfs")).count();
    if lfs > 0 {
        out.push(InitFinding {
            what: format!("{lfs} files are kept by Git LFS"),
            command: "git lfs fetch --all, then change `filter=lfs diff=lfs merge=lfs` to `filter=clade diff=clade \
                      merge=clade` in .gitattributes and run `git add --renormalize .`"
                .to_owned(),
        });
    }
    let dvc = paths.iter().filter(|p| p.ends_with(b".dvc")).count();
    if dvc > 0 {
        out.push(InitFinding {
            what: format!("{dvc} files are kept by DVC"),
            command: "dvc pull, then `clade track PATTERN` for what the .dvc files name".to_owned(),
        });
    }
    let mut large: std::collections::BTreeMap<String, (u64, u64)> = std::collections::BTreeMap::new();
    for (entry, attribute) in entries.iter().zip(&attributes) {
        if attribute.filter.is_some() || !entry.is_file() {
            continue;
        }
        let size = repo.git.blob_size(entry.oid)?.unwrap_or(0);
        if size >= MIB {
            let name = String::from_utf8_lossy(&entry.path).into_owned();
            let pattern = match name.rsplit_once('.') {
                Some((_, ext)) if !ext.contains('/') => format!("*.{ext}"),
                _ => name,
            };
            let row = large.entry(pattern).or_default();
            *row = (row.0 + 1, row.1 + size);
        }
    }
    for (pattern, (count, bytes)) in large {
        let what = format!("{count} files of more than 1 MiB, {} MB in all, match {pattern}", bytes / 1_000_000);
        out.push(InitFinding { what, command: format!("clade track '{pattern}'") });
    }
    Ok(out)
}

/// What `clade uninstall` did.
#[derive(Debug, Clone, Default, Serialize)]
pub struct UninstallOutcome {
    /// Hooks that are gone, or are what they were before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
    /// The store, which stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// Its bytes.
    pub store_bytes: u64,
    /// Files that are pointers in the working tree.
    pub pointers: u64,
}

/// Takes clade out of a clone: settings, refspecs and hooks become what they were. The store stays.
pub fn uninstall(context: &Context) -> Result<UninstallOutcome> {
    let repo = Repo::discover(context)?;
    let pointers = super::hydrate::pointers_in_worktree(&repo, &[])?.len() as u64;
    let mut hooks = Vec::new();
    for (hook, removal) in repo.git.uninstall_hooks()? {
        hooks.push(match removal {
            HookRemoval::Removed => hook.name().to_owned(),
            HookRemoval::Restored => format!("{} (the one from before is back)", hook.name()),
            HookRemoval::LeftBehind(path) => format!("{} (left at {})", hook.name(), path.display()),
        });
    }
    for section in SECTIONS {
        repo.git.remove_config_section(section)?;
    }
    for remote in repo.git.remotes()? {
        let spec = format!("+refs/clade/ledger*:refs/clade/remotes/{}/ledger*", remote.name);
        repo.git.unset_config(&format!("remote.{}.fetch", remote.name), Some(&spec))?;
    }
    fsio::remove_file(&repo.layout.repository_path())?;
    let store_bytes = repo.store()?.totals().1;
    Ok(UninstallOutcome { hooks, store: Some(repo.layout.dir.to_string_lossy().into_owned()), store_bytes, pointers })
}

/// Undoes [`init_global`].
pub fn uninstall_global(context: &Context) -> Result<UninstallOutcome> {
    for section in SECTIONS {
        Git::remove_global_config_section(&context.git, section)?;
    }
    Ok(UninstallOutcome::default())
}

/// Opens a repository for a command, or says what to do first.
pub fn open(context: &Context) -> Result<Repo> {
    Repo::open(context).map_err(|e| match e {
        crate::repo::Error::NotInitialised { dir } => {
            Error::new(Kind::NotFound, format!("{} is not set up for clade", dir.display()))
                .hint("run `clade init` here once")
        }
        other => other.into(),
    })
}
