//! Random small histories: the graph's answers against a naive closure over sets, and against themselves.

use std::collections::BTreeSet;

use super::{BIG, Trees, build_with, data, tree};
use crate::ledger::testing::{Writer, file, input, output, recorded, run, seen};
use crate::ledger::{Batch, Ledger, Outcome, RunRecorded, Verdict, covers};
use crate::lineage::*;

/// A small generator, so that every failure names a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

struct History {
    trees: Trees,
    batches: Vec<Batch>,
    runs: Vec<RunRecorded>,
    seen: Vec<(String, Content)>,
}

/// Runs over files and folders with few names and few contents, so that copies and circles happen.
fn random_history(seed: u64) -> (History, Graph) {
    let mut dice = Dice(seed);
    let mut trees = Trees::new();
    let text = |n: u64| format!("content {n}");
    let mut pool: Vec<(String, Content)> = Vec::new();
    let mut runs = Vec::new();
    let mut seen_versions = Vec::new();
    let mut writers = [Writer::new(1), Writer::new(2), Writer::new(3)];
    let mut batches: Vec<Batch> = Vec::new();
    for i in 0..24u8 {
        let kind = dice.roll(4);
        let ext = if dice.roll(2) == 0 { "pt" } else { "csv" };
        let name = format!("a{}.{ext}", dice.roll(9));
        let content = if dice.roll(3) == 0 {
            let count = 1 + dice.roll(3);
            let members: Vec<(String, String)> = (0..count).map(|m| (format!("f{m}"), text(dice.roll(14)))).collect();
            let members: Vec<(&str, &str, u64)> = members.iter().map(|(p, t)| (p.as_str(), t.as_str(), BIG)).collect();
            tree(&mut trees, &members)
        } else {
            file(&text(dice.roll(14)))
        };
        let mut events = vec![seen(&name, content, BIG)];
        seen_versions.push((name.clone(), content));
        if kind > 0 {
            let mut inputs = Vec::new();
            for _ in 0..dice.roll(3) {
                if let Some((asset, from)) = pool.get(dice.roll(pool.len().max(1) as u64) as usize) {
                    inputs.push(input("train", asset, Some(*from)));
                }
            }
            let mut one = run(i, inputs, vec![output(&name, content)]);
            if dice.roll(4) == 0 {
                one.outcome = Outcome::Failed;
            }
            runs.push(one.clone());
            events.push(recorded(one));
        }
        pool.push((name, content));
        let n = dice.roll(3) as usize;
        if let Some(last) = batches.last() {
            writers[n].see(last);
        }
        batches.push(writers[n].write(u64::from(i), events));
    }
    let graph = build_with(&Ledger::new(batches.clone()), &trees, &[]);
    (History { trees, batches, runs, seen: seen_versions }, graph)
}

impl History {
    fn members(&self, content: &Content) -> Vec<(String, Content)> {
        let items = self.trees.get(&content.id).into_iter().flatten();
        items
            .filter_map(|item| match item {
                TreeItem::File { path, id, .. } => Some((path.clone(), Content::file(*id))),
                TreeItem::Page(_) => None,
            })
            .collect()
    }

    /// What is affected, by going over everything until nothing changes. `whole` holds what is tainted as
    /// such, `read` what a reader gets: a folder with a tainted member is read tainted.
    fn closure(&self, mut whole: BTreeSet<Content>) -> BTreeSet<Content> {
        let mut all: BTreeSet<Content> = self.seen.iter().map(|(_, c)| *c).collect();
        loop {
            let before = whole.len();
            for content in all.clone() {
                for (_, member) in self.members(&content) {
                    all.insert(member);
                    if whole.contains(&content) {
                        whole.insert(member);
                    }
                }
            }
            let read = |c: &Content| whole.contains(c) || self.members(c).iter().any(|(_, m)| whole.contains(m));
            let mut more = Vec::new();
            for run in &self.runs {
                let hit = run.inputs.iter().any(|i| i.ver.as_ref().is_some_and(|v| read(&v.content())));
                if hit {
                    more.extend(run.outputs.iter().map(|o| o.ver.content()));
                }
            }
            whole.extend(more);
            if whole.len() == before {
                let read =
                    all.iter().filter(|c| whole.contains(c) || self.members(c).iter().any(|(_, m)| whole.contains(m)));
                return read.copied().collect();
            }
        }
    }

    /// The contents that a name covers, by going over every version.
    fn covered(&self, name: &str) -> BTreeSet<Content> {
        let mut found = BTreeSet::new();
        for (asset, content) in &self.seen {
            if covers(name, asset) {
                found.insert(*content);
            }
            for (path, member) in self.members(content) {
                if covers(name, &format!("{asset}/{path}")) {
                    found.insert(member);
                }
            }
        }
        found
    }
}

#[test]
fn impact_is_the_naive_closure() {
    let mut affected_count = 0;
    for seed in 0..150 {
        let (history, graph) = random_history(seed);
        let mut questions: Vec<(Scope, BTreeSet<Content>)> =
            (0..14).map(|n| (data(&format!("content {n}")), [file(&format!("content {n}"))].into())).collect();
        for n in 0..9 {
            for name in [format!("a{n}.csv"), format!("a{n}.pt"), format!("a{n}.csv/f0")] {
                questions.push((Scope::asset(name.clone()), history.covered(&name)));
            }
        }
        let models: BTreeSet<Content> =
            history.seen.iter().filter(|(name, _)| name.ends_with(".pt")).map(|(_, content)| *content).collect();
        for (scope, start) in questions {
            let expected = history.closure(start);
            let report = graph.impact(std::slice::from_ref(&scope));
            for row in report.models.iter().chain(&report.others) {
                let content = Content { form: row.form, id: row.id };
                assert_eq!(
                    row.verdict == Verdict::Affected,
                    expected.contains(&content),
                    "seed {seed}, {scope:?}, {}",
                    row.asset
                );
                assert_ne!(row.verdict, Verdict::Possible, "nothing here is weak");
                assert!(row.verdict != Verdict::Affected || row.basis == Basis::Selected || row.witness.is_some());
            }
            let rows: BTreeSet<Content> =
                report.models.iter().chain(&report.others).map(|r| Content { form: r.form, id: r.id }).collect();
            for (_, content) in &history.seen {
                assert!(!expected.contains(content) || rows.contains(content), "seed {seed}");
                assert!(!models.contains(content) || rows.contains(content), "seed {seed}");
            }
            affected_count += report.counts.affected;
        }
    }
    assert!(affected_count > 1000, "{affected_count}: the histories are too dull");
}

#[test]
fn no_model_is_unaffected_without_a_recorded_origin() {
    for seed in 0..150 {
        let (history, graph) = random_history(seed);
        let mut made: BTreeSet<Content> = BTreeSet::new();
        for content in history.runs.iter().flat_map(|r| &r.outputs).map(|o| o.ver.content()) {
            made.insert(content);
            made.extend(history.members(&content).into_iter().map(|(_, m)| m));
        }
        let report = graph.impact(&[data("content 0")]);
        for row in &report.models {
            let content = Content { form: row.form, id: row.id };
            if !made.contains(&content) {
                assert_ne!(row.verdict, Verdict::Unaffected, "seed {seed}, {}", row.asset);
            }
        }
    }
}

#[test]
fn answers_do_not_depend_on_the_order_of_arrival() {
    for seed in 0..20 {
        let (history, graph) = random_history(seed);
        let ask = |graph: &Graph| {
            let mut text = String::new();
            for n in 0..14 {
                let report = graph.impact(&[data(&format!("content {n}"))]);
                text += &serde_json::to_string(&report).expect("serialises");
            }
            text
        };
        let expected = ask(&graph);
        let mut dice = Dice(seed);
        let mut batches = history.batches.clone();
        batches.extend(history.batches.iter().take(5).cloned());
        for i in (1..batches.len()).rev() {
            batches.swap(i, dice.roll(i as u64 + 1) as usize);
        }
        let again = build_with(&Ledger::new(batches), &history.trees, &[]);
        assert_eq!(again.nodes, graph.nodes);
        assert_eq!(again.edges, graph.edges);
        assert!(ask(&again) == expected, "seed {seed}");
    }
}

#[test]
fn petgraph_walks_the_same_graph() {
    use petgraph::visit::{Bfs, Dfs, Reversed};
    let graph = random_history(7).1;
    let n = u32::try_from(graph.node_count()).expect("small");
    for start in 0..n {
        let mut dfs = Dfs::new(&graph, start);
        let mut reached = BTreeSet::new();
        while let Some(node) = dfs.next(&graph) {
            reached.insert(node);
        }
        let mut bfs = Bfs::new(Reversed(&graph), start);
        let mut above = BTreeSet::new();
        while let Some(node) = bfs.next(Reversed(&graph)) {
            above.insert(node);
        }
        for end in &reached {
            let mut back = Bfs::new(Reversed(&graph), *end);
            let mut found = false;
            while let Some(node) = back.next(Reversed(&graph)) {
                found |= node == start;
            }
            assert!(found);
        }
        assert!(above.contains(&start));
        assert_eq!(petgraph::visit::IntoNeighbors::neighbors(&graph, start).count(), graph.outgoing(start).len());
    }
}
