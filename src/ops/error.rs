//! The only public failure type, and the only place that turns errors of rooms into kinds and hints.

use crate::progress::Interrupted;
use std::fmt;

/// What a failure means to the caller. Each kind has one exit code (DESIGN of the command line).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// The call itself makes no sense.
    Usage,
    /// A name, revision or repository that was named does not exist, or the input is invalid or incomplete.
    NotFound,
    /// A rule forbids it.
    Policy,
    /// Bytes are not what they must be, or are in no store.
    Integrity,
    /// A remote did not do its part; worth a retry.
    Remote,
    /// Another process holds what is needed.
    Busy,
    /// The local disk or its permissions refused.
    Io,
    /// A defect of clade.
    Internal,
    /// A person or the system asked to stop.
    Interrupted,
}

/// A failure that a person can act on.
#[derive(Debug)]
pub struct Error {
    /// What it means.
    pub kind: Kind,
    /// What failed, on what; one line, no period at the end.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What to try next, one command or fact each.
    pub hints: Vec<String>,
}

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure of `kind`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Something that was named does not exist, or input is invalid.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// The call makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Bytes are wrong or missing.
    pub fn integrity(message: impl Into<String>) -> Self {
        Self::new(Kind::Integrity, message)
    }

    /// Adds what to try next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts `message` in front: what was being done when this happened.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        let inner = std::mem::replace(&mut self.message, message.into());
        self.causes.insert(0, inner);
        self
    }

    /// The kind's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 2,
            Kind::NotFound => 3,
            Kind::Policy => 4,
            Kind::Integrity => 5,
            Kind::Remote => 6,
            Kind::Busy => 7,
            Kind::Internal => 70,
            Kind::Io => 74,
            Kind::Interrupted => 130,
        }
    }

    fn of(kind: Kind, error: &dyn std::error::Error) -> Self {
        let mut out = Self::new(kind, error.to_string());
        let mut source = error.source();
        while let Some(e) = source {
            let text = e.to_string();
            // Messages that already end in their cause are not repeated.
            if !out.message.contains(&text) && out.causes.last() != Some(&text) {
                out.causes.push(text);
            }
            source = e.source();
        }
        out
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

impl From<Interrupted> for Error {
    fn from(e: Interrupted) -> Self {
        Self::of(Kind::Interrupted, &e).hint("run the same command again: it goes on where it stopped")
    }
}

impl From<crate::fsio::Error> for Error {
    fn from(e: crate::fsio::Error) -> Self {
        use crate::fsio::Error as E;
        match &e {
            E::Locked { .. } => Self::of(Kind::Busy, &e).hint("wait for the other process to end, then run this again"),
            E::TooLarge { .. } => Self::of(Kind::NotFound, &e),
            _ if e.is_full() => {
                Self::of(Kind::Io, &e).hint("free some space on the disk, then run the same command again")
            }
            _ => Self::of(Kind::Io, &e),
        }
    }
}

impl From<crate::index::Error> for Error {
    fn from(e: crate::index::Error) -> Self {
        use crate::index::Error as E;
        match e {
            E::Fsio(inner) => inner.into(),
            E::Newer { .. } => Self::of(Kind::NotFound, &e).hint("use the newer clade that wrote it"),
            _ => Self::of(Kind::Io, &e),
        }
    }
}

impl From<crate::store::Error> for Error {
    fn from(e: crate::store::Error) -> Self {
        use crate::store::Error as E;
        match e {
            E::Fsio(inner) => inner.into(),
            E::Index(inner) => inner.into(),
            E::Interrupted(inner) => inner.into(),
            E::Changed { .. } => {
                Self::of(Kind::NotFound, &e).hint("wait until nothing writes to it, then run this again")
            }
            E::Input { .. } => Self::of(Kind::Io, &e),
            E::Missing { .. } => Self::of(Kind::Integrity, &e).hint("`clade pull` fetches what remotes have"),
            _ => Self::of(Kind::Integrity, &e)
                .hint("`clade verify` names everything that is hit; `clade pull` fetches good copies from remotes"),
        }
    }
}

impl From<crate::manifest::Error> for Error {
    fn from(e: crate::manifest::Error) -> Self {
        Self::of(Kind::Integrity, &e)
    }
}

impl From<crate::process::Error> for Error {
    fn from(e: crate::process::Error) -> Self {
        Self::of(Kind::NotFound, &e)
    }
}

impl From<crate::git::Error> for Error {
    fn from(e: crate::git::Error) -> Self {
        use crate::git::Error as E;
        match e {
            E::File(inner) => inner.into(),
            E::NotARepository { .. } => {
                Self::of(Kind::NotFound, &e).hint("go to a git repository, or make one with `git init`")
            }
            E::Bare { .. } => Self::of(Kind::NotFound, &e).hint("run this in a clone that has a working tree"),
            E::MissingObject { .. } => Self::of(Kind::NotFound, &e).hint("`git fetch` brings what this clone lacks"),
            _ => Self::of(Kind::NotFound, &e),
        }
    }
}

impl From<crate::remote::Error> for Error {
    fn from(e: crate::remote::Error) -> Self {
        use crate::remote::Error as E;
        match &e {
            E::Interrupted => crate::progress::Interrupted.into(),
            E::NewerNeeded { .. } => Self::of(Kind::NotFound, &e).hint("use the newer clade that wrote it"),
            E::Unsupported { .. } => Self::of(Kind::Usage, &e).hint("a remote is a folder, as a path or file:// URL"),
            E::NotARemote { .. } => Self::of(Kind::Remote, &e)
                .hint("check the path, and that the disk is mounted; `clade remote list` shows what is configured"),
            // The remote answered: what its log names is not there.
            E::NotFound { .. } => Self::of(Kind::Integrity, &e)
                .hint("take it from another remote: `--from`, or `clade remote add NAME URL`"),
            E::NotExclusive { .. } => {
                Self::of(Kind::Remote, &e).hint("choose another place: this one would lose pushes")
            }
            _ if e.is_integrity() => Self::of(Kind::Integrity, &e),
            _ => Self::of(Kind::Remote, &e).hint("run the same command again: it goes on where it stopped"),
        }
    }
}

impl From<crate::transfer::Error> for Error {
    fn from(e: crate::transfer::Error) -> Self {
        use crate::transfer::Error as E;
        match e {
            E::Store(inner) => inner.into(),
            E::Fsio(inner) => inner.into(),
            E::Interrupted(inner) => inner.into(),
            E::Remote { location, source } => {
                let out = Self::from(source);
                if out.message.contains(&location) { out } else { out.context(format!("remote {location}")) }
            }
            E::TooManyRaces { .. } => Self::of(Kind::Remote, &e).hint("run the same command again"),
            E::Absent { .. } | E::NoVersion { .. } => Self::of(Kind::Integrity, &e).hint(
                "ask who committed it to run `clade push`, or add the remote that has it: `clade remote add NAME URL`",
            ),
            _ => Self::of(Kind::Integrity, &e),
        }
    }
}

impl From<crate::lineage::Error> for Error {
    fn from(e: crate::lineage::Error) -> Self {
        let out = Self::of(Kind::NotFound, &e);
        match e {
            crate::lineage::Error::MissingPage { .. } => out
                .hint("`clade pull` fetches the pages that remotes have; without them the answer would be incomplete"),
            _ => out.hint("`clade log` lists what is known"),
        }
    }
}

impl From<crate::repo::Error> for Error {
    fn from(e: crate::repo::Error) -> Self {
        use crate::repo::Error as E;
        match e {
            E::Git(inner) => inner.into(),
            E::Store(inner) => inner.into(),
            E::Index(inner) => inner.into(),
            E::Manifest(inner) => inner.into(),
            E::Remote(inner) => inner.into(),
            E::Transfer(inner) => inner.into(),
            E::Fsio(inner) => inner.into(),
            E::Interrupted(inner) => inner.into(),
            E::Lineage(inner) => inner.into(),
            E::NotInitialised { .. } => Self::of(Kind::NotFound, &e).hint("run `clade init` here once"),
            E::Config { .. } => Self::of(Kind::NotFound, &e)
                .hint("repair the file, or take it from git: `git checkout -- .clade/config.toml`"),
            E::UnknownName { ref candidates, .. } | E::AmbiguousName { ref candidates, .. } => {
                let mut out = Self::of(Kind::NotFound, &e);
                if candidates.is_empty() {
                    out.hints.push("`clade log` lists the names and versions that are known".to_owned());
                } else {
                    out.hints.push(format!("did you mean: {}", candidates.join(", ")));
                }
                out
            }
            E::EnvConflict { ref env, ref asset } => {
                let hint = format!("settle it: `clade promote {asset}@VERSION --to {env}`");
                Self::of(Kind::NotFound, &e).hint(hint)
            }
            E::LedgerNotFetched { .. } => {
                Self::of(Kind::NotFound, &e).hint("`clade pull` fetches it; before that an answer would be incomplete")
            }
            E::LedgerTampered { .. } => Self::of(Kind::Integrity, &e)
                .hint("compare with another clone: `git log -p refs/clade/ledger`; nothing was taken over"),
            E::LedgerRemote { .. } => {
                Self::of(Kind::Remote, &e).hint("try again when the remote can be reached; nothing was recorded")
            }
            E::Ledger(_) => Self::of(Kind::Integrity, &e),
            _ => Self::of(Kind::NotFound, &e),
        }
    }
}
