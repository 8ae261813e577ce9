//! Reads what is there and compares it with what should be.

use super::{Error, Result, Store};
use crate::fsio::Map;
use crate::id::PackId;
use crate::index::PackRow;
use crate::pack;
use crate::progress::{Interrupt, Progress};
use rayon::prelude::*;
use serde::Serialize;

/// How deep to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyLevel {
    /// Names and sizes of packs, and their footers.
    Quick,
    /// Every record of every pack, decoded and compared with its id.
    Full,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Stable name of the kind of damage: `pack_missing`, `pack_damaged` or `record_damaged`.
    pub code: &'static str,
    /// The pack.
    pub pack: String,
    /// The record, as kind and id, where one is hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<String>,
    /// What is wrong.
    pub detail: String,
}

/// What was looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Packs looked at.
    pub pack_count: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Records decoded and compared.
    pub record_count: u64,
    /// Damage, sorted.
    pub findings: Vec<Finding>,
}

impl Store {
    /// Looks at every pack. Damage is a finding, not an error; an error is a failure to look.
    pub fn verify(
        &self,
        level: VerifyLevel,
        now_ms: u64,
        progress: &dyn Progress,
        interrupt: &Interrupt,
    ) -> Result<VerifyReport> {
        let (packs, missing): (Vec<_>, Vec<PackId>) = {
            let catalog = self.read_catalog();
            let packs = catalog.packs().map(|(id, path, size)| (*id, path.to_path_buf(), size)).collect();
            (packs, catalog.missing().iter().copied().collect())
        };
        let mut report = VerifyReport::default();
        for id in &missing {
            if !packs.iter().any(|(p, ..)| p == id) {
                report.findings.push(Finding {
                    code: "pack_missing",
                    pack: id.to_string(),
                    record: None,
                    detail: "the pack is listed and is not there".to_owned(),
                });
            }
        }
        let rows = self.index.packs()?;
        progress.begin("Verifying", Some(packs.iter().map(|p| p.2).sum()), None);
        for (id, path, size_bytes) in packs {
            interrupt.check()?;
            report.pack_count += 1;
            report.pack_bytes += size_bytes;
            let before = report.findings.len();
            let found = |detail: String| Finding { code: "pack_damaged", pack: id.to_string(), record: None, detail };
            if let Some(row) = rows.iter().find(|r| r.id == id && r.size_bytes != size_bytes) {
                let detail = format!("it has {size_bytes} bytes, expected {}", row.size_bytes);
                report.findings.push(found(detail));
            }
            let map = Map::open(&path)?;
            match pack::read_footer(&map[..]) {
                Err(e) => report.findings.push(found(e.to_string())),
                Ok(footer) if level == VerifyLevel::Full => {
                    report.record_count += u64::from(footer.record_count());
                    let bad: Vec<Finding> = footer
                        .frames()
                        .par_iter()
                        .flat_map_iter(|frame| {
                            let bad = self.check_frame(&path, id, frame);
                            progress.bytes(u64::from(frame.stored_len));
                            bad
                        })
                        .collect();
                    report.findings.extend(bad);
                    if report.findings.len() == before {
                        let row = PackRow { id, size_bytes, digest: None, verified_ms: Some(now_ms) };
                        let row = PackRow { digest: rows.iter().find(|r| r.id == id).and_then(|r| r.digest), ..row };
                        self.index.put_packs(&[row])?;
                    }
                }
                Ok(_) => {}
            }
        }
        progress.end();
        report.findings.sort();
        Ok(report)
    }

    fn check_frame(&self, path: &std::path::Path, id: PackId, frame: &pack::FrameMeta) -> Vec<Finding> {
        let finding = |record: &pack::RecordMeta, detail: String| Finding {
            code: "record_damaged",
            pack: id.to_string(),
            record: Some(record.key.to_string()),
            detail,
        };
        match self.read_frame(path, id, frame, 0) {
            Ok(plain) => frame
                .records
                .iter()
                .filter(|r| plain.get(r.range()).map(super::digest_of) != Some(r.plain_digest()))
                .map(|r| finding(r, format!("its digest differs, in the frame at byte {}", frame.offset)))
                .collect(),
            Err(e) => {
                let detail = match &e {
                    Error::Damaged { reason, .. } => reason.clone(),
                    other => other.to_string(),
                };
                frame.records.iter().map(|r| finding(r, detail.clone())).collect()
            }
        }
    }
}
