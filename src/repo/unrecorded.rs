//! The versions that git's refs hold, whether the ledger knows them or not.

use super::names::to_content;
use super::{Repo, Result};
use crate::git::Oid;
use crate::ledger::{AssetKind, Version};
use crate::lineage::Unrecorded;
use std::collections::BTreeSet;

impl Repo {
    /// The asset versions of one commit. Found out once a tree.
    pub fn versions_of_commit(&self, commit: Oid) -> Result<Vec<Unrecorded>> {
        let tree = self.git.tree_of(commit)?.to_string();
        if let Some(kept) = self.index().tree_assets(&tree)?
            && let Ok(rows) = serde_json::from_str::<Vec<(Version, String, AssetKind, u64)>>(&kept)
        {
            return Ok(rows
                .into_iter()
                .map(|(ver, path, kind, size_bytes)| Unrecorded { ver, path, kind, size_bytes })
                .collect());
        }
        let versions: Vec<Unrecorded> = self
            .assets_in(commit)?
            .into_iter()
            .map(|v| Unrecorded {
                ver: Version::new(v.asset, to_content(v.content)),
                path: v.path,
                kind: v.kind,
                size_bytes: v.size_bytes,
            })
            .collect();
        let rows: Vec<_> = versions.iter().map(|u| (&u.ver, &u.path, &u.kind, u.size_bytes)).collect();
        let text = serde_json::to_string(&rows).expect("plain values encode");
        self.index().put_tree_assets(&tree, &text)?;
        Ok(versions)
    }

    /// Every version on local and remote-tracking branches and on tags, in all of their history that is here.
    pub fn versions_on_refs(&self) -> Result<BTreeSet<Unrecorded>> {
        let refs = self.git.refs(&["refs/heads/", "refs/remotes/", "refs/tags/"])?;
        let tips: Vec<Oid> = refs.into_iter().map(|r| r.peeled).collect();
        let mut out = BTreeSet::new();
        let mut trees = BTreeSet::new();
        for commit in self.git.rev_list(&tips)? {
            self.interrupt().check()?;
            if trees.insert(self.git.tree_of(commit)?) {
                out.extend(self.versions_of_commit(commit)?);
            }
        }
        Ok(out)
    }
}
