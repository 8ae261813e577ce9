//! The demo, with small weights: it ends well, and it notices what is not as expected.

use std::process::{Command, Output};

fn demo(sabotage: bool) -> Output {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_clade"));
    command.args(["demo", "place"]).current_dir(dir.path()).env("CLADE_TEST_DEMO_SMALL", "1");
    if sabotage {
        command.env("CLADE_TEST_DEMO_SABOTAGE", "1");
    }
    command.output().expect("the program starts")
}

#[test]
fn the_story_ends_well() {
    let out = demo(false);
    let (said, err) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}{err}");
    for part in
        ["clade impact", "Models affected (1)", "(exit code 4, as it should be)", "clade rollback", "at the remote."]
    {
        assert!(said.contains(part), "{part} is missing in {said}");
    }
}

#[test]
fn an_unexpected_answer_ends_it_with_1() {
    let out = demo(true);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("not as expected"));
}
