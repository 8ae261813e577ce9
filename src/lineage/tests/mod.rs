//! The lineage answers against small histories, and against a naive closure over sets.

mod histories;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::id::{EventId, FileId, PageId, RunId};
use crate::ledger::testing::{Writer, class, file, input, ledger_of, output, recorded, run, seen};
use crate::ledger::{
    AssetKind, Batch, ClassRetracted, Event, FlagKind, Ledger, Level, Outcome, Policy, Role, Verdict, Version,
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
    let name: String = members.iter().map(|(p, c, _)| format!("{p}={c};")).collect();
    let id = Digest::of(name.as_bytes());
    let items = members.iter().map(|(path, text, size_bytes)| TreeItem::File {
        path: (*path).to_owned(),
        id: FileId::of(text.as_bytes()),
        size_bytes: *size_bytes,
    });
    trees.insert(id, items.collect());
    Content { form: crate::ledger::Form::Tree, id }
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
    let first = tree(&mut trees, &[("p1.csv", "patient", BIG), ("p2.csv", "other", BIG)]);
    let second = tree(&mut trees, &[("copied/x.csv", "patient", BIG), ("own.csv", "own", BIG)]);
    let third = tree(&mut trees, &[("own.csv", "own", BIG)]);
    let events = vec![
        seen("data/patients", first, 2 * BIG),
        seen("data/mix", second, 2 * BIG),
        seen("data/clean", third, BIG),
        recorded(run(1, vec![input("train", "data/mix", Some(second))], vec![output("m.pt", file("m"))])),
        recorded(run(2, vec![input("train", "data/clean", Some(third))], vec![output("c.pt", file("c"))])),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    for scope in [
        data("patient"),
        Scope::Asset { asset: "data/patients".into(), path: Some("p1.csv".into()), at: None },
        Scope::Asset { asset: "data/patients".into(), path: None, at: None },
        Scope::Asset { asset: "data/patients".into(), path: None, at: Some(first.id) },
        Scope::asset("data/patients/p1.csv"),
        Scope::Content(first.id),
    ] {
        assert_eq!(verdict(&graph, scope.clone(), "m.pt"), (Verdict::Affected, Basis::Run));
        assert_eq!(verdict(&graph, scope, "c.pt"), (Verdict::Unaffected, Basis::NotDownstream));
    }
    let other = Scope::Asset { asset: "data/patients".into(), path: Some("p2.csv".into()), at: None };
    assert_eq!(verdict(&graph, other, "m.pt").0, Verdict::Unaffected, "only what was copied");
    let mix = graph.impact(&[data("patient")]);
    let others: Vec<_> = mix.others.iter().map(|r| (r.asset.as_str(), r.basis)).collect();
    assert_eq!(others, [("data/mix", Basis::Contains), ("data/patients", Basis::Contains)]);
    assert_eq!(mix.target[0].matched_count, 1);
}

#[test]
fn a_killed_job_and_its_resumption_stay_affected() {
    let mut killed = run(1, vec![input("train", "data", Some(file("data")))], vec![output("ckpt.pt", file("half"))]);
    killed.outcome = Outcome::Killed;
    killed.signal = Some(15);
    killed.outputs[0].partial = true;
    let resumed = run(
        2,
        vec![input("resume", "ckpt.pt", Some(file("half"))), input("train", "more", Some(file("more")))],
        vec![output("final.pt", file("final"))],
    );
    let graph = build(vec![
        seen("data", file("data"), BIG),
        recorded(killed),
        recorded(resumed),
        seen("final.pt", file("final"), BIG),
    ]);
    let report = graph.impact(&[data("data")]);
    let rows: Vec<_> = report.models.iter().map(|r| (r.asset.as_str(), r.verdict, r.partial)).collect();
    assert_eq!(rows, [("ckpt.pt", Verdict::Affected, true), ("final.pt", Verdict::Affected, false)]);
    let last = &report.models[1];
    assert_eq!(last.roles, BTreeSet::from([Role::Resume]));
    let witness = last.witness.as_ref().expect("there is a path");
    assert_eq!(witness.role, Some(Role::Resume));
    assert_eq!(witness.from, graph.show_content(file("half"), None));
    let why = graph.why(&data("data"), &Version::new("final.pt", file("final"))).expect("known");
    let edges: Vec<_> = why.paths[0].steps.iter().map(|s| s.edge.clone()).collect();
    assert!(matches!(edges[2], StepEdge::Output { partial: true }));
    assert!(matches!(&edges[3], StepEdge::Input { role: Role::Resume, .. }));
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
    let known = Unrecorded { ver: Version::new("again.pt", file("fine")), ..plain.clone() };
    let events = vec![
        seen("data", file("data"), BIG),
        seen("pushed.pt", file("pushed"), BIG),
        recorded(run(1, vec![input("base", "pushed.pt", Some(file("pushed")))], vec![output("fine.pt", file("fine"))])),
        recorded(run(2, vec![input("base", "vendor/base", None)], vec![output("named.pt", file("named"))])),
        recorded(run(3, vec![input("train", "data", Some(file("data")))], vec![output("ok.pt", file("ok"))])),
        recorded(run(4, vec![], vec![output("alone.pt", file("alone"))])),
    ];
    let (ledger, _) = ledger_of(events);
    let graph = build_with(&ledger, &Trees::new(), &[plain.clone(), known]);
    let report = graph.impact(&[data("data")]);
    let rows: Vec<_> = report.models.iter().map(|r| (r.asset.as_str(), r.verdict, r.basis, r.recorded)).collect();
    use Verdict::{Affected, Unknown};
    assert_eq!(
        rows,
        [
            ("ok.pt", Affected, Basis::Run, true),
            // A run that does not say what it learned from leaves the origin unknown.
            ("alone.pt", Unknown, Basis::NoRecordedRun, true),
            ("fine.pt", Unknown, Basis::DescendsFromUnknown, true),
            ("named.pt", Unknown, Basis::DescendsFromUnknown, true),
            ("plain.pt", Unknown, Basis::Unrecorded, false),
            ("pushed.pt", Unknown, Basis::NoRecordedRun, true),
        ]
    );
    let c = &report.coverage;
    assert_eq!((c.models_total, c.models_unknown_origin, c.unrecorded_count), (6, 5, 1));
    assert_eq!(c.unrecorded_digest, unrecorded_digest([&plain.ver]));
    assert_eq!(report.counts.unknown, 5);
    // Asked about its own content, a model of unknown origin is affected, and so is what descends from it.
    assert_eq!(verdict(&graph, data("pushed"), "pushed.pt"), (Affected, Basis::Selected));
    assert_eq!(verdict(&graph, data("pushed"), "fine.pt"), (Affected, Basis::Run));
    let why = graph.why(&data("data"), &Version::new("fine.pt", file("fine"))).expect("known");
    assert_eq!((why.verdict, why.paths[0].steps.len()), (Unknown, 3));
}

#[test]
fn an_unrecorded_folder_that_holds_the_content_is_affected() {
    let mut trees = Trees::new();
    let folder = tree(&mut trees, &[("w.pt", "weights", BIG), ("p.csv", "patient", BIG)]);
    let (ledger, _) = ledger_of(vec![seen("patients.csv", file("patient"), BIG)]);
    let found = Unrecorded {
        ver: Version::new("folder", folder),
        path: "folder".into(),
        kind: AssetKind::Model,
        size_bytes: 2 * BIG,
    };
    let graph = build_with(&ledger, &trees, std::slice::from_ref(&found));
    let scope = Scope::asset("patients.csv");
    assert_eq!(verdict(&graph, scope.clone(), "folder"), (Verdict::Affected, Basis::Contains));
    // Without its page there is no answer at all.
    let mut none = |_: PageId| Err("gone".to_owned());
    let error = Graph::build(&ledger, &[found], &mut none).expect_err("the page is missing");
    assert!(matches!(error, Error::MissingPage { .. }));
}

#[test]
fn what_a_run_wrote_taints_its_members_and_their_copies() {
    let mut trees = Trees::new();
    let sharded = tree(&mut trees, &[("a.pt", "shard a", BIG), ("b.pt", "shard b", BIG)]);
    let events = vec![
        seen("d", file("d"), BIG),
        recorded(run(1, vec![input("train", "d", Some(file("d")))], vec![output("big.pt", sharded)])),
        seen("copy.pt", file("shard b"), BIG),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    assert_eq!(verdict(&graph, data("d"), "copy.pt"), (Verdict::Affected, Basis::Run));
    assert_eq!(verdict(&graph, data("d"), "big.pt").0, Verdict::Affected);
    // A copied shard has a recorded origin, since a run wrote the folder it came from.
    assert_eq!(graph.coverage().models_unknown_origin, 0);
    // One shard taints its folder but not its neighbour.
    let graph = build_with(
        &ledger_of(vec![
            recorded(run(1, vec![input("train", "d", Some(file("d")))], vec![output("big.pt", sharded)])),
            seen("copy.pt", file("shard b"), BIG),
        ])
        .0,
        &trees,
        &[],
    );
    assert_eq!(verdict(&graph, data("shard a"), "big.pt").0, Verdict::Affected);
    assert_eq!(verdict(&graph, data("shard a"), "copy.pt").0, Verdict::Unaffected);
}

#[test]
fn trivial_content_only_hints() {
    let events = |size| {
        vec![
            seen("d", file("d"), BIG),
            recorded(run(1, vec![input("train", "d", Some(file("d")))], vec![output("out/mark", file("mark"))])),
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
    assert_eq!(verdict(&small, data("d"), "same.pt"), (Verdict::Affected, Basis::Run));
    assert_eq!(verdict(&small, data("d"), "far.pt"), (Verdict::Possible, Basis::TrivialContent));
    // Said of the content itself, it holds everywhere.
    assert_eq!(verdict(&small, data("mark"), "far.pt").0, Verdict::Affected);
    assert_eq!(verdict(&small, Scope::asset("out/mark"), "far.pt").0, Verdict::Affected);
    assert_eq!(verdict(&small, Scope::asset("out"), "far.pt").0, Verdict::Affected);
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
        recorded(run(n, vec![input("train", from, Some(set))], vec![output(out, file(out))]))
    };
    let events = vec![
        seen("secret", secret, 4),
        job(1, "secret", secret, "s.pt"),
        job(2, "other", other, "o.pt"),
        job(3, "copy", copy, "c.pt"),
        seen("lone", file(""), 0),
        recorded(run(4, vec![input("train", "lone", Some(file("")))], vec![output("l.pt", file("l"))])),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    for scope in [Scope::asset("secret"), Scope::Content(secret.id)] {
        assert_eq!(verdict(&graph, scope.clone(), "s.pt").0, Verdict::Affected);
        assert_eq!(verdict(&graph, scope.clone(), "c.pt").0, Verdict::Affected);
        assert_eq!(verdict(&graph, scope.clone(), "o.pt"), (Verdict::Possible, Basis::TrivialContent));
        assert_eq!(verdict(&graph, scope, "l.pt").0, Verdict::Possible);
    }
    assert_eq!(verdict(&graph, Scope::asset("lone"), "l.pt").0, Verdict::Affected);
    assert_eq!(verdict(&graph, Scope::asset("lone"), "o.pt").0, Verdict::Possible);
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
        recorded(run(1, vec![input("train", "d", Some(file("d")))], vec![output("prep/a.csv", file("a"))])),
        seen("prep", folder, 9),
        recorded(run(2, vec![input("train", "prep", Some(folder))], vec![output("m.pt", file("m"))])),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    assert_eq!(verdict(&graph, data("d"), "m.pt"), (Verdict::Affected, Basis::Run));
    let events = vec![
        seen("d", file("d"), BIG),
        recorded(run(1, vec![input("train", "d", Some(file("d")))], vec![output("prep", folder)])),
        seen("prep/a.csv", file("a"), 9),
        recorded(run(2, vec![input("train", "prep/a.csv", Some(file("a")))], vec![output("m.pt", file("m"))])),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    assert_eq!(verdict(&graph, data("d"), "m.pt").0, Verdict::Affected);
}

#[test]
fn named_inputs_and_selectors_are_possible() {
    let mut trees = Trees::new();
    let set = tree(&mut trees, &[("in/a.csv", "a", BIG), ("out/b.csv", "b", BIG)]);
    let mut part = input("train", "set", Some(set));
    part.selector = Some("in".into());
    let events = vec![
        seen("set", set, 2 * BIG),
        recorded(run(1, vec![part], vec![output("part.pt", file("part"))])),
        recorded(run(2, vec![input("train", "set", None)], vec![output("named.pt", file("named"))])),
        recorded(run(3, vec![input("train", "s3://x/y", None)], vec![output("away.pt", file("away"))])),
    ];
    let graph = build_with(&ledger_of(events).0, &trees, &[]);
    let of = |scope: Scope, asset| verdict(&graph, scope, asset);
    assert_eq!(of(data("a"), "part.pt"), (Verdict::Affected, Basis::Run));
    assert_eq!(of(data("b"), "part.pt"), (Verdict::Possible, Basis::Selector));
    assert_eq!(of(Scope::asset("set"), "part.pt").0, Verdict::Affected);
    assert_eq!(of(data("b"), "named.pt"), (Verdict::Possible, Basis::NamedOnly));
    assert_eq!(of(data("b"), "away.pt").0, Verdict::Unaffected);
    assert_eq!(of(Scope::asset("s3://x/y"), "away.pt"), (Verdict::Possible, Basis::NamedOnly));
    assert_eq!(of(Scope::asset("s3://x"), "away.pt").0, Verdict::Possible);
}

#[test]
fn pages_of_large_trees_are_followed() {
    let mut trees = Trees::new();
    let (page, root) = (Digest([1; 32]), Digest([2; 32]));
    let item = |path: &str| TreeItem::File { path: path.to_owned(), id: FileId::of(path.as_bytes()), size_bytes: BIG };
    trees.insert(page, vec![item("a"), item("b")]);
    trees.insert(root, vec![TreeItem::Page(PageId(page.0)), item("c")]);
    let set = Content { form: crate::ledger::Form::Tree, id: root };
    let events = vec![
        seen("set", set, BIG),
        recorded(run(1, vec![input("train", "set", Some(set))], vec![output("m.pt", file("m"))])),
    ];
    let graph = build_with(&ledger_of(events.clone()).0, &trees, &[]);
    for scope in [data("a"), data("c"), Scope::asset("set/b"), Scope::asset("set")] {
        assert_eq!(verdict(&graph, scope, "m.pt").0, Verdict::Affected);
    }
    let why = graph.why(&data("a"), &Version::new("m.pt", file("m"))).expect("known");
    let shown = serde_json::to_value(&why.paths[0].steps).expect("serialises");
    let edges: Vec<_> = shown.as_array().expect("steps").iter().map(|s| s["edge"].clone()).collect();
    assert_eq!(edges, ["start", "contains", "input", "output"]);
    assert_eq!(shown[0]["node"]["asset"], "set/a");
    // A page that contains itself is refused by depth or never asked for twice; a missing one is an error.
    trees.remove(&page);
    let ledger = ledger_of(events).0;
    let mut lookup = |p: PageId| trees.get(&Digest(p.0)).cloned().ok_or_else(|| "no".to_owned());
    assert!(Graph::build(&ledger, &[], &mut lookup).is_err());
}

#[test]
fn flags_follow_roles_levels_and_retraction() {
    let mut ann = Writer::new(1);
    let job = |n, role: &str, out: &str| {
        recorded(run(n, vec![input(role, "d", Some(file("d")))], vec![output(out, file(out))]))
    };
    let facts = ann.write(
        1,
        vec![
            seen("d", file("d"), BIG),
            job(1, "train", "t.pt"),
            job(2, "eval", "e.pt"),
            recorded(run(3, vec![input("train", "d", None)], vec![output("p.pt", file("p"))])),
            seen("u.pt", file("u"), BIG),
        ],
    );
    let set = ann.write(2, vec![Event::ClassSet(class(Scope::asset("d"), Level::Restricted))]);
    let low = ann.write(3, vec![Event::ClassSet(class(Scope::asset("d"), Level::Confidential))]);
    let flags = |batches: &[&Batch]| {
        let ledger = Ledger::new(batches.iter().map(|b| (*b).clone()));
        let graph = build_with(&ledger, &Trees::new(), &[]);
        let flags = graph.flags(&Policy::builtin());
        flags.into_iter().map(|f| (f.asset, f.flag, f.causes, f.path)).collect::<Vec<_>>()
    };
    let found = flags(&[&facts, &set, &low]);
    let short: Vec<_> = found.iter().map(|(asset, flag, _, _)| (asset.as_str(), *flag)).collect();
    assert_eq!(short, [("e.pt", FlagKind::Review), ("p.pt", FlagKind::Review), ("t.pt", FlagKind::Retrain)]);
    assert_eq!(found[2].2, [set.event_id(0)]);
    assert_eq!(found[2].3[0].edge, StepEdge::Start { event: Some(set.event_id(0)) });
    assert_eq!(found[2].3.len(), 3);
    assert!(flags(&[&facts, &low]).is_empty());
    let back = ClassRetracted { events: vec![set.event_id(0)], reason: "x".into() };
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
    assert_eq!(levels("t.pt", file("t.pt")), (Level::Restricted, Level::Restricted));
    assert_eq!(levels("p.pt", file("p")), (Level::Public, Level::Restricted));
    assert_eq!(levels("u.pt", file("u")), (Level::Public, Level::Public));
}

#[test]
fn questions_about_nothing_are_answered_so() {
    let graph = build(vec![seen("m.pt", file("m"), BIG)]);
    let report = graph.impact(&[Scope::asset("nothing")]);
    assert_eq!(report.target[0].matched_count, 0);
    assert_eq!(report.models[0].verdict, Verdict::Unknown);
    let m = Version::new("m.pt", file("m"));
    assert!(matches!(graph.why(&Scope::asset("x"), &m), Err(Error::NoSuchScope { .. })));
    let other = Version::new("m.pt", file("n"));
    assert!(matches!(graph.why(&data("m"), &other), Err(Error::NoSuchContent { .. })));
    let none = graph.why_class(EventId([0; 32]), &m).expect("m is known");
    assert!(none.paths.is_empty());
    let empty = Graph::build(&Ledger::default(), &[], &mut |_| Err(String::new())).expect("empty");
    assert_eq!((empty.node_count(), empty.edge_count()), (0, 0));
    assert!(empty.impact(&[Scope::asset("x")]).models.is_empty());
}

#[test]
fn runs_recorded_twice_stay_two_nodes() {
    let one = run(1, vec![input("train", "d", Some(file("d")))], vec![output("m.pt", file("m"))]);
    let graph = build(vec![recorded(one.clone()), recorded(one)]);
    let runs = graph.nodes.iter().filter(|n| matches!(n, GraphNode::Run(id, _) if *id == RunId([1; 16])));
    assert_eq!(runs.count(), 2);
}
