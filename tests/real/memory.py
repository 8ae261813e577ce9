"""Peak memory of `git add`, `git clone` and `clade restore` of a file of 1 GiB.

git is measured by VmHWM, clade by its peak of RssAnon: mapped pages belong to the machine, and go when it wants them back.
"""

import os, random, subprocess, sys, time
from pathlib import Path
from harness import CLADE, Checks, Machine, scratch, sha256

LIMIT_BYTES = 300_000_000
SIZE = int(os.environ.get("MEMORY_BYTES", 1 << 30))
checks = Checks()

def weights(path, size):
    """A safetensors file of one bf16 tensor: random mantissas, exponents that cluster."""
    header = b'{"w":{"dtype":"BF16","shape":[%d],"data_offsets":[0,%d]}}' % (size // 2, size)
    exponents = bytes(0x3A + min(5, (i * i) // 13000) + (0x80 if i & 1 else 0) for i in range(256))
    rng = random.Random(20_240_229)
    with open(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for at in range(0, size, 1 << 22):
            part = bytearray(min(1 << 22, size - at))
            part[0::2] = rng.randbytes(len(part) // 2)
            part[1::2] = rng.randbytes(len(part) // 2).translate(exponents)
            file.write(part)

def field(pid, name):
    """A number of kB from /proc/PID/status in bytes; 0 where the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0

def tree_of(pid):
    """A process and everything below it."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                todo += [int(child) for child in Path(f"/proc/{one}/task/{task}/children").read_text().split()]
        except OSError:
            pass
    return found

def peaks(machine, *args, cwd):
    """Runs a command and returns its exit code and the highest figures of git and of clade, in bytes."""
    # Scratch files stand in for pipes, so that a talkative command never waits for this script.
    log = open(machine.home / "log", "w+")
    child = subprocess.Popen([str(a) for a in args], cwd=cwd, env=machine.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    git = clade = seen = 0
    while child.poll() is None:
        for pid in tree_of(child.pid):
            try:
                program = os.path.realpath(os.readlink(f"/proc/{pid}/exe"))
            except OSError:
                continue
            if program == str(CLADE):
                clade, seen = max(clade, field(pid, "RssAnon")), seen + 1
            elif os.path.basename(program).startswith("git"):
                git = max(git, field(pid, "VmHWM"))
        time.sleep(0.003)
    log.seek(0)
    return child.returncode, git, clade, seen, log.read()

def measured(what, machine, *args, cwd, with_git=True):
    code, git, clade, seen, log = peaks(machine, *args, cwd=cwd)
    checks.ok(what, code == 0, log)
    if with_git:
        checks.ok(f"{what}: git stays under 300 MB (VmHWM {git / 1e6:.0f} MB)", 0 < git < LIMIT_BYTES)
    checks.ok(f"{what}: clade stays under 300 MB (RssAnon {clade / 1e6:.0f} MB in {seen} readings)", seen > 20 and clade < LIMIT_BYTES)

def main():
    top = scratch("memory")
    me, other = Machine(top / "home"), Machine(top / "other")
    repo, origin, name = top / "repo", top / "origin.git", "large.safetensors"
    me.must("git", "init", "-q", repo, cwd=top)
    me.must("git", "init", "-q", "--bare", origin, cwd=top)
    me.must("git", "remote", "add", "origin", origin, cwd=repo)
    me.must("clade", "init", cwd=repo)
    me.must("clade", "track", "*.safetensors", cwd=repo)
    weights(repo / name, SIZE)
    wanted = sha256(repo / name)
    measured("git add of 1 GiB", me, "git", "add", "-A", cwd=repo)
    me.must("git", "commit", "-qm", "large", cwd=repo)
    me.must("clade", "push", "origin", "main", cwd=repo)
    other.must("clade", "init", "--global", cwd=top)
    measured("git clone of 1 GiB", other, "git", "clone", "-q", origin, top / "clone", cwd=top)
    checks.same("the clone has the same bytes", sha256(top / "clone" / name), wanted)
    server = Machine(top / "server", with_git=False)
    measured("clade restore of 1 GiB", server, CLADE, "restore", f"{name}@main", "--from", origin / "clade-remote",
             "--to", top / "out", cwd=top, with_git=False)
    checks.same("what was restored has the same bytes", sha256(top / "out" / name) if (top / "out" / name).exists() else "", wanted)

try:
    main()
except RuntimeError as error:
    checks.ok("every step runs", False, error)
checks.end()
