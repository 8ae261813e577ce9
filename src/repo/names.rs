//! Names that people type: `NAME[@X][:PATH]`, and what they mean here.

use super::{AssetVersion, Error, Repo, Result};
use crate::git::Oid;
use crate::id::{ContentId, Digest, FileId, TreeId};
use crate::ledger::{AssetKind, Content, EnvState, Environments, Event, Form, Ledger, Scope, Version};
use crate::manifest::Page;
use std::collections::{BTreeMap, BTreeSet};

/// Which version of an asset is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// An environment, else a revision.
    Any(String),
    /// An environment.
    Env(String),
    /// A git revision.
    Rev(String),
    /// The beginning of an id in hex.
    Id(String),
}

/// What a person typed, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// An asset, or a folder above assets.
    Named {
        /// The name.
        name: String,
        /// The version; the working tree, or all versions, where none is given.
        at: Option<At>,
        /// A path below it.
        path: Option<String>,
    },
    /// A content by the beginning of its id in hex.
    Id(String),
}

/// What a name was resolved to.
#[derive(Debug, Clone)]
pub struct Named {
    /// The asset's name.
    pub asset: String,
    /// The content.
    pub content: Content,
    /// Its kind, where anything says one.
    pub kind: Option<AssetKind>,
    /// How it was found: `env prod`, `rev v1.0`, `working tree`, `id`.
    pub via: String,
    /// The commit, where a revision was named.
    pub commit: Option<Oid>,
    /// The version in full, where it was read from git or the working tree.
    pub version: Option<AssetVersion>,
}

impl Named {
    /// The content's id, where it has bytes.
    #[must_use]
    pub fn content_id(&self) -> Option<ContentId> {
        self.content.content_id()
    }

    /// As the ledger names it.
    #[must_use]
    pub fn ledger_version(&self) -> Version {
        Version::new(self.asset.clone(), self.content)
    }
}

/// A resolved name with what the person should be told about it.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// What it is.
    pub named: Named,
    /// Warnings: clashes, conflicts.
    pub warnings: Vec<String>,
}

impl Selector {
    /// Takes what was typed apart. `known` are the names of assets; the longest that fits is meant, and a
    /// folder above known names is a name too.
    pub fn parse(text: &str, known: &BTreeSet<String>) -> Result<Self> {
        let unknown =
            || Error::UnknownName { what: "asset", name: text.to_owned(), candidates: candidates(text, known) };
        if let Some(id) = text.strip_prefix("b3:") {
            return if is_hex(id) { Ok(Self::Id(id.to_owned())) } else { Err(unknown()) };
        }
        let text = text.strip_prefix("./").unwrap_or(text);
        let fits = |name: &str| {
            text.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['@', ':', '/']))
        };
        let longest = known.iter().filter(|n| fits(n)).max_by_key(|n| n.len());
        let name = match longest {
            Some(name) => name.clone(),
            None => {
                let end = text.find(['@', ':']).unwrap_or(text.len());
                let folder = text[..end].trim_end_matches('/');
                let above = known.iter().any(|n| n.strip_prefix(folder).is_some_and(|r| r.starts_with('/')));
                if folder.is_empty() || !above {
                    return Err(unknown());
                }
                text[..end].to_owned()
            }
        };
        let rest = &text[name.len()..];
        let name = name.trim_end_matches('/').to_owned();
        if let Some(path) = rest.strip_prefix('/') {
            let path = path.trim_end_matches('/');
            let path = (!path.is_empty()).then(|| path.to_owned());
            return Ok(Self::Named { name, at: None, path });
        }
        let (at, rest) = match rest.strip_prefix('@') {
            None => (None, rest),
            Some(at) => {
                let kind = ["env:", "rev:", "b3:"].into_iter().find(|k| at.starts_with(k)).unwrap_or("");
                let end = at[kind.len()..].find(':').map_or(at.len(), |n| n + kind.len());
                let value = at[kind.len()..end].to_owned();
                let parsed = match kind {
                    "env:" => At::Env(value),
                    "rev:" => At::Rev(value),
                    "b3:" => At::Id(value),
                    _ => At::Any(value),
                };
                (Some(parsed), &at[end..])
            }
        };
        let path = rest.strip_prefix(':').map(|p| p.trim_matches('/').to_owned()).filter(|p| !p.is_empty());
        Ok(Self::Named { name, at, path })
    }
}

fn is_hex(text: &str) -> bool {
    (4..=64).contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Names like what was typed: those that contain it or that it contains, else the nearest ones.
fn candidates(text: &str, known: &BTreeSet<String>) -> Vec<String> {
    let name = text.split(['@', ':']).next().unwrap_or(text);
    let mut scored: Vec<(usize, &String)> = known
        .iter()
        .map(|k| {
            let close = k.contains(name) || name.contains(k.as_str());
            (if close { 0 } else { distance(name, k) }, k)
        })
        .filter(|(d, k)| *d <= k.len().max(name.len()) / 2)
        .collect();
    scored.sort();
    if scored.is_empty() {
        return known.iter().take(5).cloned().collect();
    }
    scored.into_iter().take(5).map(|(_, k)| k.clone()).collect()
}

/// Edits from one text to the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(200).collect(), b.chars().take(200).collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

impl Repo {
    /// The names of all assets that the ledger, HEAD or the index know.
    pub fn known_assets(&self, ledger: &Ledger) -> Result<BTreeSet<String>> {
        let mut out = BTreeSet::new();
        for entry in ledger.events() {
            match entry.event {
                Event::VersionSeen(seen) => {
                    out.insert(seen.ver.asset.clone());
                }
                Event::RunRecorded(run) => {
                    out.extend(run.inputs.iter().filter_map(|i| i.ver.as_ref()).map(|v| v.asset.clone()));
                    out.extend(run.outputs.iter().map(|o| o.ver.asset.clone()));
                }
                Event::EnvMoved(moved) => out.extend(moved.moves.iter().map(|m| m.asset.clone())),
                _ => {}
            }
        }
        if self.git.work_tree().is_some() {
            out.extend(self.claimed_paths(&[])?.into_iter().map(|(_, _, claim)| claim.asset));
        }
        if let Some(head) = self.git.resolve_commit("HEAD")? {
            out.extend(self.versions_of_commit(head)?.into_iter().map(|u| u.ver.asset));
        }
        Ok(out)
    }

    /// Every recorded or committed content by asset name and id.
    fn known_contents(&self, ledger: &Ledger) -> Result<BTreeSet<(String, Content)>> {
        let mut out = BTreeSet::new();
        for entry in ledger.events() {
            match entry.event {
                Event::VersionSeen(seen) => {
                    out.insert((seen.ver.asset.clone(), seen.ver.content()));
                }
                Event::RunRecorded(run) => {
                    let inputs = run.inputs.iter().filter_map(|i| i.ver.as_ref());
                    let outputs = run.outputs.iter().map(|o| &o.ver);
                    out.extend(inputs.chain(outputs).map(|v| (v.asset.clone(), v.content())));
                }
                Event::EnvMoved(moved) => out.extend(moved.moves.iter().map(|m| (m.asset.clone(), m.to))),
                _ => {}
            }
        }
        for version in self.versions_on_refs()? {
            out.insert((version.ver.asset.clone(), version.ver.content()));
        }
        Ok(out)
    }

    /// The one content whose id begins so; of `asset` only, where given.
    pub fn content_by_prefix(&self, prefix: &str, asset: Option<&str>, ledger: &Ledger) -> Result<(String, Content)> {
        let known = self.known_contents(ledger)?;
        let fits =
            |(name, c): &&(String, Content)| c.id.to_string().starts_with(prefix) && asset.is_none_or(|a| a == name);
        let found: Vec<&(String, Content)> = known.iter().filter(fits).collect();
        let ids: BTreeSet<Content> = found.iter().map(|(_, c)| *c).collect();
        let name = format!("b3:{prefix}");
        match (found.first(), ids.len()) {
            (Some(one), 1) => Ok((*one).clone()),
            (None, _) => Err(Error::UnknownName { what: "id", name, candidates: Vec::new() }),
            _ => {
                let candidates = found.iter().map(|(n, c)| format!("{n}@b3:{}", &c.id.to_string()[..16])).collect();
                Err(Error::AmbiguousName { what: "id", name, candidates })
            }
        }
    }

    /// What a name with a version means. Pages of a folder asset that is read from git or the working tree go
    /// to `sink`.
    pub fn resolve(&self, text: &str, ledger: &Ledger, sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Resolved> {
        let known = self.known_assets(ledger)?;
        match Selector::parse(text, &known)? {
            Selector::Id(prefix) => {
                let (asset, content) = self.content_by_prefix(&prefix, None, ledger)?;
                Ok(plain(named(asset, content, "id")))
            }
            Selector::Named { path: Some(_), .. } => Err(Error::UnknownName {
                what: "version",
                name: text.to_owned(),
                candidates: known.into_iter().take(5).collect(),
            }),
            Selector::Named { name, at: None, .. } => self.resolve_worktree(&name, sink).map(plain),
            Selector::Named { name, at: Some(at), .. } => self.resolve_at(&name, &at, ledger, sink),
        }
    }

    fn resolve_worktree(&self, name: &str, sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Named> {
        let mut found = self.assets_in_worktree(Some(name), sink)?.pop();
        if found.is_none() {
            // A run may have written and recorded what nobody added yet.
            let place = self.place_at(name.as_bytes(), sink)?;
            found = place.filter(|p| p.part.is_none() && p.version.asset == name).map(|p| p.version);
        }
        match found {
            Some(version) => Ok(of_version(version, "working tree", None)),
            None => Err(Error::UnknownName {
                what: "asset in the working tree",
                name: name.to_owned(),
                candidates: vec![format!("{name}@HEAD")],
            }),
        }
    }

    fn resolve_at(
        &self,
        name: &str,
        at: &At,
        ledger: &Ledger,
        sink: &mut dyn FnMut(Page) -> Result<()>,
    ) -> Result<Resolved> {
        match at {
            At::Id(prefix) => {
                let (asset, content) = self.content_by_prefix(prefix, Some(name), ledger)?;
                Ok(plain(named(asset, content, "id")))
            }
            At::Rev(rev) => self.resolve_rev(name, rev, sink).map(plain),
            At::Env(env) => self.resolve_env(name, env, ledger),
            At::Any(x) => {
                let is_env = Environments::new(ledger).value(x, name).is_some();
                let commit = self.git.resolve_commit(x)?;
                match (is_env, commit) {
                    (true, commit) => {
                        let mut out = self.resolve_env(name, x, ledger)?;
                        if commit.is_some() {
                            out.warnings.push(format!(
                                "{x:?} is an environment and a git revision; the environment is meant. \
                                 Say {name}@env:{x} or {name}@rev:{x}"
                            ));
                        }
                        Ok(out)
                    }
                    (false, Some(_)) => self.resolve_rev(name, x, sink).map(plain),
                    (false, None) => {
                        let mut candidates: Vec<String> = Environments::new(ledger)
                            .names()
                            .filter(|env| Environments::new(ledger).value(env, name).is_some())
                            .map(|env| format!("{name}@{env}"))
                            .collect();
                        candidates.push(format!("{name}@HEAD"));
                        Err(Error::UnknownName { what: "environment or revision", name: x.clone(), candidates })
                    }
                }
            }
        }
    }

    fn resolve_rev(&self, name: &str, rev: &str, sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Named> {
        let commit = self.git.resolve_commit(rev)?.ok_or_else(|| Error::UnknownName {
            what: "revision",
            name: rev.to_owned(),
            candidates: Vec::new(),
        })?;
        let found = self.assets_with(commit, Some(name), sink)?.pop();
        let version = found.ok_or_else(|| Error::UnknownName {
            what: "asset in this revision",
            name: format!("{name}@{rev}"),
            candidates: Vec::new(),
        })?;
        Ok(of_version(version, &format!("rev {rev}"), Some(commit)))
    }

    fn resolve_env(&self, name: &str, env: &str, ledger: &Ledger) -> Result<Resolved> {
        let value = Environments::new(ledger).value(env, name).ok_or_else(|| Error::UnknownName {
            what: "asset in this environment",
            name: format!("{name}@{env}"),
            candidates: Environments::new(ledger).current(env).into_keys().map(|a| format!("{a}@{env}")).collect(),
        })?;
        let conflict = || Error::EnvConflict { env: env.to_owned(), asset: name.to_owned() };
        let content = value.content.ok_or_else(conflict)?;
        let mut warnings = Vec::new();
        if value.state == EnvState::Conflict {
            warnings.push(format!(
                "environment {env:?} has conflicting moves of {name:?}; the last undisputed version is meant. \
                 A new `clade promote` settles it"
            ));
        }
        Ok(Resolved { named: named(name.to_owned(), content, &format!("env {env}")), warnings })
    }

    /// The scopes that a question or a classification is about: what was typed, widened to every content it
    /// names where it names a version.
    pub fn scopes(&self, text: &str, ledger: &Ledger) -> Result<Vec<Scope>> {
        let known = self.known_assets(ledger)?;
        match Selector::parse(text, &known)? {
            Selector::Id(prefix) => {
                // A content may be part of a folder without being a version of its own.
                if let Ok(id) = prefix.parse::<Digest>() {
                    return Ok(vec![Scope::Content(id)]);
                }
                let (_, content) = self.content_by_prefix(&prefix, None, ledger)?;
                Ok(vec![Scope::Content(content.id)])
            }
            Selector::Named { name, at: None, path } => Ok(vec![Scope::Asset { asset: name, path, at: None }]),
            Selector::Named { name, at: Some(at), path } => {
                let resolved = self.resolve_at(&name, &at, ledger, &mut |_| Ok(()))?;
                let at = Some(resolved.named.content.id);
                Ok(vec![Scope::Asset { asset: name, path, at }])
            }
        }
    }

    /// Plain sizes of contents, as the ledger and the refs say.
    pub fn known_sizes(&self, ledger: &Ledger) -> BTreeMap<Content, u64> {
        let mut out = BTreeMap::new();
        for entry in ledger.events() {
            if let Event::VersionSeen(seen) = entry.event {
                out.insert(seen.ver.content(), seen.size_bytes);
            }
        }
        out
    }
}

fn plain(named: Named) -> Resolved {
    Resolved { named, warnings: Vec::new() }
}

fn named(asset: String, content: Content, via: &str) -> Named {
    Named { asset, content, kind: None, via: via.to_owned(), commit: None, version: None }
}

fn of_version(version: AssetVersion, via: &str, commit: Option<Oid>) -> Named {
    Named {
        asset: version.asset.clone(),
        content: to_content(version.content),
        kind: Some(version.kind.clone()),
        via: via.to_owned(),
        commit,
        version: Some(version),
    }
}

/// A content id as the ledger writes it.
#[must_use]
pub fn to_content(id: ContentId) -> Content {
    match id {
        ContentId::File(id) => Content { form: Form::File, id: Digest(id.0) },
        ContentId::Tree(id) => Content { form: Form::Tree, id: Digest(id.0) },
    }
}

/// The id of a ledger content that has bytes, by form.
#[must_use]
pub fn from_content(content: &Content) -> Option<ContentId> {
    match content.form {
        Form::File => Some(ContentId::File(FileId(content.id.0))),
        Form::Tree => Some(ContentId::Tree(TreeId(content.id.0))),
        Form::External => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Selector> {
        let known = ["data/patients", "data/patients/deep", "model", "m.pt"].map(str::to_owned).into();
        Selector::parse(text, &known)
    }

    fn named(name: &str, at: Option<At>, path: Option<&str>) -> Selector {
        Selector::Named { name: name.to_owned(), at, path: path.map(str::to_owned) }
    }

    #[test]
    fn the_longest_known_name_is_meant() {
        assert_eq!(parse("model").expect("known"), named("model", None, None));
        assert_eq!(parse("data/patients/p1.csv").expect("known"), named("data/patients", None, Some("p1.csv")));
        assert_eq!(parse("data/patients/deep/x").expect("known"), named("data/patients/deep", None, Some("x")));
        assert_eq!(parse("data/patients:a/b").expect("known"), named("data/patients", None, Some("a/b")));
        assert_eq!(parse("data").expect("a folder above"), named("data", None, None));
        assert!(parse("modelx").is_err());
        assert!(parse("dat").is_err());
    }

    #[test]
    fn versions() {
        assert_eq!(parse("model@prod").expect("known"), named("model", Some(At::Any("prod".into())), None));
        assert_eq!(parse("model@env:prod:w").expect("known"), named("model", Some(At::Env("prod".into())), Some("w")));
        assert_eq!(parse("m.pt@rev:a~2").expect("known"), named("m.pt", Some(At::Rev("a~2".into())), None));
        assert_eq!(parse("model@b3:9f2c").expect("known"), named("model", Some(At::Id("9f2c".into())), None));
        assert_eq!(parse("b3:9f2c").expect("an id"), Selector::Id("9f2c".into()));
        assert!(parse("b3:xyz").is_err());
    }

    #[test]
    fn near_names_are_offered() {
        let Err(Error::UnknownName { candidates, .. }) = parse("modle@prod") else { panic!("unknown") };
        assert_eq!(candidates, ["model"]);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
