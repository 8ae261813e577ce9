//! Partial clones: what they lack is told, fetched in one go, and read afterwards.

use crate::support::git_env::{World, programs};
use clade::git::{Error, FetchOutcome, Git, LEDGER_REF};

#[test]
fn what_a_partial_clone_lacks_comes_at_once() {
    for program in programs() {
        let world = World::with(&program, &[]);
        for (key, value) in [("uploadpack.allowFilter", "true"), ("uploadpack.allowAnySHA1InWant", "true")] {
            world.git(&["config", key, value]);
        }
        world.write("a", b"old a");
        world.commit();
        world.write("a", b"new a");
        let tip = world.commit();
        let lib = world.open();
        let files = [("w/1".to_owned(), b"one".to_vec()), ("w/2".to_owned(), b"two".to_vec())];
        let ledger = lib.ledger_append(&files, None, 1).expect("writes");
        lib.update_ref(LEDGER_REF, ledger, None).expect("free");
        let url = format!("file://{}", world.repo().display());
        world.git(&["clone", "-q", "--filter=blob:none", "--no-checkout", &url, "../partial"]);
        let partial = Git::discover_with(&world.root().join("partial"), world.environment()).expect("a clone");
        assert_eq!(partial.promisor().expect("asks").as_deref(), Some("origin"));

        let lacking = partial.pointer_blobs_in_range(&[tip], "elsewhere", &[], 1024);
        assert!(matches!(lacking, Err(Error::MissingObject { .. })), "{lacking:?}");
        let files = partial.files_in_range(&[tip], "elsewhere", &[]).expect("trees are here");
        let oids: Vec<_> = files.iter().map(|(_, oid)| *oid).collect();
        assert_eq!(partial.missing(&oids).expect("looks").len(), 2);
        assert_eq!(partial.fetch_objects(&oids).expect("runs"), FetchOutcome::Done);
        assert_eq!(partial.pointer_blobs_in_range(&[tip], "elsewhere", &[], 1024).expect("reads").len(), 2);

        let spec = format!("+{LEDGER_REF}*:refs/clade/remotes/origin/ledger*");
        assert_eq!(partial.fetch("origin", &[&spec]).expect("runs"), FetchOutcome::Done);
        let here = partial.ledger_files(ledger).expect("trees are here");
        assert!(matches!(partial.ledger_read(&here), Err(Error::MissingObject { .. })));
        assert_eq!(partial.fetch_unfiltered("origin", &[&spec]).expect("runs"), FetchOutcome::Done);
        assert_eq!(partial.ledger_read(&here).expect("reads"), [b"one", b"two"]);
    }
}
