//! Holds the house to its plan: which room may import which, which calls belong to one room only, how long
//! files may grow, and that no test file is forgotten.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms with their layers. A room imports only from lower layers. Tenths order the rooms of one layer
/// that build on each other (docs/dev/decisions/0001-sub-layers.md).
const LAYERS: &[(&str, u32)] = &[
    ("id", 0),
    ("limits", 0),
    ("progress", 0),
    ("clock", 0),
    ("fsio", 10),
    ("process", 11),
    ("tensor", 10),
    ("chunk", 11),
    ("codec", 10),
    ("manifest", 10),
    ("ledger", 10),
    ("pack", 20),
    ("lineage", 20),
    ("remote", 20),
    ("git", 20),
    ("index", 20),
    ("store", 30),
    ("repo", 41),
    ("transfer", 40),
    ("ops", 50),
    ("clade", 60),
];

/// Calls and names that belong to one room: text, the rooms that may use it, why, and what to use instead.
const OWNED: &[(&str, &[&str], &str)] = &[
    ("std::fs", &["fsio"], "errors must carry paths and faults must reach every write: use `fsio`"),
    ("memmap2", &["fsio"], "mapping is unsafe and lives in one place: use `fsio::Map`"),
    ("std::process::Command", &["process"], "children need one way of being started: use `process`"),
    ("gix::", &["git"], "only `git` knows gix"),
    ("rusqlite", &["index"], "only `index` knows SQLite"),
    ("object_store", &["remote"], "only `remote` talks to object stores"),
    ("tokio", &["remote"], "the runtime stays behind the blocking interface of `remote`"),
    ("SystemTime::now", &["clock"], "time must be fixable in tests: use `clock`"),
    ("Instant::now", &["clock"], "time must be fixable in tests: use `clock::Stopwatch`"),
    ("env::var", &["clade"], "the library reads no environment: pass a value in"),
    ("println!", &["clade"], "the library does not print"),
    ("process::exit", &["clade"], "the library does not end the process"),
    ("indicatif", &["clade"], "the library draws nothing: report to `Progress`"),
    ("clap", &["clade"], "options of the library are plain structs"),
];

/// Rooms whose order of things reaches bytes or answers.
const ORDERED: &[&str] = &["manifest", "ledger", "pack", "lineage"];

/// Most lines of a source file outside its tests.
const MAX_LINES: usize = 600;

struct Source {
    room: String,
    path: PathBuf,
    /// The code without comment lines and without the inline test module.
    code: Vec<(usize, String)>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn walk(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            walk(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut paths = Vec::new();
    walk(&src, &mut paths);
    paths.sort();
    let mut out = Vec::new();
    for path in paths {
        let rel = path.strip_prefix(&src).expect("below src");
        let mut parts = rel.components().map(|c| c.as_os_str().to_string_lossy().into_owned());
        let first = parts.next().expect("a name");
        let room = match first.as_str() {
            "lib.rs" => continue,
            "bin" => "clade".to_owned(),
            name => name.trim_end_matches(".rs").to_owned(),
        };
        let text = fs::read_to_string(&path).expect("text");
        if path.file_name().is_some_and(|n| n == "tests.rs") {
            continue;
        }
        let mut code = Vec::new();
        for (i, line) in text.lines().enumerate() {
            if line.trim_start().starts_with("#[cfg(test)]") && !line.contains("mod tests;") {
                let next = text.lines().nth(i + 1).unwrap_or("");
                if next.trim_end().ends_with('{') && next.contains("mod ") {
                    break;
                }
            }
            if !line.trim_start().starts_with("//") {
                code.push((i + 1, line.to_owned()));
            }
        }
        out.push(Source { room, path: rel.to_path_buf(), code });
    }
    out
}

fn layer(room: &str) -> Option<u32> {
    LAYERS.iter().find(|(name, _)| *name == room).map(|(_, layer)| *layer)
}

/// The rooms that a line names as `crate::room` or, in the program, `clade::room`.
fn imports(line: &str, prefix: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in line.match_indices(prefix) {
        if line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &line[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            for item in group.trim_end_matches("};").split(',') {
                let name: String = item.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                out.push(name);
            }
        } else {
            out.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    out.retain(|name| !name.is_empty());
    out
}

#[test]
fn rooms_import_only_lower_layers() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some(own) = layer(&source.room) else {
            faults.push(format!("{}: room `{}` is not in the table", source.path.display(), source.room));
            continue;
        };
        let prefix = if source.room == "clade" { "clade::" } else { "crate::" };
        for (n, line) in &source.code {
            if source.room == "clade" && line.contains("crate::") {
                continue;
            }
            for name in imports(line, prefix) {
                if name == source.room {
                    continue;
                }
                match layer(&name) {
                    None => faults.push(format!(
                        "{}:{n}: `{prefix}{name}` is no room: import by the room's path",
                        source.path.display()
                    )),
                    Some(other) if other >= own => faults.push(format!(
                        "{}:{n}: `{}` (layer {own}) imports `{name}` (layer {other})",
                        source.path.display(),
                        source.room
                    )),
                    Some(_) => {}
                }
            }
            if line.contains("super::super") {
                faults.push(format!("{}:{n}: `super::super` hides an import", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn owned_calls_stay_in_their_room() {
    let mut faults = Vec::new();
    for source in sources() {
        for (n, line) in &source.code {
            for (text, rooms, why) in OWNED {
                if line.contains(text) && !rooms.contains(&source.room.as_str()) {
                    faults.push(format!("{}:{n}: `{text}`: {why}", source.path.display()));
                }
            }
            if line.contains(".unwrap()") {
                faults.push(format!("{}:{n}: `unwrap`: say why it holds with `expect`", source.path.display()));
            }
            if line.contains("unsafe {") && source.room != "fsio" {
                faults.push(format!("{}:{n}: `unsafe` is allowed in `fsio` only", source.path.display()));
            }
            if ORDERED.contains(&source.room.as_str()) && (line.contains("HashMap") || line.contains("HashSet")) {
                faults.push(format!(
                    "{}:{n}: order reaches bytes here: use a BTreeMap or BTreeSet",
                    source.path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_stay_short() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|s| s.code.len() > MAX_LINES)
        .map(|s| format!("{}: {} lines of code, at most {MAX_LINES}: split it", s.path.display(), s.code.len()))
        .collect();
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn every_room_has_a_layer_and_every_layer_a_room() {
    let mut rooms: BTreeMap<String, usize> = BTreeMap::new();
    for source in sources() {
        *rooms.entry(source.room).or_default() += 1;
    }
    for (name, _) in LAYERS {
        assert!(rooms.contains_key(*name), "the table names a room `{name}` that is not there");
    }
}

#[test]
fn no_test_file_is_forgotten() {
    for dir in ["it", "slow"] {
        let dir = root().join("tests").join(dir);
        let Ok(main) = fs::read_to_string(dir.join("main.rs")) else { continue };
        for entry in fs::read_dir(&dir).expect("the folder is there") {
            let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
            let module = name.trim_end_matches(".rs");
            assert!(
                module == "main" || main.contains(&format!("mod {module};")),
                "{}/{name} is not declared in main.rs, so its tests never run",
                dir.display()
            );
        }
    }
}
