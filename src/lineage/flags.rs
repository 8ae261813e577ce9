//! Labels and flags: what the classifications in force mean for versions. Both are derived, never stored.

use std::collections::BTreeMap;

use super::Flag;
use super::graph::Graph;
use super::sweep::{Reach, Sweep};
use crate::ledger::{Content, FlagKind, Label, Policy, Verdict};

impl Graph {
    /// The flags that the classifications in force raise on model versions, sorted by asset and id. A flag
    /// vanishes when its causes are retracted or replaced.
    #[must_use]
    pub fn flags(&self, policy: &Policy) -> Vec<Flag> {
        let mut flags: BTreeMap<(String, Content), (Strength, Flag)> = BTreeMap::new();
        let mut sweep = Sweep::new(self);
        let models: BTreeMap<u32, Vec<(Content, &str)>> = {
            let mut by_node: BTreeMap<u32, Vec<(Content, &str)>> = BTreeMap::new();
            for (content, asset, _) in self.versions().filter(|(c, _, _)| self.is_model(c)) {
                if let Some(n) = self.version_node(content, asset) {
                    by_node.entry(n).or_default().push((content, asset));
                }
            }
            by_node
        };
        for class in &self.classes {
            if class.label.level < policy.flag_level {
                continue;
            }
            sweep.run(&self.seeds(&class.scope));
            for n in sweep.touched().iter().filter(|n| models.contains_key(n)) {
                let Some(reach) = sweep.best(*n) else {
                    continue;
                };
                let verdict = reach.verdict();
                let Some(kind) = policy.flag(verdict, class.label.level, reach.learned) else {
                    continue;
                };
                let strength = (kind, verdict);
                for (content, asset) in &models[n] {
                    let key = ((*asset).to_owned(), *content);
                    let path = || {
                        let (seed, edges) = sweep.path(*n, reach);
                        self.steps(seed, &edges, Some(class.event))
                    };
                    let roles = self.roles(*n, |n| sweep.best(n).is_some());
                    let (best, flag) = flags.entry(key).or_insert_with(|| {
                        let flag = Flag {
                            asset: (*asset).to_owned(),
                            form: content.form,
                            id: content.id,
                            flag: kind,
                            verdict,
                            level: class.label.level,
                            roles: roles.clone(),
                            causes: Vec::new(),
                            path: path(),
                            label: class.label.clone(),
                        };
                        (strength, flag)
                    });
                    // Smaller is stronger: retrain before review, affected before possible.
                    if strength < *best {
                        *best = strength;
                        (flag.flag, flag.verdict, flag.path) = (kind, verdict, path());
                    }
                    flag.level = flag.level.max(class.label.level);
                    flag.label = flag.label.join(&class.label);
                    flag.roles.extend(roles);
                    flag.causes.push(class.event);
                }
            }
        }
        flags.into_values().map(|(_, flag)| flag).collect()
    }

    /// The label that a version has: what is certain, and what is possible on top. A version that nothing
    /// reaches is public, whether its origin is known or not.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<(String, Content), (Label, Label)> {
        let mut labels: BTreeMap<(String, Content), (Label, Label)> = BTreeMap::new();
        let mut by_node: BTreeMap<u32, Vec<(Content, &str)>> = BTreeMap::new();
        for (content, asset, _) in self.versions() {
            labels.insert((asset.to_owned(), content), Default::default());
            if let Some(n) = self.version_node(content, asset) {
                by_node.entry(n).or_default().push((content, asset));
            }
        }
        let mut sweep = Sweep::new(self);
        for class in &self.classes {
            sweep.run(&self.seeds(&class.scope));
            for n in sweep.touched() {
                let certain = sweep.best(*n).is_some_and(|r: Reach| r.certain);
                for (content, asset) in by_node.get(n).into_iter().flatten() {
                    let both = labels.entry(((*asset).to_owned(), *content)).or_default();
                    if certain {
                        both.0 = both.0.join(&class.label);
                    }
                    both.1 = both.1.join(&class.label);
                }
            }
        }
        labels
    }
}

/// How strongly a flag is raised; smaller is stronger.
type Strength = (FlagKind, Verdict);
