//! What lies at a path of the working tree, whatever its attributes say: a file, an asset's folder, any folder.

use super::assets::Claim;
use super::worktree::{hash_file, is_below};
use super::{AssetVersion, FileState, Member, Repo, Result};
use crate::fsio::{self, StatKind};
use crate::id::FileId;
use crate::ledger::{AssetKind, join};
use crate::manifest::Page;
use std::collections::BTreeSet;
use std::path::Path;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The version that it is, or that it is a part of.
    pub version: AssetVersion,
    /// The part that is meant, where that is not all of the version.
    pub part: Option<String>,
}

impl Repo {
    /// Id and size of any file, inside the working tree or not; those that a pointer names.
    pub fn content_of_file(&self, path: &Path) -> Result<(FileId, u64)> {
        let absolute = self.context.cwd.join(path);
        if self.git.work_tree().is_some()
            && let Ok(inside) = self.relative(path)
            && let Some(found) = self.file_content(&inside)?
        {
            return Ok(found);
        }
        match fsio::stat(&absolute)? {
            Some(stat) if stat.kind == StatKind::File => Ok((hash_file(&absolute)?, stat.size_bytes)),
            _ => Err(super::Error::NoFile { path: path.to_path_buf() }),
        }
    }

    /// What lies at `path` (raw bytes from the top) in the working tree; `None` where there is nothing, or only
    /// what git ignores. Pages of trees go to `sink`.
    ///
    /// A file that is an asset is that asset. A file or folder inside a folder asset is named by the asset and
    /// the path in it; where the asset is a model it stands for the whole model, and the part is told. A folder
    /// with exactly an asset's files is the asset. Any other folder is a tree under its own path: a model when it
    /// holds one.
    pub fn place_at(&self, path: &[u8], sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Option<Place>> {
        match self.file_state(path)? {
            FileState::Absent => Ok(None),
            FileState::Pointer(_) | FileState::Content(_) => self.place_of_file(path, sink),
            FileState::Other => self.place_of_folder(path, sink),
        }
    }

    /// The files of the asset that git tracks, without `path`.
    fn siblings(&self, asset: &str, paths: &BTreeSet<Vec<u8>>) -> Result<Vec<(Vec<u8>, u32, Claim)>> {
        let mut all = self.claimed_paths(&[])?;
        all.retain(|(p, _, c)| c.asset == asset && !paths.contains(p));
        Ok(all)
    }

    fn place_of_file(&self, path: &[u8], sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Option<Place>> {
        let Some(member) = self.member_at(path)? else { return Ok(None) };
        let lossy = String::from_utf8_lossy(path).into_owned();
        let attributes = self.git.attributes(&[path.to_vec()])?;
        let Some(claim) = attributes.first().and_then(|a| Claim::of(path, a)) else {
            let kind = AssetKind::of_path(&lossy);
            return Ok(Some(whole(AssetVersion::of(lossy, kind, None, vec![member], sink)?)));
        };
        let others = self.siblings(&claim.asset, &BTreeSet::from([path.to_vec()]))?;
        let kind = claim.kind.clone().unwrap_or_else(|| AssetKind::of_path(&lossy));
        if others.is_empty() {
            return Ok(Some(whole(AssetVersion::of(claim.asset, kind, claim.owner, vec![member], sink)?)));
        }
        let rest = self.rest_in(&claim.asset, path, &others);
        let name = join(&claim.asset, &rest);
        let one = AssetVersion::of(name, kind.clone(), claim.owner.clone(), vec![member], sink)?;
        if kind != AssetKind::Model {
            return Ok(Some(whole(one)));
        }
        match self.assets_in_worktree(Some(&claim.asset), sink)?.pop() {
            Some(version) => Ok(Some(Place { version, part: Some(rest) })),
            None => Ok(Some(whole(one))),
        }
    }

    /// As [`Repo::place_at`] for what a command wrote: a model's file stands for itself only, and the models in
    /// a folder that is no asset stand for themselves, beside what is left of the folder.
    pub fn places_written(&self, path: &[u8], sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Vec<AssetVersion>> {
        let Some(place) = self.place_at(path, sink)? else { return Ok(Vec::new()) };
        if let Some(part) = place.part {
            let below = |m: &Member| is_below(path, &m.path);
            let members: Vec<Member> = match self.file_state(path)? {
                FileState::Other => self.members_below(path)?.into_iter().filter(below).collect(),
                _ => self.member_at(path)?.into_iter().collect(),
            };
            let AssetVersion { asset, kind, owner, .. } = place.version;
            let version = AssetVersion::of(join(&asset, &part), kind, owner, members, sink)?;
            return Ok(vec![version]);
        }
        let own = String::from_utf8_lossy(path);
        let version = place.version;
        if version.members.len() < 2 || version.kind != AssetKind::Model || version.asset != own {
            return Ok(vec![version]);
        }
        let paths: Vec<Vec<u8>> = version.members.iter().map(|m| m.path.clone()).collect();
        let attributes = self.git.attributes(&paths)?;
        let claims = paths.iter().zip(&attributes).map(|(p, a)| Claim::of(p, a));
        if claims.clone().flatten().any(|c| c.asset == own) {
            return Ok(vec![version]);
        }
        let (mut out, mut rest) = (Vec::new(), Vec::new());
        for (member, claim) in version.members.iter().cloned().zip(claims) {
            let name = String::from_utf8_lossy(&member.path).into_owned();
            let kind = claim.as_ref().and_then(|c| c.kind.clone()).unwrap_or_else(|| AssetKind::of_path(&name));
            let alone = claim.as_ref().is_none_or(|c| c.asset == name);
            if kind == AssetKind::Model && alone {
                let owner = claim.and_then(|c| c.owner);
                out.push(AssetVersion::of(name, kind, owner, vec![member], sink)?);
            } else {
                rest.push(member);
            }
        }
        if !rest.is_empty() {
            out.push(AssetVersion::of(own.into_owned(), AssetKind::Dataset, version.owner, rest, sink)?);
        }
        Ok(out)
    }

    fn place_of_folder(&self, path: &[u8], sink: &mut dyn FnMut(Page) -> Result<()>) -> Result<Option<Place>> {
        let members = self.members_below(path)?;
        if members.is_empty() {
            return Ok(None);
        }
        let paths: Vec<Vec<u8>> = members.iter().map(|m| m.path.clone()).collect();
        let attributes = self.git.attributes(&paths)?;
        let claims: Vec<Option<Claim>> = paths.iter().zip(&attributes).map(|(p, a)| Claim::of(p, a)).collect();
        let name = String::from_utf8_lossy(path).into_owned();
        let kind_of = |name: &str| {
            let is_model = |(m, c): (&Member, &Option<Claim>)| {
                let by_path = AssetKind::of_path(&String::from_utf8_lossy(&m.path));
                c.as_ref().and_then(|c| c.kind.clone()).unwrap_or(by_path) == AssetKind::Model
            };
            let said = claims.iter().flatten().find(|c| c.asset == name).and_then(|c| c.kind.clone());
            let any = members.iter().zip(&claims).any(is_model);
            said.unwrap_or(if any { AssetKind::Model } else { AssetKind::Dataset })
        };
        let asset = claims.first().cloned().flatten().map(|c| c.asset);
        let all_same = claims.iter().all(|c| c.as_ref().map(|c| &c.asset) == asset.as_ref());
        let owner = claims.iter().flatten().find_map(|c| c.owner.clone());
        let Some(asset) = asset.filter(|_| all_same) else {
            let name = if name.is_empty() { ".".to_owned() } else { name };
            let kind = kind_of(&name);
            return Ok(Some(whole(AssetVersion::of(name, kind, owner, members, sink)?)));
        };
        let kind = kind_of(&asset);
        let others = self.siblings(&asset, &paths.iter().cloned().collect())?;
        let mut present = Vec::new();
        for (p, mode, claim) in others {
            if self.file_state(&p)? != FileState::Absent {
                present.push((p, mode, claim));
            }
        }
        if present.is_empty() {
            return Ok(Some(whole(AssetVersion::of(asset, kind, owner, members, sink)?)));
        }
        let rest = self.rest_in(&asset, path, &present);
        if kind == AssetKind::Model
            && let Some(version) = self.assets_in_worktree(Some(&asset), sink)?.pop()
        {
            return Ok(Some(Place { version, part: Some(rest) }));
        }
        Ok(Some(whole(AssetVersion::of(join(&asset, &rest), kind, owner, members, sink)?)))
    }

    /// The path of a part below the asset's own folder, which `path` and the asset's other files share.
    fn rest_in(&self, asset: &str, path: &[u8], others: &[(Vec<u8>, u32, Claim)]) -> String {
        let text = String::from_utf8_lossy(path).into_owned();
        if let Some(rest) = crate::ledger::rest_below(asset, &text) {
            return rest.to_owned();
        }
        let same = |a: &[u8], b: &[u8]| a.iter().zip(b).take_while(|(x, y)| x == y).count();
        let shared = others.iter().map(|(p, _, _)| same(p, path)).min().unwrap_or(0);
        let slash = path[..shared].iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&path[slash..]).into_owned()
    }

    fn members_below(&self, folder: &[u8]) -> Result<Vec<Member>> {
        let mut out = Vec::new();
        for path in self.git.list_files(&[folder.to_vec()])? {
            self.interrupt().check()?;
            out.extend(self.member_at(&path)?);
        }
        Ok(out)
    }

    fn member_at(&self, path: &[u8]) -> Result<Option<Member>> {
        let Some((file_id, size_bytes)) = self.file_content(path)? else { return Ok(None) };
        let (mode, is_pointer) = match self.file_state(path)? {
            FileState::Content(stat) if stat.kind == StatKind::Symlink => (0o120_000, false),
            FileState::Content(stat) if stat.is_executable() => (0o100_755, false),
            FileState::Pointer(_) => (0o100_644, true),
            _ => (0o100_644, false),
        };
        Ok(Some(Member { path: path.to_vec(), mode, file_id, size_bytes, blob: None, is_pointer }))
    }
}

fn whole(version: AssetVersion) -> Place {
    Place { version, part: None }
}
