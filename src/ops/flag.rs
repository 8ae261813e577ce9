//! `clade flag list`: models that should be made again or looked at, derived anew from the ledger each time.

use super::Result;
use super::questions::{self, EnvPlace};
use crate::ledger::{Content, Policy, covers};
use crate::lineage::{Coverage, Flag};
use crate::repo::Repo;
use serde::Serialize;

/// The answer of `clade flag list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FlagListOutcome {
    /// The flags, sorted by asset and id.
    pub flags: Vec<Flag>,
    /// Environments that hold a flagged version.
    pub environments: Vec<EnvPlace>,
    /// Over what the answer is complete.
    pub coverage: Coverage,
}

/// The flags of `name` and of what is below it; all where none is given.
///
/// # Errors
/// [`super::Kind::NotFound`] when the ledger was never fetched or a page is missing.
pub fn list(repo: &Repo, name: Option<&str>) -> Result<FlagListOutcome> {
    let ledger = repo.ledger_for_questions()?;
    let graph = questions::graph(repo, &ledger, &[])?;
    let mut flags = graph.flags(&Policy::builtin());
    flags.retain(|f| name.is_none_or(|n| covers(n, &f.asset)));
    if flags.is_empty()
        && let Some(name) = name
    {
        // An answer of "none" to a misspelt name would reassure.
        questions::scopes(repo, name, &ledger)?;
    }
    let mut environments = questions::environments(&ledger);
    environments
        .retain(|e| flags.iter().any(|f| e.asset == f.asset && e.content == Content { form: f.form, id: f.id }));
    Ok(FlagListOutcome { flags, environments, coverage: graph.coverage() })
}
