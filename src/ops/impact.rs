//! `clade impact` and `clade why`: what some content went into, and how. They write nothing.

use super::questions::{self, EnvPlace};
use super::{Error, Result};
use crate::ledger::{Content, Scope, Version};
use crate::lineage::{Counts, Coverage, ImpactReport, Unrecorded, WhyReport};
use crate::repo::Repo;
use serde::Serialize;
use std::path::PathBuf;

/// What is asked about.
#[derive(Debug, Clone)]
pub enum Target {
    /// A name, version, path in an asset, or id, as it was typed.
    Name(String),
    /// The content of a file.
    File(PathBuf),
}

/// The answer of `clade impact`. It follows from the ledger and the versions on refs alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImpactOutcome {
    /// Verdicts and coverage.
    #[serde(flatten)]
    pub report: ImpactReport,
    /// Environments that hold a version of the report.
    pub environments: Vec<EnvPlace>,
}

/// The answer of `clade impact --count`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImpactCount {
    /// The models' verdicts, counted.
    pub counts: Counts,
    /// Over what the answer is complete.
    pub coverage: Coverage,
}

/// The answer of `clade why`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyOutcome {
    /// The asset that was asked about.
    pub asset: String,
    /// Verdict and paths.
    #[serde(flatten)]
    pub report: WhyReport,
    /// Over what the answer is complete.
    pub coverage: Coverage,
}

/// Says for every model whether the target went into it.
///
/// # Errors
/// [`super::Kind::NotFound`] when the ledger was never fetched, when a page is missing, and when nothing that is
/// known matches the target.
pub fn impact(repo: &Repo, target: &Target) -> Result<ImpactOutcome> {
    let ledger = repo.ledger_for_questions()?;
    let scopes = match target {
        Target::Name(text) => questions::scopes(repo, text, &ledger)?,
        Target::File(path) => vec![scope_of_file(repo, path)?],
    };
    let graph = questions::graph(repo, &ledger, &[])?;
    let report = graph.impact(&scopes);
    let matched = report.target.iter().any(|t| t.matched_count > 0);
    if !matched && report.counts.affected + report.counts.possible == 0 && report.others.is_empty() {
        return Err(match target {
            Target::Name(text) => Error::not_found(format!("nothing that is known matches {text:?}"))
                .hint("`clade log` lists the names and versions that are known"),
            Target::File(path) => Error::not_found(format!("the content of {} is in no known version", path.display()))
                .hint("a file that was changed since is another content: ask by name, or by the id of the old one"),
        });
    }
    let mut environments = questions::environments(&ledger);
    environments.retain(|e| {
        let here = |asset: &str, form, id| e.asset == asset && e.content == Content { form, id };
        report.models.iter().chain(&report.others).any(|r| here(&r.asset, r.form, r.id))
    });
    Ok(ImpactOutcome { report, environments })
}

/// The scope of a file's content, whatever its name.
pub fn scope_of_file(repo: &Repo, path: &std::path::Path) -> Result<Scope> {
    let (id, _) = repo.content_of_file(path)?;
    Ok(Scope::Content(Content::file(id).id))
}

/// Shows how the ancestor's content got into the descendant.
///
/// # Errors
/// As of [`impact`].
pub fn why(repo: &Repo, descendant: &str, ancestor: &str) -> Result<WhyOutcome> {
    let ledger = repo.ledger_for_questions()?;
    let scopes = questions::scopes(repo, ancestor, &ledger)?;
    let store = repo.store()?;
    let mut session = store.session(crate::store::SessionKind::Batch, repo.progress(), repo.interrupt());
    let named = repo.resolve(descendant, &ledger, &mut questions::page_sink(&mut session))?.named;
    session.finish()?;
    let ver: Version = named.ledger_version();
    // A version of the working tree may be on no ref yet.
    let more: Vec<Unrecorded> = named
        .version
        .iter()
        .map(|v| Unrecorded { ver: ver.clone(), path: v.path.clone(), kind: v.kind.clone(), size_bytes: v.size_bytes })
        .collect();
    let graph = questions::graph(repo, &ledger, &more)?;
    let scope = scopes.first().ok_or_else(|| Error::not_found(format!("nothing is named {ancestor:?}")))?;
    let report = graph.why(scope, &ver)?;
    Ok(WhyOutcome { asset: named.asset, report, coverage: graph.coverage() })
}
