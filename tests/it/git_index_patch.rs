//! The index patch, asked of the real git program: after it, `git status` reads no file.

use crate::support::git_env::{World, programs};
use clade::fsio;
use clade::git::{PatchReport, StatPatch, StepAside};
use std::path::Path;

const CONTENT: &[u8] = b"the content of a model";

/// A repository with filtered files, whose clean filter writes a line into a log whenever it is called.
fn world(program: &Path, version: &str, format: &str, settings: &[(&str, &str)]) -> World {
    let world = World::with(program, &[&format!("--object-format={format}")]);
    let log = world.root().join("log");
    world.git(&["config", "filter.t.clean", &format!("echo called >>'{}'; md5sum", log.display())]);
    world.git(&["config", "index.version", version]);
    for (key, value) in settings {
        world.git(&["config", key, value]);
    }
    world.write(".gitattributes", b"*.bin filter=t\n");
    for name in ["a.bin", "dir/b.bin", "dir/b.bin2", "long/long/long/c.bin", "plain"] {
        world.write(name, CONTENT);
    }
    world.commit();
    world.git(&["update-index", "--force-write-index", "--index-version", version]);
    world
}

/// Writes each filtered file anew with the same content, as a hydration does, and dates it back.
fn rewrite(world: &World) -> Vec<StatPatch> {
    let git = world.open();
    let before = git.index_time_s().expect("looks").expect("there");
    let ns = u64::try_from(before - 3).expect("after 1970") * 1_000_000_000;
    ["a.bin", "dir/b.bin", "long/long/long/c.bin"]
        .into_iter()
        .map(|name| {
            let path = world.repo().join(name);
            fsio::write_atomic(&path, CONTENT).expect("writes");
            fsio::set_mtime_ns(&path, ns).expect("dates back");
            let stat = fsio::stat(&path).expect("looks").expect("there");
            StatPatch { path: name.as_bytes().to_vec(), expected: world.oid(&format!("HEAD:{name}")), stat }
        })
        .collect()
}

/// How often the filter is called by `git status`, which must find nothing.
fn calls_of_status(world: &World) -> usize {
    let log = world.root().join("log");
    std::fs::write(&log, b"").expect("empties");
    assert_eq!(world.git(&["status", "--porcelain"]), "");
    std::fs::read_to_string(&log).expect("reads").lines().count()
}

#[test]
fn status_calls_no_filter_after_a_patch() {
    for program in programs() {
        for (version, format, settings) in [
            ("2", "sha1", &[][..]),
            ("3", "sha1", &[("core.untrackedCache", "true")]),
            ("4", "sha1", &[]),
            ("2", "sha256", &[]),
            ("4", "sha256", &[]),
            ("2", "sha1", &[("index.skipHash", "true")]),
        ] {
            let what = format!("{} {version} {format} {settings:?}", program.display());
            let world = world(&program, version, format, settings);
            if version == "3" {
                world.write("intended", b"x");
                world.git(&["add", "-N", "intended"]);
                std::fs::write(world.repo().join(".git/info/exclude"), "intended\n").expect("writes");
                world.git(&["rm", "-q", "--cached", "intended"]);
                world.git(&["update-index", "--skip-worktree", "plain"]);
            }
            let patches = rewrite(&world);
            let index = world.repo().join(".git/index");
            let (old, old_stat) = (std::fs::read(&index).expect("reads"), fsio::stat(&index).expect("looks"));
            let report = world.open().patch_index_stat(&patches).expect("patches");
            assert_eq!(report, PatchReport { patched_count: 3, ..PatchReport::default() }, "{what}");
            let new = std::fs::read(&index).expect("reads");
            let trailer = if format == "sha1" { 20 } else { 32 };
            let differing = old.iter().zip(&new).take(old.len() - trailer).filter(|(a, b)| a != b).count();
            assert!(old.len() == new.len() && differing <= 3 * 28, "{what}: {differing} bytes differ");
            let new_stat = fsio::stat(&index).expect("looks");
            assert_eq!(new_stat.map(|s| (s.mtime_ns, s.mode)), old_stat.map(|s| (s.mtime_ns, s.mode)));
            assert!(!world.repo().join(".git/index.lock").exists());
            assert_eq!(calls_of_status(&world), 0, "{what}");
            world.git(&["fsck", "--strict"]);
            world.git(&["ls-files", "--debug"]);
            // Without the patch the filter is called, so this test can fail.
            rewrite(&world);
            assert_eq!(calls_of_status(&world), 3, "{what}");
        }
    }
}

#[test]
fn a_later_edit_is_still_seen() {
    let world = world(Path::new("git"), "2", "sha1", &[]);
    // Same size, same second as the index: only git's own rule for such files finds it.
    let plain = world.repo().join("plain");
    world.write("plain", &CONTENT.to_ascii_uppercase());
    let patches = rewrite(&world);
    let time = fsio::stat(&world.repo().join(".git/index")).expect("looks").expect("there").mtime_ns;
    fsio::set_mtime_ns(&plain, u64::try_from(time).expect("after 1970")).expect("dates");
    assert_eq!(world.open().patch_index_stat(&patches).expect("patches").patched_count, 3);
    assert_eq!(world.git(&["status", "--porcelain"]), " M plain");
    world.write("a.bin", b"the content of another");
    assert_eq!(world.git(&["status", "--porcelain"]), " M a.bin\n M plain");
}

#[test]
fn what_does_not_match_is_told_and_left() {
    let world = world(Path::new("git"), "2", "sha1", &[]);
    let mut patches = rewrite(&world);
    patches[0].expected = world.oid("HEAD:plain");
    patches[1].path = b"nowhere".to_vec();
    patches[2].stat.mtime_ns += 60_000_000_000;
    let report = world.open().patch_index_stat(&patches).expect("patches");
    assert_eq!((report.patched_count, report.aside), (1, None));
    assert_eq!(report.unmatched, [b"a.bin".to_vec(), b"nowhere".to_vec()]);
    assert_eq!(report.racy, [b"long/long/long/c.bin".to_vec()]);
}

#[test]
fn it_steps_aside_and_changes_nothing() {
    let world = world(Path::new("git"), "2", "sha1", &[]);
    let patches = rewrite(&world);
    let index = world.repo().join(".git/index");
    let aside = |world: &World, index_file: Option<&str>| {
        let mut env = world.environment();
        env.index_file = index_file.map(Into::into);
        let git = clade::git::Git::discover_with(&world.repo(), env).expect("a repository");
        let before = std::fs::read(&index).ok();
        let report = git.patch_index_stat(&patches).expect("no error");
        assert_eq!(std::fs::read(&index).ok(), before);
        assert_eq!(report.patched_count, 0);
        report.aside
    };
    assert_eq!(aside(&world, Some(".git/index.stash.1")), Some(StepAside::OtherIndex));
    std::fs::write(world.repo().join(".git/index.lock"), b"").expect("locks");
    assert_eq!(aside(&world, None), Some(StepAside::LockBusy));
    std::fs::remove_file(world.repo().join(".git/index.lock")).expect("unlocks");
    let good = std::fs::read(&index).expect("reads");
    let mut bad = good.clone();
    bad[40] ^= 1;
    std::fs::write(&index, &bad).expect("damages");
    assert_eq!(aside(&world, None), Some(StepAside::Damaged));
    std::fs::write(&index, &good).expect("mends");
    world.git(&["update-index", "--split-index"]);
    assert_eq!(aside(&world, None), Some(StepAside::SplitIndex));
    std::fs::remove_file(&index).expect("removes");
    assert_eq!(aside(&world, None), Some(StepAside::NoIndex));
    assert!(!world.repo().join(".git/index.lock").exists());
}
