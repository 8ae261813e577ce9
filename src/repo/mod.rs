//! The handle on a repository: git, the store and the index of one clone, and what they mean together.
//!
//! An **asset** is a file under the filter, or all files that share a `clade-asset` name (`assets`). Its
//! **version** in a commit or in the working tree is a content id ([`AssetVersion`]). The ledger is read and
//! extended here (`ledger`), names that people type are resolved here (`names`).

mod assets;
mod config;
mod layout;
mod ledger;
mod names;
mod place;
mod unrecorded;
mod worktree;

pub use assets::{AssetVersion, Member};
pub use config::{CONFIG_PATH, RepositoryConfig};
pub use layout::Layout;
pub use ledger::{LedgerRemote, LedgerState, SendOutcome};
pub use names::{At, Named, Resolved, Selector, from_content, to_content};
pub use place::Place;
pub use worktree::FileState;

use crate::clock::Clock;
use crate::git::{Environment, Git};
use crate::id::{RepositoryId, WriterId};
use crate::index::{self, Index};
use crate::progress::{Interrupt, Progress};
use crate::store::{self, Store};
use crate::{fsio, git, lineage, manifest, remote, transfer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What went wrong with a repository.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The repository was never set up.
    #[error("{} is not set up for clade", dir.display())]
    NotInitialised {
        /// The top of the working tree, or the git folder.
        dir: PathBuf,
    },
    /// `.clade/config.toml` is not what it should be.
    #[error("{} is not valid: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A name that a person typed means nothing here.
    #[error("{what} {name:?} is not known")]
    UnknownName {
        /// Asset, environment, revision or id.
        what: &'static str,
        /// What was typed.
        name: String,
        /// Names that exist.
        candidates: Vec<String>,
    },
    /// A name that a person typed means several things.
    #[error("{what} {name:?} is ambiguous")]
    AmbiguousName {
        /// Asset, environment, revision or id.
        what: &'static str,
        /// What was typed.
        name: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
    /// An environment's moves contradict each other.
    #[error("environment {env:?} has conflicting moves of {asset:?}")]
    EnvConflict {
        /// The environment.
        env: String,
        /// The asset.
        asset: String,
    },
    /// A path is outside the working tree.
    #[error("{} is outside the working tree {}", path.display(), work_tree.display())]
    Outside {
        /// The path.
        path: PathBuf,
        /// The top of the working tree.
        work_tree: PathBuf,
    },
    /// A file that is needed is not in the working tree.
    #[error("{} is not there", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
    },
    /// The ledger of this clone was never fetched although its remote has one, or cannot be asked.
    #[error("the ledger of this repository was never fetched from {remote}")]
    LedgerNotFetched {
        /// The remote.
        remote: String,
    },
    /// The ledger's history was changed, not only added to.
    #[error("the ledger at {place} was tampered with: {detail}")]
    LedgerTampered {
        /// Which ref or remote.
        place: String,
        /// What is wrong.
        detail: String,
    },
    /// The ledger's remote could not be asked or did not take the batch.
    #[error("the ledger's remote {remote} did not take part: {detail}")]
    LedgerRemote {
        /// The remote.
        remote: String,
        /// git's words.
        detail: String,
    },
    /// A ledger batch is damaged or of another repository.
    #[error("ledger: {0}")]
    Ledger(#[from] crate::ledger::Error),
    /// The lineage graph cannot answer.
    #[error(transparent)]
    Lineage(#[from] lineage::Error),
    /// git did not do its part.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The index did not do its part.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A recipe, page or pointer is not what it should be.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// A remote did not do its part.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// A transfer did not work out.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// A file could not be handled.
    #[error(transparent)]
    Fsio(#[from] fsio::Error),
    /// Someone asked to stop.
    #[error(transparent)]
    Interrupted(#[from] crate::progress::Interrupted),
}

/// The result of a call to a repository.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the process around the library provides.
#[derive(Clone)]
pub struct Context {
    /// Where paths that people type begin.
    pub cwd: PathBuf,
    /// What the environment says about git.
    pub git: Environment,
    /// Variables whose values must not be recorded: name and value of all whose names look secret.
    pub secrets: Vec<(String, String)>,
    /// The program's own path, for hooks of a debug build and for children.
    pub program: PathBuf,
    /// Permission bits that new files do not get.
    pub umask: u32,
    /// Whether this is an automated build, in which nothing is downloaded unasked.
    pub is_ci: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where progress goes.
    pub progress: Arc<dyn Progress>,
    /// Whether someone asked to stop.
    pub interrupt: Interrupt,
}

/// An open repository.
pub struct Repo {
    /// git.
    pub git: Git,
    /// Where clade's own files are.
    pub layout: Layout,
    /// What the process provides.
    pub context: Context,
    index: Arc<Index>,
    store: OnceLock<Store>,
}

impl Repo {
    /// Finds the repository that the context's folder is in, set up or not.
    pub fn discover(context: &Context) -> Result<Self> {
        let git = Git::discover_with(&context.cwd, context.git.clone())?;
        let layout = Layout::of(&git);
        fsio::create_dir_all(&layout.dir)?;
        let index = Arc::new(Index::open(&layout.index_path())?);
        Ok(Self { git, layout, context: context.clone(), index, store: OnceLock::new() })
    }

    /// Finds the repository and insists that `clade init` was run.
    pub fn open(context: &Context) -> Result<Self> {
        let repo = Self::discover(context)?;
        repo.repository_id()?;
        Ok(repo)
    }

    /// The store, opened at first need.
    pub fn store(&self) -> Result<&Store> {
        if let Some(store) = self.store.get() {
            return Ok(store);
        }
        let store = Store::open(&self.layout.dir, self.index.clone())?;
        Ok(self.store.get_or_init(|| store))
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Where progress goes.
    #[must_use]
    pub fn progress(&self) -> &dyn Progress {
        self.context.progress.as_ref()
    }

    /// Whether someone asked to stop.
    #[must_use]
    pub fn interrupt(&self) -> &Interrupt {
        &self.context.interrupt
    }

    /// Now, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.context.clock.now_ms()
    }

    /// The identity of the repository's ledger.
    pub fn repository_id(&self) -> Result<RepositoryId> {
        config::repository_id(self)?.ok_or_else(|| Error::NotInitialised {
            dir: self.git.work_tree().unwrap_or_else(|| self.git.git_dir()).to_path_buf(),
        })
    }

    /// This clone's identity as a writer of batches; made at first need.
    pub fn writer(&self) -> Result<WriterId> {
        self.layout.writer()
    }

    fn now_s(&self) -> i64 {
        i64::try_from(self.now_ms() / 1000).unwrap_or(i64::MAX)
    }

    /// A path that a person typed, as raw bytes from the top of the working tree. It need not exist.
    pub fn relative(&self, path: &Path) -> Result<Vec<u8>> {
        worktree::relative(self, path)
    }
}
