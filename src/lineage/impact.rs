//! Which versions some content went into.

use std::collections::BTreeSet;

use super::graph::{Graph, GraphNode, Link, NONE, NameFacts, Seeds, Weak};
use super::sweep::Sweep;
use super::{Basis, Counts, Coverage, ImpactReport, ImpactRow, TargetRow, Witness};
use crate::ledger::{Content, Role, Scope, Verdict};

impl Graph {
    /// Says for every model version, and for every other version downstream, whether what `scopes` cover
    /// went into it. The answer is complete over its coverage. A scope that matches nothing is in the answer
    /// with a count of 0; whether that is an error is the caller's to say.
    #[must_use]
    pub fn impact(&self, scopes: &[Scope]) -> ImpactReport {
        let mut seeds = Seeds::default();
        let mut target = Vec::with_capacity(scopes.len());
        for scope in scopes {
            let one = self.seeds(scope);
            target.push(TargetRow { scope: scope.clone(), matched_count: one.matched.len() as u64 });
            seeds.certain.extend(one.certain);
            seeds.possible.extend(one.possible);
        }
        let mut sweep = Sweep::new(self);
        sweep.run(&seeds);
        let mut models = Vec::new();
        let mut others = Vec::new();
        let mut counts = Counts::default();
        for (content, asset, facts) in self.versions() {
            let model = self.is_model(&content);
            let Some(n) = self.version_node(content, asset) else {
                continue;
            };
            if !model && sweep.best(n).is_none() {
                continue;
            }
            let row = self.row(content, asset, facts, n, &sweep);
            if model {
                match row.verdict {
                    Verdict::Affected => counts.affected += 1,
                    Verdict::Possible => counts.possible += 1,
                    Verdict::Unknown => counts.unknown += 1,
                    Verdict::Unaffected => counts.unaffected += 1,
                }
                models.push(row);
            } else {
                others.push(row);
            }
        }
        for rows in [&mut models, &mut others] {
            rows.sort_by(|a, b| (a.verdict, &a.asset, a.form, a.id).cmp(&(b.verdict, &b.asset, b.form, b.id)));
        }
        ImpactReport { target, models, others, counts, coverage: self.coverage() }
    }

    /// Over what answers of this graph are complete.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        let mut models_total = 0;
        let mut models_unknown_origin = 0;
        for (content, asset, _) in self.versions().filter(|(c, _, _)| self.is_model(c)) {
            models_total += 1;
            let n = self.version_node(content, asset);
            models_unknown_origin += u64::from(n.is_some_and(|n| self.unknown_from[n as usize] != NONE));
        }
        let t = &self.totals;
        Coverage {
            ledger: t.ledger,
            batches: t.batches,
            writers: t.writers.clone(),
            models_total,
            models_unknown_origin,
            unrecorded_count: t.unrecorded_count,
            unrecorded_digest: t.unrecorded_digest,
            unknown_events: t.unknown_events,
            unknown_fields: t.unknown_fields,
            missing_batches: t.gaps,
            equivocations: t.equivocations,
            linked: Vec::new(),
        }
    }

    fn row(&self, content: Content, asset: &str, facts: &NameFacts, n: u32, sweep: &Sweep<'_>) -> ImpactRow {
        let mut row = ImpactRow {
            asset: asset.to_owned(),
            form: content.form,
            id: content.id,
            paths: facts.paths.clone(),
            verdict: Verdict::Unaffected,
            basis: Basis::NotDownstream,
            roles: BTreeSet::new(),
            learned: false,
            partial: facts.partial,
            recorded: facts.recorded,
            witness: None,
        };
        if let Some(reach) = sweep.best(n) {
            row.verdict = reach.verdict();
            row.learned = reach.learned;
            row.basis = match sweep.weakness(n, reach) {
                Some(Weak::Trivial) => Basis::TrivialContent,
                Some(Weak::Named) => Basis::NamedOnly,
                Some(Weak::Selector) => Basis::Selector,
                None => self.basis(n, reach, sweep),
            };
            row.roles = self.roles(n, |n| sweep.best(n).is_some());
            row.witness = self.witness(n, reach, sweep);
            return row;
        }
        let from = self.unknown_from[n as usize];
        if from != NONE {
            row.verdict = Verdict::Unknown;
            row.roles = self.roles(n, |n| self.unknown_from[n as usize] != NONE);
            let own = from == n || self.nodes[from as usize] == GraphNode::Whole(content.id);
            row.basis = match (own, facts.recorded) {
                (true, true) => Basis::NoRecordedRun,
                (true, false) => Basis::Unrecorded,
                (false, _) => Basis::DescendsFromUnknown,
            };
            if !own {
                row.witness = Some(Witness { from: self.show(from), run: None, role: None });
            }
        }
        row
    }

    /// What a certain verdict rests on: the last step that is more than another side of the same content.
    fn basis(&self, n: u32, reach: super::sweep::Reach, sweep: &Sweep<'_>) -> Basis {
        let last = sweep.back(n, reach).find(|e| e.link != Link::Same);
        match last.map(|e| &e.link) {
            Some(Link::Contains) => Basis::Contains,
            Some(_) => Basis::Run,
            None => Basis::Selected,
        }
    }

    /// What the runs that made a node, or a whole it is part of, used the marked inputs for.
    pub(super) fn roles(&self, n: u32, marked: impl Fn(u32) -> bool) -> BTreeSet<Role> {
        let mut roles = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![n];
        while let Some(n) = todo.pop() {
            for edge in self.incoming(n).filter(|e| marked(e.from)) {
                match &edge.link {
                    Link::Input { role, .. } => {
                        roles.insert(role.clone());
                    }
                    Link::Output { .. } | Link::Member | Link::Same => {
                        if seen.insert(edge.from) {
                            todo.push(edge.from);
                        }
                    }
                    Link::Contains | Link::Name => {}
                }
            }
        }
        roles
    }

    fn witness(&self, n: u32, reach: super::sweep::Reach, sweep: &Sweep<'_>) -> Option<Witness> {
        let here = self.show(n);
        let mut run = None;
        for edge in sweep.back(n, reach) {
            let from = self.show(edge.from);
            match &edge.link {
                Link::Output { .. } => run = Some(from),
                Link::Input { role, .. } => {
                    return Some(Witness { from, run, role: Some(role.clone()) });
                }
                _ if from == here
                    || matches!(self.nodes[edge.from as usize], GraphNode::Page(_) | GraphNode::WholePage(_)) => {}
                _ => {
                    return Some(Witness { from, run: None, role: None });
                }
            }
        }
        None
    }
}
