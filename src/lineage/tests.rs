//! The lineage answers against small histories, and against a naive closure over sets.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::id::{EventId, FileId, PageId, RunId};
use crate::ledger::testing::{Writer, class, file, input, ledger_of, output, recorded, run, seen};
use crate::ledger::{
    AssetKind, Batch, ClassRetracted, Event, FlagKind, Ledger, Level, Outcome, Policy, Role,
    RunRecorded, Verdict, Version, covers,
};

const BIG: u64 = 1 << 20;

type Trees = BTreeMap<Digest, Vec<TreeItem>>;

fn build_with(ledger: &Ledger, trees: &Trees, unrecorded: &[Unrecorded]) -> Graph {
    let mut lookup = |page: PageId| {
        let found = trees.get(&Digest(page.0)).cloned();
        found.ok_or_else(|| "not in this test".to_owned())
    };
    Graph::build(ledger, unrecorded, &mut lookup).expect("all pages are there")
}

fn build(events: Vec<Event>) -> Graph {
    build_with(&ledger_of(events).0, &Trees::new(), &[])
}

fn tree(trees: &mut Trees, members: &[(&str, &str, u64)]) -> Content {
    let name: String = members
        .iter()
        .map(|(p, c, _)| format!("{p}={c};"))
        .collect();
    let id = Digest::of(name.as_bytes());
    let items = members
        .iter()
        .map(|(path, text, size_bytes)| TreeItem::File {
            path: (*path).to_owned(),
            id: FileId::of(text.as_bytes()),
            size_bytes: *size_bytes,
        });
    trees.insert(id, items.collect());
    Content {
        form: crate::ledger::Form::Tree,
        id,
    }
}

fn verdict(graph: &Graph, scope: Scope, asset: &str) -> (Verdict, Basis) {
    let report = graph.impact(&[scope]);
    let all = report.models.iter().chain(&report.others);
    let mut rows = all.filter(|r| r.asset == asset);
    let row = rows.next().expect("the asset is in the answer");
    assert!(rows.next().is_none(), "one version each");
    (row.verdict, row.basis)
}

fn data(text: &str) -> Scope {
    Scope::Content(file(text).id)
}

#[test]
fn a_copy_under_another_name_on_another_branch_still_counts() {
    // The file was in one dataset; it was copied into another one elsewhere; the first is gone since.
    let mut trees = Trees::new();
    let first = tree(
        &mut trees,
        &[("p1.csv", "patient", BIG), ("p2.csv", "other", BIG)],
    );
    let second = tree(
        &mut trees,
        &[("copied/x.csv", "patient", BIG), ("own.csv", "own", BIG)],
    );
    let third = tree(&mut trees, &[("own.csv", "own", BIG)]);
    let events = vec![
        seen("data/patients", first, 2 * BIG),
        seen("data/mix", second, 2 * BIG),
        seen("data/clean", third, BIG),
        recorded(run(
            1,
            vec![input("train", "data/mix", Some(second))],
            vec![output("m.pt", file("m"))],
        )),
        recorded(run(
            2,
            vec![input("train", "data/clean", Some(third))],
            vec![output("c.pt", file("c"))],
        )),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    for scope in [
        data("patient"),
        Scope::Asset {
            asset: "data/patients".into(),
            path: Some("p1.csv".into()),
            at: None,
        },
        Scope::Asset {
            asset: "data/patients".into(),
            path: None,
            at: None,
        },
        Scope::Asset {
            asset: "data/patients".into(),
            path: None,
            at: Some(first.id),
        },
        Scope::asset("data/patients/p1.csv"),
        Scope::Content(first.id),
    ] {
        assert_eq!(
            verdict(&graph, scope.clone(), "m.pt"),
            (Verdict::Affected, Basis::Run)
        );
        assert_eq!(
            verdict(&graph, scope, "c.pt"),
            (Verdict::Unaffected, Basis::NotDownstream)
        );
    }
    let other = Scope::Asset {
        asset: "data/patients".into(),
        path: Some("p2.csv".into()),
        at: None,
    };
    assert_eq!(
        verdict(&graph, other, "m.pt").0,
        Verdict::Unaffected,
        "only what was copied"
    );
    let mix = graph.impact(&[data("patient")]);
    let others: Vec<_> = mix
        .others
        .iter()
        .map(|r| (r.asset.as_str(), r.basis))
        .collect();
    assert_eq!(
        others,
        [
            ("data/mix", Basis::Contains),
            ("data/patients", Basis::Contains)
        ]
    );
    assert_eq!(mix.target[0].matched_count, 1);
}

#[test]
fn a_killed_job_and_its_resumption_stay_affected() {
    let mut killed = run(
        1,
        vec![input("train", "data", Some(file("data")))],
        vec![output("ckpt.pt", file("half"))],
    );
    killed.outcome = Outcome::Killed;
    killed.signal = Some(15);
    killed.outputs[0].partial = true;
    let resumed = run(
        2,
        vec![
            input("resume", "ckpt.pt", Some(file("half"))),
            input("train", "more", Some(file("more"))),
        ],
        vec![output("final.pt", file("final"))],
    );
    let graph = build(vec![
        seen("data", file("data"), BIG),
        recorded(killed),
        recorded(resumed),
        seen("final.pt", file("final"), BIG),
    ]);
    let report = graph.impact(&[data("data")]);
    let rows: Vec<_> = report
        .models
        .iter()
        .map(|r| (r.asset.as_str(), r.verdict, r.partial))
        .collect();
    assert_eq!(
        rows,
        [
            ("ckpt.pt", Verdict::Affected, true),
            ("final.pt", Verdict::Affected, false)
        ]
    );
    let last = &report.models[1];
    assert_eq!(last.roles, BTreeSet::from([Role::Resume]));
    let witness = last.witness.as_ref().expect("there is a path");
    assert_eq!(witness.role, Some(Role::Resume));
    assert_eq!(witness.from, graph.show_content(file("half"), None));
    let why = graph
        .why(&data("data"), &Version::new("final.pt", file("final")))
        .expect("known");
    let edges: Vec<_> = why.paths[0].steps.iter().map(|s| s.edge.clone()).collect();
    assert!(matches!(edges[2], StepEdge::Output { partial: true }));
    assert!(matches!(
        &edges[3],
        StepEdge::Input {
            role: Role::Resume,
            ..
        }
    ));
    assert_eq!(edges.len(), 5);
}

#[test]
fn a_model_without_a_recorded_run_is_unknown() {
    let plain = Unrecorded {
        ver: Version::new("plain.pt", file("plain")),
        path: "plain.pt".into(),
        kind: AssetKind::Model,
        size_bytes: BIG,
    };
    let known = Unrecorded {
        ver: Version::new("again.pt", file("fine")),
        ..plain.clone()
    };
    let events = vec![
        seen("data", file("data"), BIG),
        seen("pushed.pt", file("pushed"), BIG),
        recorded(run(
            1,
            vec![input("base", "pushed.pt", Some(file("pushed")))],
            vec![output("fine.pt", file("fine"))],
        )),
        recorded(run(
            2,
            vec![input("base", "vendor/base", None)],
            vec![output("named.pt", file("named"))],
        )),
        recorded(run(
            3,
            vec![input("train", "data", Some(file("data")))],
            vec![output("ok.pt", file("ok"))],
        )),
        recorded(run(4, vec![], vec![output("alone.pt", file("alone"))])),
    ];
    let (ledger, _) = ledger_of(events);
    let graph = build_with(&ledger, &Trees::new(), &[plain.clone(), known]);
    let report = graph.impact(&[data("data")]);
    let rows: Vec<_> = report
        .models
        .iter()
        .map(|r| (r.asset.as_str(), r.verdict, r.basis, r.recorded))
        .collect();
    use Verdict::{Affected, Unaffected, Unknown};
    assert_eq!(
        rows,
        [
            ("ok.pt", Affected, Basis::Run, true),
            ("fine.pt", Unknown, Basis::DescendsFromUnknown, true),
            ("named.pt", Unknown, Basis::DescendsFromUnknown, true),
            ("plain.pt", Unknown, Basis::Unrecorded, false),
            ("pushed.pt", Unknown, Basis::NoRecordedRun, true),
            ("alone.pt", Unaffected, Basis::NotDownstream, true),
        ]
    );
    let c = &report.coverage;
    assert_eq!(
        (c.models_total, c.models_unknown_origin, c.unrecorded_count),
        (6, 4, 1)
    );
    assert_eq!(c.unrecorded_digest, unrecorded_digest([&plain.ver]));
    assert_eq!(report.counts.unknown, 4);
    // Asked about its own content, a model of unknown origin is affected, and so is what descends from it.
    assert_eq!(
        verdict(&graph, data("pushed"), "pushed.pt"),
        (Affected, Basis::Selected)
    );
    assert_eq!(
        verdict(&graph, data("pushed"), "fine.pt"),
        (Affected, Basis::Run)
    );
    let why = graph
        .why(&data("data"), &Version::new("fine.pt", file("fine")))
        .expect("known");
    assert_eq!((why.verdict, why.paths[0].steps.len()), (Unknown, 3));
}

#[test]
fn an_unrecorded_folder_that_holds_the_content_is_affected() {
    let mut trees = Trees::new();
    let folder = tree(
        &mut trees,
        &[("w.pt", "weights", BIG), ("p.csv", "patient", BIG)],
    );
    let (ledger, _) = ledger_of(vec![seen("patients.csv", file("patient"), BIG)]);
    let found = Unrecorded {
        ver: Version::new("folder", folder),
        path: "folder".into(),
        kind: AssetKind::Model,
        size_bytes: 2 * BIG,
    };
    let graph = build_with(&ledger, &trees, std::slice::from_ref(&found));
    let scope = Scope::asset("patients.csv");
    assert_eq!(
        verdict(&graph, scope.clone(), "folder"),
        (Verdict::Affected, Basis::Contains)
    );
    // Without its page there is no answer at all.
    let mut none = |_: PageId| Err("gone".to_owned());
    let error = Graph::build(&ledger, &[found], &mut none).expect_err("the page is missing");
    assert!(matches!(error, Error::MissingPage { .. }));
}

#[test]
fn what_a_run_wrote_taints_its_members_and_their_copies() {
    let mut trees = Trees::new();
    let sharded = tree(
        &mut trees,
        &[("a.pt", "shard a", BIG), ("b.pt", "shard b", BIG)],
    );
    let events = vec![
        seen("d", file("d"), BIG),
        recorded(run(
            1,
            vec![input("train", "d", Some(file("d")))],
            vec![output("big.pt", sharded)],
        )),
        seen("copy.pt", file("shard b"), BIG),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    assert_eq!(
        verdict(&graph, data("d"), "copy.pt"),
        (Verdict::Affected, Basis::Run)
    );
    assert_eq!(verdict(&graph, data("d"), "big.pt").0, Verdict::Affected);
    // A copied shard has a recorded origin, since a run wrote the folder it came from.
    assert_eq!(graph.coverage().models_unknown_origin, 0);
    // One shard taints its folder but not its neighbour.
    let graph = build_with(
        &ledger_of(vec![
            recorded(run(1, vec![], vec![output("big.pt", sharded)])),
            seen("copy.pt", file("shard b"), BIG),
        ])
        .0,
        &trees,
        &[],
    );
    assert_eq!(
        verdict(&graph, data("shard a"), "big.pt").0,
        Verdict::Affected
    );
    assert_eq!(
        verdict(&graph, data("shard a"), "copy.pt").0,
        Verdict::Unaffected
    );
}

#[test]
fn trivial_content_only_hints() {
    let events = |size| {
        vec![
            seen("d", file("d"), BIG),
            recorded(run(
                1,
                vec![input("train", "d", Some(file("d")))],
                vec![output("out/mark", file("mark"))],
            )),
            seen("out/mark", file("mark"), size),
            seen("elsewhere/mark", file("mark"), size),
            recorded(run(
                2,
                vec![input("train", "out/mark", Some(file("mark")))],
                vec![output("same.pt", file("same"))],
            )),
            recorded(run(
                3,
                vec![input("train", "elsewhere/mark", Some(file("mark")))],
                vec![output("far.pt", file("far"))],
            )),
        ]
    };
    let small = build(events(255));
    assert_eq!(
        verdict(&small, data("d"), "same.pt"),
        (Verdict::Affected, Basis::Run)
    );
    assert_eq!(
        verdict(&small, data("d"), "far.pt"),
        (Verdict::Possible, Basis::TrivialContent)
    );
    // Said of the content itself, it holds everywhere.
    assert_eq!(verdict(&small, data("mark"), "far.pt").0, Verdict::Affected);
    assert_eq!(
        verdict(&small, Scope::asset("out/mark"), "far.pt").0,
        Verdict::Affected
    );
    assert_eq!(
        verdict(&small, Scope::asset("out"), "far.pt").0,
        Verdict::Affected
    );
    let large = build(events(256));
    assert_eq!(verdict(&large, data("d"), "far.pt").0, Verdict::Affected);
}

#[test]
fn empty_files_prove_nothing_elsewhere() {
    let mut trees = Trees::new();
    let secret = tree(&mut trees, &[("mark", "", 0), ("tiny.csv", "tiny", 4)]);
    let other = tree(&mut trees, &[("mark", "", 0), ("own.csv", "own", BIG)]);
    let copy = tree(&mut trees, &[("renamed.csv", "tiny", 4)]);
    let job = |n, from: &str, set, out: &str| {
        recorded(run(
            n,
            vec![input("train", from, Some(set))],
            vec![output(out, file(out))],
        ))
    };
    let events = vec![
        seen("secret", secret, 4),
        job(1, "secret", secret, "s.pt"),
        job(2, "other", other, "o.pt"),
        job(3, "copy", copy, "c.pt"),
        seen("lone", file(""), 0),
        recorded(run(
            4,
            vec![input("train", "lone", Some(file("")))],
            vec![output("l.pt", file("l"))],
        )),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    for scope in [Scope::asset("secret"), Scope::Content(secret.id)] {
        assert_eq!(verdict(&graph, scope.clone(), "s.pt").0, Verdict::Affected);
        assert_eq!(verdict(&graph, scope.clone(), "c.pt").0, Verdict::Affected);
        assert_eq!(
            verdict(&graph, scope.clone(), "o.pt"),
            (Verdict::Possible, Basis::TrivialContent)
        );
        assert_eq!(verdict(&graph, scope, "l.pt").0, Verdict::Possible);
    }
    assert_eq!(
        verdict(&graph, Scope::asset("lone"), "l.pt").0,
        Verdict::Affected
    );
    assert_eq!(
        verdict(&graph, Scope::asset("lone"), "o.pt").0,
        Verdict::Possible
    );
}

#[test]
fn long_chains_are_walked_in_linear_time() {
    let mut events = vec![seen("d", file("d"), BIG)];
    let mut from = input("train", "d", Some(file("d")));
    for n in 0..20_000 {
        let content = file(&n.to_string());
        events.push(recorded(run(1, vec![from], vec![output("m.pt", content)])));
        from = input("resume", "m.pt", Some(content));
    }
    let graph = build(events);
    let report = graph.impact(&[data("d")]);
    assert_eq!(report.counts.affected, 20_000);
    let last = Version::new("m.pt", file("19999"));
    let why = graph.why(&data("d"), &last).expect("known");
    assert_eq!(why.paths[0].steps.len(), 40_001);
}

#[test]
fn small_members_of_a_folder_stay_exact_under_their_own_name() {
    let mut trees = Trees::new();
    let folder = tree(&mut trees, &[("a.csv", "a", 9)]);
    let events = vec![
        seen("d", file("d"), BIG),
        recorded(run(
            1,
            vec![input("train", "d", Some(file("d")))],
            vec![output("prep/a.csv", file("a"))],
        )),
        seen("prep", folder, 9),
        recorded(run(
            2,
            vec![input("train", "prep", Some(folder))],
            vec![output("m.pt", file("m"))],
        )),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    assert_eq!(
        verdict(&graph, data("d"), "m.pt"),
        (Verdict::Affected, Basis::Run)
    );
    let events = vec![
        seen("d", file("d"), BIG),
        recorded(run(
            1,
            vec![input("train", "d", Some(file("d")))],
            vec![output("prep", folder)],
        )),
        seen("prep/a.csv", file("a"), 9),
        recorded(run(
            2,
            vec![input("train", "prep/a.csv", Some(file("a")))],
            vec![output("m.pt", file("m"))],
        )),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    assert_eq!(verdict(&graph, data("d"), "m.pt").0, Verdict::Affected);
}

#[test]
fn named_inputs_and_selectors_are_possible() {
    let mut trees = Trees::new();
    let set = tree(
        &mut trees,
        &[("in/a.csv", "a", BIG), ("out/b.csv", "b", BIG)],
    );
    let mut part = input("train", "set", Some(set));
    part.selector = Some("in".into());
    let events = vec![
        seen("set", set, 2 * BIG),
        recorded(run(1, vec![part], vec![output("part.pt", file("part"))])),
        recorded(run(
            2,
            vec![input("train", "set", None)],
            vec![output("named.pt", file("named"))],
        )),
        recorded(run(
            3,
            vec![input("train", "s3://x/y", None)],
            vec![output("away.pt", file("away"))],
        )),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    let of = |scope: Scope, asset| verdict(&graph, scope, asset);
    assert_eq!(of(data("a"), "part.pt"), (Verdict::Affected, Basis::Run));
    assert_eq!(
        of(data("b"), "part.pt"),
        (Verdict::Possible, Basis::Selector)
    );
    assert_eq!(of(Scope::asset("set"), "part.pt").0, Verdict::Affected);
    assert_eq!(
        of(data("b"), "named.pt"),
        (Verdict::Possible, Basis::NamedOnly)
    );
    assert_eq!(of(data("b"), "away.pt").0, Verdict::Unaffected);
    assert_eq!(
        of(Scope::asset("s3://x/y"), "away.pt"),
        (Verdict::Possible, Basis::NamedOnly)
    );
    assert_eq!(of(Scope::asset("s3://x"), "away.pt").0, Verdict::Possible);
}

#[test]
fn pages_of_large_trees_are_followed() {
    let mut trees = Trees::new();
    let (page, root) = (Digest([1; 32]), Digest([2; 32]));
    let item = |path: &str| TreeItem::File {
        path: path.to_owned(),
        id: FileId::of(path.as_bytes()),
        size_bytes: BIG,
    };
    trees.insert(page, vec![item("a"), item("b")]);
    trees.insert(root, vec![TreeItem::Page(PageId(page.0)), item("c")]);
    let set = Content {
        form: crate::ledger::Form::Tree,
        id: root,
    };
    let events = vec![
        seen("set", set, BIG),
        recorded(run(
            1,
            vec![input("train", "set", Some(set))],
            vec![output("m.pt", file("m"))],
        )),
    ];
    let graph = build_with(&ledger_of(events.clone()).0, &trees, &[]);
    for scope in [
        data("a"),
        data("c"),
        Scope::asset("set/b"),
        Scope::asset("set"),
    ] {
        assert_eq!(verdict(&graph, scope, "m.pt").0, Verdict::Affected);
    }
    let why = graph
        .why(&data("a"), &Version::new("m.pt", file("m")))
        .expect("known");
    let shown = serde_json::to_value(&why.paths[0].steps).expect("serialises");
    let edges: Vec<_> = shown
        .as_array()
        .expect("steps")
        .iter()
        .map(|s| s["edge"].clone())
        .collect();
    assert_eq!(edges, ["start", "contains", "input", "output"]);
    assert_eq!(shown[0]["node"]["asset"], "set/a");
    // A page that contains itself is refused by depth or never asked for twice; a missing one is an error.
    trees.remove(&page);
    let ledger = ledger_of(events).0;
    let mut lookup = |p: PageId| {
        trees
            .get(&Digest(p.0))
            .cloned()
            .ok_or_else(|| "no".to_owned())
    };
    assert!(Graph::build(&ledger, &[], &mut lookup).is_err());
}

#[test]
fn flags_follow_roles_levels_and_retraction() {
    let mut ann = Writer::new(1);
    let job = |n, role: &str, out: &str| {
        recorded(run(
            n,
            vec![input(role, "d", Some(file("d")))],
            vec![output(out, file(out))],
        ))
    };
    let facts = ann.write(
        1,
        vec![
            seen("d", file("d"), BIG),
            job(1, "train", "t.pt"),
            job(2, "eval", "e.pt"),
            recorded(run(
                3,
                vec![input("train", "d", None)],
                vec![output("p.pt", file("p"))],
            )),
            seen("u.pt", file("u"), BIG),
        ],
    );
    let set = ann.write(
        2,
        vec![Event::ClassSet(class(Scope::asset("d"), Level::Restricted))],
    );
    let low = ann.write(
        3,
        vec![Event::ClassSet(class(
            Scope::asset("d"),
            Level::Confidential,
        ))],
    );
    let flags = |batches: &[&Batch]| {
        let ledger = Ledger::new(batches.iter().map(|b| (*b).clone()));
        let graph = build_with(&ledger, &Trees::new(), &[]);
        let flags = graph.flags(&Policy::builtin());
        flags
            .into_iter()
            .map(|f| (f.asset, f.flag, f.causes, f.path))
            .collect::<Vec<_>>()
    };
    let found = flags(&[&facts, &set, &low]);
    let short: Vec<_> = found
        .iter()
        .map(|(asset, flag, _, _)| (asset.as_str(), *flag))
        .collect();
    assert_eq!(
        short,
        [
            ("e.pt", FlagKind::Review),
            ("p.pt", FlagKind::Review),
            ("t.pt", FlagKind::Retrain)
        ]
    );
    assert_eq!(found[2].2, [set.event_id(0)]);
    assert_eq!(
        found[2].3[0].edge,
        StepEdge::Start {
            event: Some(set.event_id(0))
        }
    );
    assert_eq!(found[2].3.len(), 3);
    assert!(flags(&[&facts, &low]).is_empty());
    let back = ClassRetracted {
        events: vec![set.event_id(0)],
        reason: "x".into(),
    };
    let back = ann.write(4, vec![Event::ClassRetracted(back)]);
    assert!(flags(&[&facts, &set, &low, &back]).is_empty());
    // Labels: certain and possible apart.
    let ledger = Ledger::new([facts, set]);
    let graph = build_with(&ledger, &Trees::new(), &[]);
    let labels = graph.labels();
    let levels = |asset: &str, content| {
        let (certain, possible) = &labels[&(asset.to_owned(), content)];
        (certain.level, possible.level)
    };
    assert_eq!(
        levels("t.pt", file("t.pt")),
        (Level::Restricted, Level::Restricted)
    );
    assert_eq!(
        levels("p.pt", file("p")),
        (Level::Public, Level::Restricted)
    );
    assert_eq!(levels("u.pt", file("u")), (Level::Public, Level::Public));
}

#[test]
fn questions_about_nothing_are_answered_so() {
    let graph = build(vec![seen("m.pt", file("m"), BIG)]);
    let report = graph.impact(&[Scope::asset("nothing")]);
    assert_eq!(report.target[0].matched_count, 0);
    assert_eq!(report.models[0].verdict, Verdict::Unknown);
    let m = Version::new("m.pt", file("m"));
    assert!(matches!(
        graph.why(&Scope::asset("x"), &m),
        Err(Error::NoSuchScope { .. })
    ));
    let other = Version::new("m.pt", file("n"));
    assert!(matches!(
        graph.why(&data("m"), &other),
        Err(Error::NoSuchContent { .. })
    ));
    let none = graph.why_class(EventId([0; 32]), &m).expect("m is known");
    assert!(none.paths.is_empty());
    let empty = Graph::build(&Ledger::default(), &[], &mut |_| Err(String::new())).expect("empty");
    assert_eq!((empty.node_count(), empty.edge_count()), (0, 0));
    assert!(empty.impact(&[Scope::asset("x")]).models.is_empty());
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
        assert_eq!(
            petgraph::visit::IntoNeighbors::neighbors(&graph, start).count(),
            graph.outgoing(start).len()
        );
    }
}

/// A small generator, so that every failure names a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
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
            let members: Vec<(String, String)> = (0..count)
                .map(|m| (format!("f{m}"), text(dice.roll(14))))
                .collect();
            let members: Vec<(&str, &str, u64)> = members
                .iter()
                .map(|(p, t)| (p.as_str(), t.as_str(), BIG))
                .collect();
            tree(&mut trees, &members)
        } else {
            file(&text(dice.roll(14)))
        };
        let mut events = vec![seen(&name, content, BIG)];
        seen_versions.push((name.clone(), content));
        if kind > 0 {
            let mut inputs = Vec::new();
            for _ in 0..dice.roll(3) {
                if let Some((asset, from)) = pool.get(dice.roll(pool.len().max(1) as u64) as usize)
                {
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
    (
        History {
            trees,
            batches,
            runs,
            seen: seen_versions,
        },
        graph,
    )
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
            let read = |c: &Content| {
                whole.contains(c) || self.members(c).iter().any(|(_, m)| whole.contains(m))
            };
            let mut more = Vec::new();
            for run in &self.runs {
                let hit = run
                    .inputs
                    .iter()
                    .any(|i| i.ver.as_ref().is_some_and(|v| read(&v.content())));
                if hit {
                    more.extend(run.outputs.iter().map(|o| o.ver.content()));
                }
            }
            whole.extend(more);
            if whole.len() == before {
                let read = all.iter().filter(|c| {
                    whole.contains(c) || self.members(c).iter().any(|(_, m)| whole.contains(m))
                });
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
        let mut questions: Vec<(Scope, BTreeSet<Content>)> = (0..14)
            .map(|n| {
                (
                    data(&format!("content {n}")),
                    [file(&format!("content {n}"))].into(),
                )
            })
            .collect();
        for n in 0..9 {
            for name in [
                format!("a{n}.csv"),
                format!("a{n}.pt"),
                format!("a{n}.csv/f0"),
            ] {
                questions.push((Scope::asset(name.clone()), history.covered(&name)));
            }
        }
        let models: BTreeSet<Content> = history
            .seen
            .iter()
            .filter(|(name, _)| name.ends_with(".pt"))
            .map(|(_, content)| *content)
            .collect();
        for (scope, start) in questions {
            let expected = history.closure(start);
            let report = graph.impact(std::slice::from_ref(&scope));
            for row in report.models.iter().chain(&report.others) {
                let content = Content {
                    form: row.form,
                    id: row.id,
                };
                assert_eq!(
                    row.verdict == Verdict::Affected,
                    expected.contains(&content),
                    "seed {seed}, {scope:?}, {}",
                    row.asset
                );
                assert_ne!(row.verdict, Verdict::Possible, "nothing here is weak");
                assert!(
                    row.verdict != Verdict::Affected
                        || row.basis == Basis::Selected
                        || row.witness.is_some()
                );
            }
            let rows: BTreeSet<Content> = report
                .models
                .iter()
                .chain(&report.others)
                .map(|r| Content {
                    form: r.form,
                    id: r.id,
                })
                .collect();
            for (_, content) in &history.seen {
                assert!(
                    !expected.contains(content) || rows.contains(content),
                    "seed {seed}"
                );
                assert!(
                    !models.contains(content) || rows.contains(content),
                    "seed {seed}"
                );
            }
            affected_count += report.counts.affected;
        }
    }
    assert!(
        affected_count > 1000,
        "{affected_count}: the histories are too dull"
    );
}

#[test]
fn no_model_is_unaffected_without_a_recorded_origin() {
    for seed in 0..150 {
        let (history, graph) = random_history(seed);
        let mut made: BTreeSet<Content> = BTreeSet::new();
        for content in history
            .runs
            .iter()
            .flat_map(|r| &r.outputs)
            .map(|o| o.ver.content())
        {
            made.insert(content);
            made.extend(history.members(&content).into_iter().map(|(_, m)| m));
        }
        let report = graph.impact(&[data("content 0")]);
        for row in &report.models {
            let content = Content {
                form: row.form,
                id: row.id,
            };
            if !made.contains(&content) {
                assert_ne!(
                    row.verdict,
                    Verdict::Unaffected,
                    "seed {seed}, {}",
                    row.asset
                );
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
fn runs_recorded_twice_stay_two_nodes() {
    let one = run(
        1,
        vec![input("train", "d", Some(file("d")))],
        vec![output("m.pt", file("m"))],
    );
    let graph = build(vec![recorded(one.clone()), recorded(one)]);
    let runs = graph
        .nodes
        .iter()
        .filter(|n| matches!(n, GraphNode::Run(id, _) if *id == RunId([1; 16])));
    assert_eq!(runs.count(), 2);
}
