//! `.clade/config.toml`, the committed part of the configuration. It proposes; nothing in it runs anything.

use super::{Error, Repo, Result};
use crate::fsio;
use crate::id::RepositoryId;
use crate::limits::MAX_CONFIG_BYTES;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Where the file is, from the top of the working tree.
pub const CONFIG_PATH: &str = ".clade/config.toml";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryConfig {
    /// Version of the file's format.
    pub version: u32,
    /// Identity of the ledger, written by the first `clade init`; a fork keeps it.
    pub repository: RepositoryId,
    /// Other repositories whose batches are accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<RepositoryId>,
}

impl RepositoryConfig {
    /// A new repository's configuration.
    #[must_use]
    pub fn new() -> Self {
        Self { version: 1, repository: RepositoryId::new_v7(), also: Vec::new() }
    }

    /// The file's text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = "# Written by `clade init`. Commit it: it names this repository's ledger.\n".to_owned();
        out.push_str("version = 1\n");
        out.push_str(&format!("repository = \"{}\"\n", self.repository));
        if !self.also.is_empty() {
            let ids: Vec<String> = self.also.iter().map(|id| format!("\"{id}\"")).collect();
            out.push_str(&format!("also = [{}]\n", ids.join(", ")));
        }
        out
    }

    /// Reads the file's text. Tables and keys of later versions are left alone.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let err = |reason: String| Error::Config { path: path.to_path_buf(), reason };
        let config: Self = toml::from_str(text).map_err(|e| err(e.message().to_owned()))?;
        if config.version != 1 {
            return Err(err(format!("version {} is not known to this clade", config.version)));
        }
        Ok(config)
    }
}

impl Default for RepositoryConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl Repo {
    /// The committed configuration: of the working tree, else of HEAD; `None` where there is none.
    pub fn config(&self) -> Result<Option<RepositoryConfig>> {
        if let Some(top) = self.git.work_tree() {
            let path = top.join(CONFIG_PATH);
            if fsio::exists(&path) {
                let bytes = fsio::read_limited(&path, MAX_CONFIG_BYTES as u64)?;
                return RepositoryConfig::parse(&path, &String::from_utf8_lossy(&bytes)).map(Some);
            }
        }
        let Some(head) = self.git.resolve_commit("HEAD")? else { return Ok(None) };
        let Some(entry) = self.git.tree_entry(head, CONFIG_PATH.as_bytes())? else { return Ok(None) };
        let bytes = self.git.read_blob(entry.oid, MAX_CONFIG_BYTES as u64)?;
        RepositoryConfig::parse(Path::new(CONFIG_PATH), &String::from_utf8_lossy(&bytes)).map(Some)
    }
}

/// The repository's identity: what this clone noted, else what the committed file says, which is then noted.
pub(super) fn repository_id(repo: &Repo) -> Result<Option<RepositoryId>> {
    let path = repo.layout.repository_path();
    if let Some(text) = fsio::read_opt(&path)? {
        let text = String::from_utf8_lossy(&text);
        if let Ok(id) = text.trim().parse() {
            return Ok(Some(id));
        }
    }
    // Only a clone that was set up counts: a committed file alone sets up nothing.
    if repo.git.config("filter.clade.process")?.is_none() {
        return Ok(None);
    }
    let Some(config) = repo.config()? else { return Ok(None) };
    fsio::write_atomic(&path, format!("{}\n", config.repository).as_bytes())?;
    Ok(Some(config.repository))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_it_was_given_and_ignores_what_is_newer() {
        let mut config = RepositoryConfig::new();
        let path = Path::new(CONFIG_PATH);
        assert_eq!(RepositoryConfig::parse(path, &config.encode()).expect("parses"), config);
        config.also.push(RepositoryId::new_v7());
        let text = config.encode() + "[replication]\ncopies = 2\n";
        assert_eq!(RepositoryConfig::parse(path, &text).expect("parses"), config);
        assert!(RepositoryConfig::parse(path, &text.replace("version = 1", "version = 2")).is_err());
        assert!(RepositoryConfig::parse(path, "version = 1").is_err());
        assert!(RepositoryConfig::parse(path, "not toml").is_err());
    }
}
