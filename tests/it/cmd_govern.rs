//! Runs, classifications, questions and environments, through the program.

use crate::support::world::{Clone, World, all_bytes, kill, long, wait_for, wait_until};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const ATTRIBUTES: &str = "\
data/** clade-asset=data clade-kind=dataset
other/** clade-asset=other clade-kind=dataset
clean/** clade-asset=clean clade-kind=dataset
*.pt clade-kind=model
";

/// Names with a verdict: (verdict, asset).
fn verdicts(report: &Value) -> BTreeSet<(String, String)> {
    let text = |v: &Value| v.as_str().expect("a text").to_owned();
    let rows = report["models"].as_array().expect("rows");
    rows.iter().map(|r| (text(&r["verdict"]), text(&r["asset"]))).collect()
}

fn set(rows: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    rows.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

/// A run that writes `text` to `out`.
#[track_caller]
fn train(repo: &Clone<'_>, input: &str, out: &str, text: &str) {
    let script = format!("printf '%s' '{}' > {out}", long(text));
    repo.clade(&["run", "--in", input, "--out", out, "--", "sh", "-c", &script]).ok();
}

#[test]
fn lineage_follows_content_across_names_branches_and_deletion() {
    let world = World::new();
    let repo = world.repo("r", ATTRIBUTES);
    repo.write("data/p1.csv", &long("p1"));
    repo.write("data/p2.csv", &long("p2"));
    repo.write("plain.pt", &long("plain"));
    repo.commit("data");
    train(&repo, "data", "m1.pt", "m1");
    train(&repo, "data/p2.csv", "m3.pt", "m3");
    repo.commit("models");
    repo.git(&["checkout", "-q", "-b", "side", "HEAD~1"]).ok();
    repo.write("other/renamed.csv", &long("p1"));
    repo.write("other/more.csv", &long("more"));
    fs::remove_file(repo.dir.join("data/p1.csv")).expect("removed");
    repo.commit("copied and removed");
    train(&repo, "other", "m2.pt", "m2");
    repo.commit("model of the copy");
    let planted =
        set(&[("affected", "m1.pt"), ("affected", "m2.pt"), ("unknown", "plain.pt"), ("unaffected", "m3.pt")]);
    for target in [&["data:p1.csv"][..], &["data/p1.csv"], &["--file", "other/renamed.csv"]] {
        let out = repo.clade(&[&["--json", "impact", "--exit-code"], target].concat()).exits(1);
        assert_eq!(verdicts(&out.json()), planted, "{target:?}");
    }
    let human = repo.clade(&["impact", "data:p1.csv"]).ok();
    let human = human.says("Models affected (2)").says("Models unknown (1)").says("Coverage: ledger");
    assert!(human.stdout.lines().all(|l| l.chars().count() <= 80), "{}", human.stdout);
    repo.clade(&["why", "m2.pt", "data/p1.csv"]).ok().says("affected").says("read as train");
    let count = repo.clade(&["--json", "impact", "--count", "data:p1.csv"]).ok().json();
    assert_eq!((&count["counts"]["affected"], &count["counts"]["unknown"]), (&2.into(), &1.into()));
    repo.clade(&["impact", "dta"]).exits(3).says("data");
    repo.write("nobody.csv", &long("nobody"));
    repo.clade(&["impact", "--file", "nobody.csv"]).exits(3);
}

#[test]
fn a_killed_run_leaves_a_partial_checkpoint_that_its_successor_resumes() {
    let world = World::new();
    let repo = world.repo("r", ATTRIBUTES);
    repo.write("data/a.csv", &long("a"));
    repo.write("clean/b.csv", &long("b"));
    repo.commit("data");
    for (signal, code, own) in [("-TERM", Some(143), true), ("-KILL", None, false)] {
        let name = format!("m{signal}.pt");
        let script = format!("printf '%s' '{}' > ./{name}; echo $$ > pid; mv pid ready; exec sleep 60", long(signal));
        let mut child = repo.start(&["run", "--in", "data", "--out", &name, "--", "sh", "-c", &script]);
        let ready = repo.dir.join("ready");
        wait_for(&ready);
        let command: u32 = fs::read_to_string(&ready).expect("read").trim().parse().expect("a number");
        // clade notes whom it started right after it did; a kill before that is another story.
        let runs = repo.dir.join(".git/clade/runs");
        wait_until(|| journals(&runs).iter().any(|text| text.contains(&command.to_string())));
        kill(signal, child.id());
        let status = child.wait().expect("ends");
        assert_eq!(status.code(), code);
        if !own {
            // The command outlives its clade: only then the run is over.
            repo.clade(&["impact", "clean"]).ok();
            assert_eq!(
                fs::read_dir(repo.dir.join(".git/clade/runs"))
                    .expect("a folder")
                    .filter(|e| { e.as_ref().expect("an entry").path().extension().is_some_and(|x| x == "json") })
                    .count(),
                1
            );
            kill(signal, command);
        }
        fs::remove_file(&ready).expect("removed");
        if !own {
            // Until the system has told everybody that it ended.
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        repo.clade(&["promote", &name, "--to", "prod"]).exits(4).says("did not finish");
        let script = format!("printf '%s' '{}' >> ./{name}", long("rest"));
        repo.clade(&["run", "--in", "clean", "--out", &name, "--", "sh", "-c", &script]).ok();
        let report = repo.clade(&["--json", "impact", "data"]).ok().json();
        let rows = report["models"].as_array().expect("rows");
        let of: Vec<_> = rows.iter().filter(|r| r["asset"] == *name).collect();
        assert_eq!(of.len(), 2, "{report}");
        assert!(of.iter().all(|r| r["verdict"] == "affected"), "{report}");
        assert_eq!(of.iter().filter(|r| r["partial"] == true).count(), 1);
    }
}

#[test]
fn a_run_exits_as_its_command_and_checks_its_outputs() {
    let world = World::new();
    let repo = world.repo("r", ATTRIBUTES);
    repo.write("data/a.csv", &long("a"));
    repo.commit("data");
    let failed =
        repo.clade(&["--json", "run", "--in", "data", "--out", "x.pt", "--", "sh", "-c", "echo 1 > x.pt; exit 7"]);
    let failed = failed.exits(7).json();
    assert_eq!((&failed["outcome"], &failed["exit"]), (&"failed".into(), &7.into()));
    assert_eq!(failed["outputs"][0]["partial"], true);
    let signal = repo.clade(&["run", "--in", "data", "--", "sh", "-c", "kill -9 $$"]).exits(137);
    assert!(signal.stderr.contains("signal 9"), "{}", signal.stderr);
    repo.clade(&["run", "--in", "data", "--out", "y.pt", "--", "true"]).exits(3).says("did not write y.pt");
    repo.clade(&["run", "--in", "absent.csv", "--out", "y.pt", "--", "touch", "ran"]).exits(3);
    assert!(!repo.dir.join("ran").exists(), "an unknown input stops the run before it starts");
    repo.clade(&["run", "--in", "data", "--out", "y.pt", "--", "no-such-program-here"]).exits(3);
    repo.clade(&["run", "--out", "z.pt", "--", "sh", "-c", "echo weights > z.pt"]).ok().says("origin stays unknown");
    let report = repo.clade(&["--json", "impact", "data"]).ok().json();
    assert!(verdicts(&report).contains(&("unknown".to_owned(), "z.pt".to_owned())), "{report}");
    // Written again with equal bytes is written.
    repo.clade(&["run", "--in", "data", "--out", "z.pt", "--", "sh", "-c", "echo weights > z.pt"]).ok();
}

#[test]
fn a_pipeline_runs_its_steps_in_order() {
    let world = World::new();
    let repo = world.repo("r", ATTRIBUTES);
    repo.write("data/a.csv", &long("a"));
    repo.write("train.py", "code");
    repo.write(
        "pipelines/train.toml",
        "version = 1\n\
         [step.atrain]\ncmd = ['sh', '-c', 'cat clean/c.csv clean/c.csv > m.pt']\nin = { train = ['clean'] }\n\
         out = ['m.pt']\ncode = ['*.py']\nparams = { lr = 0.1 }\n\
         [step.clean]\ncmd = ['sh', '-c', 'mkdir -p clean; sed s/a/c/ data/a.csv > clean/c.csv']\n\
         in = { train = 'data' }\nout = ['clean']\n",
    );
    repo.commit("pipeline");
    let out = repo.clade(&["--json", "run", "-f", "pipelines/train.toml"]).ok().json();
    let steps: Vec<_> = out["steps"].as_array().expect("steps").iter().map(|s| s["step"].clone()).collect();
    assert_eq!(steps, ["clean", "atrain"]);
    let report = repo.clade(&["--json", "impact", "data"]).ok().json();
    assert_eq!(verdicts(&report), set(&[("affected", "m.pt")]));
    repo.clade(&["run", "-f", "pipelines/train.toml", "--step", "nope"]).exits(3).says("clean");
    repo.write("pipelines/bad.toml", "version = 1\n[step.a]\ncmd = ['x']\nouts = []\n");
    repo.clade(&["run", "-f", "pipelines/bad.toml"]).exits(3).says("outs").says("line 4");
}

/// Two clones that recorded offline, united in one order or the other.
#[test]
fn clones_that_recorded_offline_converge() {
    let world = World::new();
    let bare = world.bare("hub.git");
    let first = world.repo("first", ATTRIBUTES);
    first.write("data/a.csv", &long("a"));
    first.write("clean/b.csv", &long("b"));
    first.commit("data");
    first.git(&["push", "-q", &bare.display().to_string(), "main"]).ok();
    for name in ["ann", "bob"] {
        let repo = world.clone_of(&bare, name);
        repo.clade(&["impact", "data"]).exits(3).says("never fetched");
        repo.clade(&["env", "list"]).ok();
        repo.git(&["remote", "set-url", "origin", "/nowhere/at/all"]).ok();
    }
    let (ann, bob) = (world.at("ann"), world.at("bob"));
    train(&ann, "data", "ann.pt", "ann");
    ann.clade(&["class", "set", "data", "--level", "restricted", "--reason", "consent withdrawn"])
        .ok()
        .says("recorded here only");
    train(&bob, "clean", "bob.pt", "bob");
    train(&bob, "data", "both.pt", "both");
    bob.clade(&["class", "set", "clean:b.csv", "--tag", "personal-data"]).ok().says("recorded here only");
    let mut answers = BTreeSet::new();
    for (order, names) in [("one", ["ann", "bob"]), ("two", ["bob", "ann"])] {
        for name in ["hub.git", "ann", "bob"] {
            let (from, to) = (world.path(name), world.path(&format!("{order}-{name}")));
            world.run(&world.path(""), "cp", &["-r", &from.display().to_string(), &to.display().to_string()]).ok();
        }
        let hub = world.path(&format!("{order}-hub.git")).display().to_string();
        let clones = names.map(|n| world.at(&format!("{order}-{n}")));
        for round in 0..2 {
            for repo in &clones {
                repo.git(&["remote", "set-url", "origin", &hub]).ok();
                // Each tells the others by what it does anyway; the second round only listens.
                repo.git(&["fetch", "-q", "origin", "+refs/clade/ledger*:refs/clade/remotes/origin/ledger*"]).ok();
                repo.clade(&["impact", "data"]).ok();
                if round == 0 {
                    repo.git(&["push", "-q", "origin", "refs/clade/ledger"]).ok();
                }
            }
        }
        for repo in &clones {
            answers.insert(repo.clade(&["--json", "impact", "data"]).ok().stdout);
        }
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    let answer: Value = serde_json::from_str(answers.first().expect("one")).expect("JSON");
    let found = set(&[("affected", "ann.pt"), ("affected", "both.pt"), ("unaffected", "bob.pt")]);
    assert_eq!(verdicts(&answer), found);
}

#[test]
fn a_flagged_version_is_refused_and_production_rolls_back() {
    let world = World::new();
    let bare = world.bare("hub.git");
    let repo = world.repo("r", ATTRIBUTES);
    repo.git(&["remote", "add", "origin", &bare.display().to_string()]).ok();
    repo.write("data/a.csv", &long("a"));
    repo.write("clean/b.csv", &long("b"));
    repo.commit("data");
    repo.git(&["push", "-q", "origin", "main"]).ok();
    train(&repo, "clean", "m.pt", "one");
    repo.commit("v1");
    repo.clade(&["promote", "m.pt@HEAD", "--to", "prod"]).ok().says("prod: m.pt@b3:");
    train(&repo, "data", "m.pt", "two");
    repo.commit("v2");
    let two = repo.clade(&["--json", "promote", "m.pt@HEAD", "--to", "prod"]).ok().json();
    repo.clade(&["promote", "m.pt@HEAD", "--to", "prod"]).ok().says("has this already");
    repo.clade(&["promote", "m.pt@prod", "--to", "canary"]).ok();
    repo.clade(&["flag", "list", "--exit-code"]).ok().says("no flags");
    let set = repo.clade(&["--json", "class", "set", "data", "--level", "restricted", "--reason", "no consent"]);
    assert_eq!(set.ok().json()["sent"]["state"], "sent");
    repo.clade(&["flag", "list", "--exit-code"]).exits(1).says("retrain").says("in canary, prod");
    let before = repo.git(&["rev-parse", "refs/clade/ledger"]).ok().stdout;
    let refused = repo.clade(&["promote", "m.pt@HEAD", "--to", "staging"]).exits(4);
    refused.says("no consent").says("path: ").says("clade why m.pt@b3:");
    assert_eq!(repo.git(&["rev-parse", "refs/clade/ledger"]).ok().stdout, before, "a refusal records nothing");
    let forced = ["promote", "m.pt@HEAD", "--to", "staging", "--override", "court order 7"];
    repo.clade(&forced).ok().says("court order 7");
    repo.clade(&["env", "history", "staging"]).ok().says("court order 7").says("flagged.retrain");
    let back = repo.clade(&["--json", "rollback", "m.pt", "--env", "prod"]).ok().json();
    assert_eq!((&back["moves"][0]["from"], &back["cause"]), (&two["moves"][0]["to"], &"rollback".into()));
    repo.clade(&["rollback", "m.pt", "--env", "prod"]).exits(3).says("--to X");
    let shown = repo.clade(&["--json", "env", "show", "prod"]).ok().json();
    assert_eq!(shown["assets"][0]["version"], back["moves"][0]["to"]);
    repo.clade(&["env", "show", "prod", "--at", "2001-01-01"]).ok().says("had nothing");
    repo.clade(&["env", "show", "nope"]).exits(3).says("prod");
    // What the remote does not take is recorded nowhere.
    repo.git(&["remote", "set-url", "origin", "/nowhere/at/all"]).ok();
    let before = repo.git(&["rev-parse", "refs/clade/ledger"]).ok().stdout;
    repo.clade(&["promote", "m.pt@HEAD~1", "--to", "other"]).exits(6);
    assert_eq!(repo.git(&["rev-parse", "refs/clade/ledger"]).ok().stdout, before);
    repo.clade(&["env", "show", "prod"]).ok().says("last fetched");
    // Retracting clears the flag.
    let log = repo.clade(&["--json", "class", "log"]).ok().json();
    let event = log["classes"][0]["event"].as_str().expect("an id")[..12].to_owned();
    repo.clade(&["class", "retract", &event, "--reason", "mistake"]).ok().says("recorded here only");
    repo.clade(&["flag", "list", "--exit-code"]).ok();
    repo.clade(&["class", "log"]).ok().says("retracted").says("mistake");
    repo.clade(&["class", "retract", &event, "--reason", "again"]).exits(3);
}

#[test]
fn a_token_is_found_nowhere() {
    const TOKEN: &str = "Zq81vT0kenXw93mPq7Ls52";
    let mut world = World::new();
    world.set_env("SERVICE_TOKEN", TOKEN);
    let repo = world.repo("r", ATTRIBUTES);
    repo.write("data/a.csv", &long("a"));
    repo.commit("data");
    let url = format!("https://user:{TOKEN}@example.org/x");
    let script = format!("ls .git/clade/runs; cat .git/clade/runs/*.json; printf '%s' '{}' > m.pt", long("m"));
    let param = format!("note={TOKEN}");
    let ran = ["--json", "run", "--in", "data", "--out", "m.pt", "--param", &param, "--", "sh", "-c", &script, "x"];
    let run = repo.clade(&[&ran[..], &["--token", TOKEN, &url]].concat()).ok();
    let reason = format!("found with {TOKEN}");
    let class = repo.clade(&["--json", "class", "set", "data", "--level", "restricted", "--reason", &reason]).ok();
    let forced = ["--json", "promote", "m.pt", "--to", "prod", "--override", &reason];
    let promoted = repo.clade(&forced).ok();
    let log = repo.clade(&["--json", "class", "log"]).ok();
    let history = repo.clade(&["env", "history", "prod"]).ok();
    for out in [run, class, promoted, log, history] {
        assert!(!out.stdout.contains(TOKEN) && !out.stderr.contains(TOKEN), "{}\n{}", out.stdout, out.stderr);
    }
    let objects = repo.git(&["cat-file", "--batch-all-objects", "--batch"]).ok();
    assert!(objects.stdout.contains("run.recorded") && objects.stdout.contains("[redacted]"));
    assert!(!objects.stdout.contains(TOKEN));
    for (path, bytes) in all_bytes(&repo.dir.join(".git")) {
        assert!(!bytes.windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes()), "{}", path.display());
    }
}

/// The texts of the journals of runs that are not closed.
fn journals(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|e| fs::read_to_string(e.path()).ok()).collect()
}
