"""What the scripts of this folder share: checks that count, and machines with a home folder of their own.

CLADE is the program under test, REAL_INPUTS the folder that `run` filled. Nothing of the user's configuration is seen.
"""

import hashlib, json, os, shutil, signal, subprocess, sys, tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLADE = Path(os.environ.get("CLADE", HERE.parent.parent / "target/release/clade")).resolve()
READER = HERE / "reader.py"

class Checks:
    """Counts what held and what did not."""

    def __init__(self):
        self.passed, self.failed, self.prefix = 0, 0, ""

    def ok(self, what, holds, detail=""):
        """One line a check. `detail` is shown where it does not hold."""
        print(f"{'ok  ' if holds else 'FAIL'} {self.prefix}{what}", flush=True)
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            for line in str(detail).strip().splitlines()[-12:]:
                print(f"     | {line}", flush=True)
        return holds

    def same(self, what, found, wanted):
        return self.ok(what, found == wanted, f"found  {found}\nwanted {wanted}")

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(1 if self.failed or not self.passed else 0)

class Result:
    """How a command ended: `code` is negative for a signal."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def __str__(self):
        return f"$ {' '.join(map(str, self.args))}\n{self.out[-1500:]}{self.err[-1500:]}exit code {self.code}"

    def json(self):
        """The answer, an empty one where there is none."""
        try:
            return json.loads(self.out)
        except ValueError:
            return {}

class Machine:
    """A home folder and an environment in which commands run."""

    def __init__(self, home, with_git=True, **extra):
        self.home = Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        path = f"{CLADE.parent}:{os.environ['PATH']}" if with_git else str(self.home / "no-programs")
        self.env = {
            "PATH": path, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"), "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "TMPDIR": tempfile.gettempdir(), **extra,
        }
        if with_git:
            for key, value in {
                "user.name": "A U Thor", "user.email": "author@example.com", "init.defaultBranch": "main",
                "protocol.file.allow": "always", "advice.detachedHead": "false", "gc.auto": "0",
            }.items():
                self.run("git", "config", "--global", key, value, cwd=self.home)

    def run(self, *args, cwd, timeout=900, **env):
        args = [str(a) for a in args]
        done = subprocess.run(args, cwd=cwd, env={**self.env, **env}, stdin=subprocess.DEVNULL, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return Result(args, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def clade(self, *args, cwd, **env):
        return self.run(CLADE, *args, cwd=cwd, **env)

    def git(self, *args, cwd, **env):
        return self.run("git", *args, cwd=cwd, **env)

    def must(self, *args, cwd, **env):
        """A step on which everything after it rests."""
        done = self.run(*args, cwd=cwd, **env)
        if done.code != 0:
            raise RuntimeError(str(done))
        return done

    def killed_after(self, seconds, *args, cwd, **env):
        """Starts a command and ends it and all its children with SIGKILL. True where it was still running."""
        child = subprocess.Popen([str(a) for a in args], cwd=cwd, env={**self.env, **env}, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            child.wait(seconds)
            return False
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            return True

def sha256(path):
    hasher = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            hasher.update(part)
    return hasher.hexdigest()

def sums(folder):
    """SHA-256 of every file below a folder, by path; git's own files and links left out."""
    folder = Path(folder)
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink())
    return {str(p.relative_to(folder)): sha256(p) for p in files if ".git" not in p.relative_to(folder).parts}

def pointer_of(path):
    """The pointer's id and size, or None for any other content."""
    data = Path(path).read_bytes()
    lines = data.decode("ascii", "replace").split("\n")
    if len(data) > 1024 or not lines[0].startswith("clade pointer v1") or len(lines) != 4:
        return None
    return lines[1].removeprefix("oid blake3:"), int(lines[2].removeprefix("size "))

def inputs():
    """Folders of the packages that `run` downloaded, by name and version."""
    root = os.environ.get("REAL_INPUTS")
    if not root:
        sys.exit("REAL_INPUTS is not set: these scripts are started by tests/real/run")
    return Path(root)

def scratch(name):
    """A new folder that is removed when the script ends, unless KEEP is set."""
    folder = Path(tempfile.mkdtemp(prefix=f"clade-{name}-"))
    if os.environ.get("KEEP"):
        print(f"kept: {folder}", file=sys.stderr)
    else:
        import atexit
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
