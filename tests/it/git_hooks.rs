//! Hooks, run by the real git program and its shell.

use crate::support::git_env::{World, programs};
use clade::git::hooks::{Hook, HookChange, HookRemoval, HooksOutcome, push_marker};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn put(path: &Path, text: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
    std::fs::write(path, text).expect("writes");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("sets the mode");
}

fn hook(world: &World, name: &str) -> PathBuf {
    world.repo().join(".git/hooks").join(name)
}

/// A program `clade` that writes what it is given into `clade.log` and ends with the status in `clade.status`.
fn stub(world: &World) {
    let root = world.root().display();
    let script = format!(
        "#!/bin/sh\necho \"args $*\" >>'{root}/clade.log'\n[ \"$2\" = post-index-change ] || cat >>'{root}/clade.in'\n\
         exit $(cat '{root}/clade.status' 2>/dev/null || echo 0)\n"
    );
    put(&world.root().join("bin/clade"), &script, 0o755);
}

/// Runs git with the stub on the path, or without any clade.
fn git(world: &World, args: &[&str], with_clade: bool) -> std::process::Output {
    let path = std::env::var("PATH").expect("a path");
    let clean: Vec<&str> = path.split(':').filter(|d| !Path::new(d).join("clade").exists()).collect();
    let own = world.root().join("bin").display().to_string();
    let path = if with_clade { format!("{own}:{}", clean.join(":")) } else { clean.join(":") };
    world.command("git").args(args).env("PATH", path).output().expect("git starts")
}

fn text(world: &World, name: &str) -> String {
    std::fs::read_to_string(world.root().join(name)).unwrap_or_default()
}

fn done(outcome: HooksOutcome) -> Vec<(Hook, HookChange)> {
    match outcome {
        HooksOutcome::Done(all) => all,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_there_runs_first_and_comes_back() {
    let world = World::new();
    world.commit();
    stub(&world);
    world.git(&["init", "-q", "--bare", "../r.git"]);
    world.git(&["remote", "add", "o", "../r.git"]);
    let root = world.root().display().to_string();
    let theirs = format!("#!/bin/sh\n# mine\necho before \"$@\" >>'{root}/clade.log'\ncat >'{root}/before.in'\n");
    put(&hook(&world, "pre-push"), &theirs, 0o750);
    let lib = world.open();
    let wanted = [Hook::PrePush, Hook::PostIndexChange];
    let first = done(lib.install_hooks(&wanted).expect("installs"));
    assert_eq!(first, [(Hook::PrePush, HookChange::Chained), (Hook::PostIndexChange, HookChange::Created)]);
    let again = done(lib.install_hooks(&wanted).expect("installs"));
    assert!(again.iter().all(|(_, c)| *c == HookChange::Unchanged), "{again:?}");

    assert!(git(&world, &["push", "-q", "o", "main"], true).status.success());
    let log = text(&world, "clade.log");
    let (before, ours) = (log.find("before o ../r.git").expect("ran"), log.find("args hook pre-push").expect("ran"));
    assert!(before < ours, "{log}");
    assert!(log.contains("-- o ../r.git") && !log.contains("--git-pid= "), "{log}");
    assert!(text(&world, "before.in").starts_with("refs/heads/main "));
    assert_eq!(text(&world, "before.in"), text(&world, "clade.in"), "both get the whole input");

    // An older script of ours is replaced; the one from before stays.
    put(&hook(&world, "pre-push"), "#!/bin/sh\n# clade hook 0 pre-push\nexit 9\n", 0o755);
    let updated = done(lib.install_hooks(&wanted[..1]).expect("installs"));
    assert_eq!(updated, [(Hook::PrePush, HookChange::Updated)]);
    let mut removed = lib.uninstall_hooks().expect("removes");
    removed.sort_by_key(|(hook, _)| *hook);
    assert_eq!(removed, [(Hook::PostIndexChange, HookRemoval::Removed), (Hook::PrePush, HookRemoval::Restored)]);
    assert_eq!(std::fs::read_to_string(hook(&world, "pre-push")).expect("reads"), theirs);
    let mode = std::fs::metadata(hook(&world, "pre-push")).expect("looks").permissions().mode();
    assert_eq!(mode & 0o777, 0o750);
    assert!(!hook(&world, "pre-push.before-clade").exists() && !hook(&world, "post-index-change").exists());
    assert!(lib.uninstall_hooks().expect("nothing to do").is_empty());
}

#[test]
fn refusals_stop_a_push_and_nothing_else() {
    let world = World::new();
    world.commit();
    stub(&world);
    world.git(&["init", "-q", "--bare", "../r.git"]);
    put(&hook(&world, "post-checkout"), "#!/bin/sh\nexit 3\n", 0o755);
    let lib = world.open();
    done(lib.install_hooks(&[Hook::PrePush, Hook::PostCheckout]).expect("installs"));
    std::fs::write(world.root().join("clade.status"), "1").expect("writes");
    assert!(!git(&world, &["push", "-q", "../r.git", "main"], true).status.success(), "clade refuses");
    std::fs::remove_file(world.root().join("clade.status")).expect("removes");
    let without = git(&world, &["push", "-q", "../r.git", "main"], false);
    let stderr = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!without.status.success() && stderr.contains("install it"), "{stderr}");
    put(&hook(&world, "pre-push.before-clade"), "#!/bin/sh\nexit 5\n", 0o755);
    std::fs::remove_file(world.root().join("clade.log")).expect("removes");
    assert!(!git(&world, &["push", "-q", "../r.git", "main"], true).status.success(), "theirs refuses");
    assert_eq!(text(&world, "clade.log"), "", "clade is not asked any more");
    // After a checkout nothing can be stopped: both run, and git reports the fault as it did before.
    let out = git(&world, &["checkout", "-q", "-b", "x"], true);
    assert!(!out.status.success());
    assert!(text(&world, "clade.log").contains("hook post-checkout"));
    std::fs::remove_file(hook(&world, "post-checkout.before-clade")).expect("removes");
    assert!(git(&world, &["checkout", "-q", "main"], false).status.success(), "no clade, no harm");
}

#[test]
fn ref_changes_start_clade_only_during_a_push() {
    let world = World::new();
    world.commit();
    stub(&world);
    let theirs = format!(
        "#!/bin/sh\ncat >>'{}/before.in'\n[ \"$1\" != prepared ] || ! grep -q forbidden '{}/before.in'\n",
        world.root().display(),
        world.root().display()
    );
    put(&hook(&world, "reference-transaction"), &theirs, 0o755);
    let lib = world.open();
    done(lib.install_hooks(&[Hook::ReferenceTransaction]).expect("installs"));
    assert!(git(&world, &["branch", "quiet"], true).status.success());
    assert_eq!(text(&world, "clade.log"), "");
    assert!(text(&world, "before.in").contains("refs/heads/quiet"));
    // The shell that git runs the alias in leaves word under its parent's number, which is not git's own; so ask git.
    let marker = push_marker(lib.common_dir(), 0);
    let dir = marker.parent().expect("a folder").display().to_string();
    let script = format!("mkdir -p '{dir}' && : >'{dir}'/pushed.$$ && exec git branch loud");
    let path = format!("{}:{}", world.root().join("bin").display(), std::env::var("PATH").expect("a path"));
    let out = world.command("sh").args(["-c", &script]).env("PATH", path).output().expect("runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let log = text(&world, "clade.log");
    assert!(log.contains("hook reference-transaction") && log.contains("-- committed"), "{log}");
    assert!(text(&world, "clade.in").contains("refs/heads/loud"));
    assert!(!git(&world, &["branch", "forbidden"], true).status.success(), "theirs may still forbid");
}

#[test]
fn other_places_are_left_alone() {
    for program in programs() {
        let world = World::with(&program, &[]);
        world.commit();
        let lib = world.open();
        for (value, elsewhere) in [(".husky", true), (".git/../hooks", true), (".git/my-hooks", false)] {
            world.git(&["config", "core.hooksPath", value]);
            let outcome = lib.install_hooks(&[Hook::PrePush]).expect("looks");
            assert_eq!(matches!(outcome, HooksOutcome::HooksElsewhere(_)), elsewhere, "{value}: {outcome:?}");
        }
        assert!(!world.repo().join(".husky").exists() && world.repo().join(".git/my-hooks/pre-push").exists());
        world.git(&["config", "--unset", "core.hooksPath"]);
        world.git(&["worktree", "add", "-q", "../linked"]);
        let linked = clade::git::Git::discover_with(&world.root().join("linked"), world.environment());
        done(linked.expect("a worktree").install_hooks(&[Hook::PrePush]).expect("installs"));
        assert!(hook(&world, "pre-push").exists(), "worktrees share hooks");
        put(&hook(&world, "pre-push.before-clade"), "old", 0o755);
        put(&hook(&world, "pre-push"), "#!/bin/sh\n# somebody's\n", 0o755);
        let blocked = done(lib.install_hooks(&[Hook::PrePush]).expect("looks"));
        assert!(matches!(blocked[0].1, HookChange::Blocked(_)), "{blocked:?}");
        let left = lib.uninstall_hooks().expect("looks");
        assert!(matches!(left[..], [(Hook::PrePush, HookRemoval::LeftBehind(_))]), "{left:?}");
    }
}
