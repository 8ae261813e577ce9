//! One fault at a time, at every point of a verb: what was there before is there afterwards, or what should be; the store
//! verifies; the same command, run again, finishes and leaves nothing behind.

use crate::Tier;
use crate::world::{World, files, leftovers, show};
use std::path::Path;

/// Successes in a row after which a verb is taken to have no more points.
const ENOUGH: u32 = 3;
/// No verb has more points than this on inputs of this size.
const MOST: u64 = 5_000;

/// A verb, the state that it starts from, and what its state after a fault may be.
struct Verb {
    args: &'static [&'static str],
    /// The folder, below the world's root, in which it runs.
    dir: &'static str,
    start: fn(u64) -> World,
    /// Looks at the state after a fault, and panics where it is neither that before nor that after.
    between: fn(&World),
    /// Looks at the state after a run that ended well.
    after: fn(&World),
}

const FILES: [&str; 2] = ["more/mixed.bin", "more/table.csv"];

fn staged(world: &World) -> Vec<String> {
    let out = world.must(&world.path("repo"), &["git", "diff", "--cached", "--name-only"]);
    out.lines().map(str::to_owned).collect()
}

const ADD: Verb = Verb {
    args: &["clade", "add", "more"],
    dir: "repo",
    start: World::new,
    between: |world| {
        let staged = staged(world);
        assert!(staged.is_empty() || staged == FILES, "staged is {staged:?}");
    },
    after: |world| {
        assert_eq!(staged(world), FILES);
        let repo = world.path("repo");
        assert!(world.must(&repo, &["git", "show", ":more/mixed.bin"]).starts_with("clade pointer v1"));
        // The bytes come back from the store alone.
        let before = files(&repo);
        world.must(&repo, &["git", "commit", "-qm", "two"]);
        for file in FILES {
            std::fs::remove_file(repo.join(file)).expect("removes");
        }
        world.must(&repo, &["git", "checkout", "-q", "--", "."]);
        assert_eq!(files(&repo), before);
    },
};

fn committed(seed: u64) -> World {
    let world = World::new(seed);
    world.must(&world.path("repo"), &["clade", "add", "more"]);
    world.must(&world.path("repo"), &["git", "commit", "-qm", "two"]);
    world
}

/// Where the remote's git has the branch, its chunks must be there.
fn refs_need_nothing_that_is_missing(world: &World) {
    let origin = world.path("origin.git");
    if !world.run(&origin, &["git", "rev-parse", "-q", "--verify", "refs/heads/main"], None).status.success() {
        return;
    }
    let remote = origin.join("clade-remote");
    let out = world.path("served");
    for name in FILES {
        let version = format!("{name}@main");
        let (remote, out) = (remote.to_str().expect("text"), out.to_str().expect("text"));
        world.must(world.root(), &["clade", "restore", &version, "--from", remote, "--to", out]);
        let name = name.rsplit('/').next().expect("a name");
        let found = std::fs::read(Path::new(out).join(name)).expect("reads");
        let wanted = std::fs::read(world.path("repo/more").join(name)).expect("reads");
        assert!(found == wanted, "{name} came back with other bytes");
    }
    std::fs::remove_dir_all(out).expect("removes");
}

const PUSH: Verb = Verb {
    args: &["clade", "push", "origin", "main"],
    dir: "repo",
    start: committed,
    between: refs_need_nothing_that_is_missing,
    after: |world| {
        world.must(&world.path("origin.git"), &["git", "rev-parse", "-q", "--verify", "refs/heads/main"]);
        refs_need_nothing_that_is_missing(world);
    },
};

fn cloned(seed: u64) -> World {
    let world = committed(seed);
    world.must(&world.path("repo"), &["clade", "push", "origin", "main"]);
    world.must(world.root(), &["git", "clone", "-q", "origin.git", "clone"]);
    let clone = world.path("clone");
    world.must(&clone, &["git", "remote", "set-url", "origin", "../origin.git"]);
    world.must(&clone, &["clade", "init"]);
    world
}

const PULL: Verb = Verb {
    args: &["clade", "pull"],
    dir: "clone",
    start: cloned,
    between: |world| {
        let wanted = files(&world.path("repo"));
        for name in FILES {
            let bytes = std::fs::read(world.path("clone").join(name)).expect("the file or its pointer is there");
            let is_pointer = bytes.starts_with(b"clade pointer v1");
            assert!(is_pointer || blake3::hash(&bytes) == wanted[name], "{name} has other bytes");
        }
        let status = world.must(&world.path("clone"), &["git", "status", "--porcelain", "--untracked-files=no"]);
        assert_eq!(status, "");
    },
    after: |world| assert_eq!(files(&world.path("clone")), files(&world.path("repo"))),
};

/// Lets `verb` meet a fault of this kind at one point after the other, until it has no more points.
fn at_every_point(verb: &Verb, kind: &str) {
    let tier = Tier::of_this_run();
    for seed in tier.seeds() {
        let start = (verb.start)(seed);
        let (mut n, mut successes, mut hits) = (1, 0, 0);
        while successes < ENOUGH {
            assert!(n < MOST, "{:?} does not end", verb.args);
            let world = start.copy();
            let fault = format!("{kind}:{n}");
            if one(verb, &world, &fault) {
                successes += 1;
            } else {
                (successes, hits) = (0, hits + 1);
            }
            n = if successes > 0 { n + 1 } else { tier.next(n) };
        }
        // A verb may get over one failure by itself.
        assert!(hits >= 5 || kind == "once", "{:?} met only {hits} faults of kind {kind}", verb.args);
    }
}

/// One fault. Returns whether the verb ended well in spite of it.
fn one(verb: &Verb, world: &World, fault: &str) -> bool {
    let dir = world.path(verb.dir);
    let plain = files(&world.path("repo"));
    let out = world.run(&dir, verb.args, Some(fault));
    let said = format!("{:?} with {fault}: {}", verb.args, show(&out));
    let code = out.status.code();
    if !fault.starts_with("crash") {
        assert!(matches!(code, Some(0 | 6 | 74)), "a wrong exit code, or a crash: {said}");
        assert!(!String::from_utf8_lossy(&out.stderr).contains("panicked"), "{said}");
    }
    assert_eq!(files(&world.path("repo")), plain, "the working tree changed: {said}");
    (verb.between)(world);
    let verify = world.run(&dir, &["clade", "verify"], None);
    // Before a pull there is nothing to verify yet: what is missing is no damage there.
    let missing_is_right = verb.dir == "clone" && code != Some(0);
    assert!(verify.status.success() || missing_is_right, "the store is damaged: {said}\n{}", show(&verify));
    let again = world.run(&dir, verb.args, None);
    assert!(again.status.success(), "run again, it fails: {said}\n{}", show(&again));
    (verb.after)(world);
    let verify = world.run(&dir, &["clade", "verify"], None);
    assert!(verify.status.success(), "the store is damaged in the end: {said}\n{}", show(&verify));
    let left = leftovers(&dir);
    assert!(left.is_empty(), "left behind: {left:?}: {said}");
    code == Some(0)
}

#[test]
fn add_survives_a_crash_at_every_point() {
    at_every_point(&ADD, "crash");
}

#[test]
fn add_survives_a_full_disk_at_every_point() {
    at_every_point(&ADD, "full");
}

#[test]
fn add_survives_one_failure_at_every_point() {
    at_every_point(&ADD, "once");
}

#[test]
fn push_survives_a_crash_at_every_point() {
    at_every_point(&PUSH, "crash");
}

#[test]
fn push_survives_a_full_disk_at_every_point() {
    at_every_point(&PUSH, "full");
}

#[test]
fn push_survives_one_failure_at_every_point() {
    at_every_point(&PUSH, "once");
}

#[test]
fn pull_survives_a_crash_at_every_point() {
    at_every_point(&PULL, "crash");
}

#[test]
fn pull_survives_a_full_disk_at_every_point() {
    at_every_point(&PULL, "full");
}

#[test]
fn pull_survives_one_failure_at_every_point() {
    at_every_point(&PULL, "once");
}
