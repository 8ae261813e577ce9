//! The filter conversation, held with the real git program.

use crate::support::git_env::{World, programs};
use clade::git::filter::{Direction, FilterHandler, Refusal, Request, serve};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const STORE: &str = "CLADE_TEST_FILTER_STORE";

/// Keeps content in a folder and gives git its length and a sum of its bytes.
struct Keep {
    store: PathBuf,
}

impl Keep {
    fn work(&self, request: &Request, content: &mut (dyn Read + Send), answer: &mut dyn Write) -> std::io::Result<()> {
        let mut log = File::options().append(true).create(true).open(self.store.join("log"))?;
        let path = String::from_utf8_lossy(&request.path).into_owned();
        writeln!(
            log,
            "{:?} {path} delay={} treeish={}",
            request.direction,
            request.can_delay,
            request.treeish.is_some()
        )?;
        if path.contains("refused") {
            return Err(std::io::Error::other("as asked"));
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        match request.direction {
            Direction::Clean => {
                let sum: u64 = bytes.iter().zip(1u64..).map(|(b, i)| u64::from(*b) * i).sum();
                let name = format!("kept-{}-{sum}", bytes.len());
                std::fs::write(self.store.join(&name), &bytes)?;
                answer.write_all(name.as_bytes())
            }
            Direction::Smudge => {
                let mut kept = File::open(self.store.join(String::from_utf8_lossy(&bytes).as_ref()))?;
                std::io::copy(&mut kept, answer).map(drop)
            }
        }
    }
}

impl FilterHandler for Keep {
    fn filter(
        &mut self,
        request: &Request,
        content: &mut (dyn Read + Send),
        answer: &mut dyn Write,
    ) -> Result<(), Refusal> {
        self.work(request, content, answer).map_err(|_| Refusal::File)
    }
}

/// Not a test by itself: git starts this binary with this function chosen, and talks to it over 3 and 4, because
/// the test runner writes to the usual output.
#[test]
fn as_gits_child() {
    let Ok(store) = std::env::var(STORE) else { return };
    let input = File::open("/dev/fd/4").expect("the input");
    let output = File::options().write(true).open("/dev/fd/3").expect("the output");
    serve(input, output, &mut Keep { store: PathBuf::from(store) }).expect("a whole conversation");
}

fn world(program: &Path) -> World {
    let world = World::with(program, &[]);
    let store = world.root().join("store");
    std::fs::create_dir(&store).expect("creates");
    let own = std::env::current_exe().expect("our path");
    let process = format!(
        "exec 3>&1 4<&0 && {STORE}='{}' exec '{}' --exact git_filter::as_gits_child --nocapture >/dev/null 2>&1",
        store.display(),
        own.display()
    );
    world.git(&["config", "filter.keep.process", &process]);
    world.git(&["config", "filter.keep.required", "true"]);
    world.write(".gitattributes", b"*.bin filter=keep\n");
    world
}

#[test]
fn added_and_checked_out_again() {
    for program in programs() {
        let world = world(&program);
        let big: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
        world.write("big.bin", &big);
        world.write("empty.bin", b"");
        for i in 0..50 {
            world.write(&format!("many/{i} and more.bin"), format!("content {i}").as_bytes());
        }
        world.commit();
        assert!(world.git(&["show", "HEAD:big.bin"]).starts_with("kept-1200000-"));
        std::fs::remove_dir_all(world.repo().join("many")).expect("removes");
        std::fs::remove_file(world.repo().join("big.bin")).expect("removes");
        world.git(&["checkout", "-q", "--", "."]);
        assert_eq!(world.read("big.bin"), big);
        assert_eq!(world.read("many/7 and more.bin"), b"content 7");
        assert_eq!(world.git(&["status", "--porcelain"]), "");
        let log = std::fs::read_to_string(world.root().join("store/log")).expect("reads");
        assert!(log.contains("Smudge big.bin delay=true"), "{log}");
        assert!(world.try_git(&["archive", "--format=tar", "HEAD"]).stdout.len() > big.len());
        let log = std::fs::read_to_string(world.root().join("store/log")).expect("reads");
        assert!(log.contains("Smudge big.bin delay=false treeish=true"), "{log}");
    }
}

#[test]
fn one_refused_file_does_not_end_the_filter() {
    let world = world(Path::new("git"));
    let mut names = String::new();
    for name in ["a.bin", "refused.bin", "z.bin"] {
        // More than the pipe holds, and unread when the file is refused.
        world.write(name, &vec![b'x'; 1 << 20]);
        writeln!(names, "{name}").expect("into memory");
    }
    let out = world.try_git(&["add", "--ignore-errors", "a.bin", "refused.bin", "z.bin"]);
    assert!(!out.status.success());
    let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(stderr.contains("refused.bin"), "{stderr}");
    world.git(&["add", "a.bin", "z.bin"]);
    assert!(world.git(&["show", ":z.bin"]).starts_with("kept-1048576-"));
    assert_eq!(world.git(&["ls-files"]), "a.bin\nz.bin");
}
