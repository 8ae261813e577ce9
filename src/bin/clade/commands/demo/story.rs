//! The story.

use super::weights;
use super::{Stage, Stop, Told};
use crate::ui::human_bytes;
use clade::fsio;
use serde_json::Value;
use std::path::Path;

/// Bytes of all files below a folder.
fn size_of(path: &Path) -> Told<u64> {
    let mut total = 0;
    for name in fsio::list_dir(path)? {
        let at = path.join(name);
        match fsio::stat(&at)? {
            Some(stat) if stat.kind == fsio::StatKind::Dir => total += size_of(&at)?,
            Some(stat) => total += stat.size_bytes,
            None => {}
        }
    }
    Ok(total)
}

fn model_rows(report: &Value, verdict: &str) -> usize {
    report["models"].as_array().map_or(0, |rows| rows.iter().filter(|r| r["verdict"] == verdict).count())
}

/// Tells it from the first commit to the restored model.
pub(super) fn tell(stage: &Stage<'_>) -> Told<()> {
    let small = cfg!(debug_assertions) && std::env::var_os("CLADE_TEST_DEMO_SMALL").is_some();
    let (width, layers) = if small { (64, 4) } else { (1024, 4) };
    let write = |path: &str, bytes: &[u8]| -> Told<()> { Ok(fsio::write_atomic(&stage.dir.join(path), bytes)?) };

    stage.say("A repository as any other. `clade init` is needed once a clone, `clade track` once a pattern.")?;
    stage.show("", &["git", "init", "--quiet", "--bare", "--initial-branch=main", "origin.git"], 0)?;
    stage.show("", &["git", "init", "--quiet", "--initial-branch=main", "work"], 0)?;
    stage.show("work", &["git", "remote", "add", "origin", "../origin.git"], 0)?;
    stage.show("work", &["clade", "init"], 0)?;
    stage.show("work", &["clade", "track", "*.safetensors"], 0)?;
    stage.show("work", &["clade", "track", "data/patients/**", "--asset", "patients", "--kind", "dataset"], 0)?;

    fsio::create_dir_all(&stage.dir.join("work/data/patients"))?;
    for n in 1..=40 {
        write(&format!("work/data/patients/p-{n:04}.csv"), weights::patient(n).as_bytes())?;
    }
    let first = weights::model(width, layers, layers, 1);
    let second = weights::model(width, layers, layers - 1, 2);
    write("work/base.safetensors", &first)?;
    fsio::create_dir_all(&stage.dir.join("prepared"))?;
    write("prepared/one", &first)?;
    write("prepared/two", &second)?;
    write("work/train.sh", b"# Stands for a training job: reads the tables, writes weights that were prepared.\ncat data/patients/*.csv > /dev/null && cp ../prepared/$1 model.safetensors\n")?;

    stage.say(&format!(
        "A base model of {} and 40 tables are added and committed with git itself.",
        human_bytes(first.len() as u64)
    ))?;
    stage.show("work", &["git", "add", "."], 0)?;
    stage.show("work", &["git", "commit", "--quiet", "-m", "base model and tables"], 0)?;
    let pointer = stage.show("work", &["git", "show", "HEAD:base.safetensors"], 0)?;
    stage.expect(pointer.starts_with("clade pointer v1"), "git holds a pointer for the model")?;

    stage.say("Two training runs are recorded: what they read, what they wrote, how they ended.\nThe first reads the base model only; the second also learns from the patients.")?;
    stage.show(
        "work",
        &[
            "clade",
            "run",
            "--in",
            "base=base.safetensors",
            "--out",
            "model.safetensors",
            "--",
            "cp",
            "base.safetensors",
            "model.safetensors",
        ],
        0,
    )?;
    stage.show("work", &["git", "add", "."], 0)?;
    stage.show("work", &["git", "commit", "--quiet", "-m", "model 1"], 0)?;
    stage.show("work", &["git", "tag", "model-1"], 0)?;
    stage.show(
        "work",
        &[
            "clade",
            "run",
            "--in",
            "base=base.safetensors",
            "--in",
            "train=data/patients",
            "--out",
            "model.safetensors",
            "--",
            "sh",
            "train.sh",
            "two",
        ],
        0,
    )?;
    stage.show("work", &["git", "add", "."], 0)?;
    stage.show("work", &["git", "commit", "--quiet", "-m", "model 2"], 0)?;
    stage.show("work", &["git", "tag", "model-2"], 0)?;
    stage.show("work", &["clade", "log", "model.safetensors"], 0)?;

    stage.say("`git push` uploads the bytes first, then moves the refs, then sends the ledger.")?;
    stage.show("work", &["git", "push", "--quiet", "origin", "main", "model-1", "model-2"], 0)?;
    stage.show("work", &["clade", "promote", "model.safetensors@model-1", "--to", "prod"], 0)?;
    stage.show("work", &["clade", "promote", "model.safetensors@model-2", "--to", "prod"], 0)?;

    stage.say("A colleague clones: pointers first, `clade pull` brings the bytes, every one verified.")?;
    stage.show("", &["git", "clone", "--quiet", "origin.git", "colleague"], 0)?;
    stage.show("colleague", &["clade", "init"], 0)?;
    stage.show("colleague", &["clade", "pull"], 0)?;
    stage.show("colleague", &["clade", "verify"], 0)?;
    let (mine, theirs) = (stage.sha256("work/model.safetensors")?, stage.sha256("colleague/model.safetensors")?);
    stage.line(&format!("SHA-256 of both models: {}… and {}…", &mine[..16], &theirs[..16]))?;
    stage.expect(mine == theirs, "the colleague's model has the same SHA-256")?;

    stage.say("Months later one patient's table turns out to be restricted. Which models learned from it?")?;
    stage.show(
        "colleague",
        &["clade", "class", "set", "patients:p-0007.csv", "--level", "restricted", "--reason", "consent withdrawn"],
        0,
    )?;
    stage.show("colleague", &["clade", "impact", "patients:p-0007.csv"], 0)?;
    let report = stage.ask("colleague", &["clade", "impact", "patients:p-0007.csv", "--json"])?;
    stage.expect(model_rows(&report, "affected") == 1, format!("one model is affected: {}", report["counts"]))?;
    stage.show("colleague", &["clade", "why", "model.safetensors@model-2", "patients:p-0007.csv"], 0)?;
    stage.show("colleague", &["clade", "flag", "list"], 0)?;
    let flags = stage.ask("colleague", &["clade", "flag", "list", "--json"])?;
    stage.expect(flags["flags"].as_array().is_some_and(|f| f.len() == 1), format!("one flag is up: {flags}"))?;

    stage.say("The flag blocks promotion, also on a machine that has not heard of it yet.")?;
    stage.show("work", &["clade", "promote", "model.safetensors@model-2", "--to", "staging"], 4)?;

    stage.say("Production goes back to the last version that is not flagged.")?;
    stage.show("work", &["clade", "rollback", "model.safetensors", "--env", "prod"], 0)?;
    stage.show("work", &["clade", "env", "history", "prod"], 0)?;

    stage.say("A deployment takes what production is now: no clone, no history, no git.")?;
    stage.show("work", &["clade", "push", "origin", "main", "--quiet"], 0)?;
    stage.show(
        "",
        &["clade", "restore", "model.safetensors@prod", "--from", "origin.git/clade-remote", "--to", "server"],
        0,
    )?;
    let (want, got) = (stage.sha256("prepared/one")?, stage.sha256("server/model.safetensors")?);
    stage.line(&format!("SHA-256 of model 1 and of what was restored: {}… and {}…", &want[..16], &got[..16]))?;
    stage.expect(want == got, "production is back at model 1, byte for byte")?;

    let versions = stage.ask("work", &["clade", "log", "--json"])?;
    let rows = versions["versions"].as_array().ok_or_else(|| Stop::Unexpected("log lists versions".to_owned()))?;
    let logical: u64 = rows.iter().filter_map(|r| r["size_bytes"].as_u64()).sum();
    let stored = size_of(&stage.dir.join("work/.git/clade/packs"))?;
    let remote = size_of(&stage.dir.join("origin.git/clade-remote"))?;
    stage.expect(stored < logical, "the store is smaller than what it holds")?;
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let share = stored as f64 * 100.0 / logical.max(1) as f64;
    stage.say(&format!(
        "{} versions of {} in all take {} here ({share:.0} %) and {} at the remote.",
        rows.len(),
        human_bytes(logical),
        human_bytes(stored),
        human_bytes(remote)
    ))
}
