#!/usr/bin/env python3
"""Restores files and folders from a clade store or remote without clade.

Written from the byte tables in docs/reference/formats alone, as a check that they suffice. It reads pack footers (no segments,
no asset entries, no SQLite) and checks every digest. A store's DIR is `<git dir>/clade`; a remote is a directory. Needs blake3,
msgpack and zstandard from PyPI. Exits with 1 and leaves no wrong file behind where bytes are missing or wrong.

    reader.py remote DIR list
    reader.py (store|remote) DIR (file|tree) ID OUT
"""

import os, struct, sys
from pathlib import Path
import msgpack, zstandard
from blake3 import blake3

DATA, RECIPE, PAGE = 0, 1, 2
ID_IS_DIGEST = {0, 2, 3, 5}
REGULAR, EXECUTABLE, SYMLINK = 0o100644, 0o100755, 0o120000

class Damaged(Exception):
    """Bytes are not what their format or their digest says."""

BAD = (Damaged, struct.error, zstandard.ZstdError, ValueError)

def digest(data):
    return blake3(data).digest()

def need(holds, message):
    if not holds:
        raise Damaged(message)

# --- packs (pack.md) ---

class Frame:
    """One frame of a pack: where it is, how it is encoded, its records as (kind, id, offset, length, digest)."""

    def __init__(self, pack, offset, body):
        """`body` is a frame header without magic and check, or more; `size` tells how much of it was used."""
        (self.header_len, self.codec, self.depth, base_count, flags, record_count, self.stored_len,
            self.raw_len) = struct.unpack_from("<IBBBBIII", body)
        need(flags == 0, "unknown frame flags")
        self.pack, self.offset = pack, offset
        self.bases = [bytes(body[20 + 32 * i : 52 + 32 * i]) for i in range(base_count)]
        self.records, at, end = [], 20 + 32 * base_count, 0
        for _ in range(record_count):
            kind, flags, reserved, start, length = struct.unpack_from("<BBHII", body, at)
            need(flags <= 1 and reserved == 0 and start == end and length > 0, "bad record")
            need((flags == 0) == (kind in ID_IS_DIGEST), "digest missing or too much")
            record_id, plain_digest = (bytes(body[at + 12 + 32 * i : at + 44 + 32 * i]) for i in (0, flags))
            self.records.append((kind, record_id, start, length, plain_digest))
            at, end = at + 44 + 32 * flags, end + length
        need(end == self.raw_len and self.records, "records do not add up")
        need((self.depth == 0) == (not self.bases) and max(self.depth, base_count) <= 64, "depth without bases")
        need(self.raw_len <= (1 << 20 if record_count > 1 else 4 << 20) and 0 < self.stored_len <= self.raw_len, "bad lengths")
        need(self.header_len == at + 4 + 16, "wrong header length")
        self.size = at

    def payload(self):
        with open(self.pack, "rb") as file:
            file.seek(self.offset)
            data = file.read(self.header_len + self.stored_len)
        need(len(data) == self.header_len + self.stored_len, f"{self.pack}: frame cut short")
        header = data[: self.header_len]
        need(header[:4] == b"cfrm" and digest(header[:-16])[:16] == header[-16:], "bad frame header")
        need(vars(Frame(self.pack, self.offset, header[4:-16])) == vars(self), "header and footer differ")
        return data[self.header_len :]

def read_footer(path):
    """The frames of a finished pack."""
    with open(path, "rb") as file:
        header = file.read(48)
        size = file.seek(0, os.SEEK_END)
        need(size >= 96 and header[:8] == b"cladepak", f"{path}: not a pack")
        version, flags = struct.unpack_from("<II", header, 8)
        need(version == 1 and flags == 0 and header[32:48] == bytes(16), f"{path}: newer or encrypted")
        file.seek(size - 48)
        tail = file.read(48)
        (footer_len,) = struct.unpack_from("<Q", tail)
        need(tail[40:] == b"cladeend" and 48 <= footer_len <= size - 96, f"{path}: no footer")
        start = size - 48 - footer_len
        file.seek(start)
        footer = file.read(footer_len)
    need(digest(footer) == tail[8:40], f"{path}: footer damaged")
    need(footer[:8] == b"cftr\x01\0\0\0" and footer[8:40] == header[16:48], f"{path}: not its footer")
    frame_count, record_count = struct.unpack_from("<II", footer, 40)
    frames, at, end = [], 48, 48
    for _ in range(frame_count):
        (offset,) = struct.unpack_from("<Q", footer, at)
        frame = Frame(path, offset, memoryview(footer)[at + 8 :])
        need(offset == end, f"{path}: gap between frames")
        frames.append(frame)
        end = offset + frame.header_len + frame.stored_len
        at += 8 + frame.size
    need(at == len(footer) and end == start, f"{path}: footer does not fit")
    need(sum(len(f.records) for f in frames) == record_count, f"{path}: wrong record count")
    return frames

def decode(codec, payload, raw_len, base):
    """The codecs that this reader knows (codecs.md)."""
    need(not base, f"codec {codec} with a base is not known here")
    if codec == 0:
        return payload
    if codec == 1:
        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=raw_len)
    raise Damaged(f"codec {codec} is not known here")

class Store:
    """An index over the footers of all packs below a folder."""

    def __init__(self, packs):
        self.places = {}
        self.decoded = {}
        for path in packs:
            try:
                frames = read_footer(path)
            except BAD as error:
                print(f"skipped: {error}", file=sys.stderr)
                continue
            for frame in frames:
                for record in frame.records:
                    self.places.setdefault(record[:2], []).append((frame, record))

    def plain(self, frame, level=0):
        """The plain bytes of a frame, every record checked. The last frames are kept. `level` counts bases of bases."""
        name = (frame.pack, frame.offset)
        if name not in self.decoded:
            need(level <= 64, "bases nest too deep")
            base = b"".join(self.get(DATA, base, level + 1) for base in frame.bases)
            data = decode(frame.codec, frame.payload(), frame.raw_len, base)
            need(len(data) == frame.raw_len, "frame decodes to another length")
            for kind, record_id, start, length, wanted in frame.records:
                need(digest(data[start : start + length]) == wanted, f"record {record_id.hex()} damaged")
            while len(self.decoded) >= 64:
                self.decoded.pop(next(iter(self.decoded)))
            self.decoded[name] = data
        return self.decoded[name]

    def all(self, kind, record_id, level=0):
        """Each copy of a record that can be read, best effort."""
        for frame, (_, _, start, length, _) in self.places.get((kind, record_id), []):
            try:
                yield self.plain(frame, level)[start : start + length]
            except (*BAD, OSError) as error:
                print(f"skipped a copy of {record_id.hex()}: {error}", file=sys.stderr)

    def get(self, kind, record_id, level=0):
        for data in self.all(kind, record_id, level):
            return data
        raise Damaged(f"no copy of kind {kind} {record_id.hex()}")

# --- recipes and trees (recipe.md, tree.md) ---

def unpack(data, *tags):
    value = msgpack.unpackb(data, raw=False, strict_map_key=True)
    need(msgpack.packb(value, use_bin_type=True) == data, f"{tags[0]}: not canonical")
    need(value[0] in tags and value[1] == 1, f"not a {tags[0]} of version 1")
    return value

def terms(store, file_id, recipe):
    tag, _, _, described, _, listed = unpack(recipe, "recipe", "recipe-pages")
    need(described == file_id, "the recipe of another file")
    if tag == "recipe":
        yield from listed
        return
    for page_id, size, count in listed:
        page = unpack(store.get(PAGE, page_id), "terms")[2]
        need(len(page) == count and sum(length for _, length in page) == size, "term page not as named")
        yield from page

def file_parts(store, file_id, recipe):
    if recipe is None:
        yield store.get(DATA, file_id)
        return
    for chunk_id, length in terms(store, file_id, recipe):
        if chunk_id is None:
            for start in range(0, length, 1 << 20):
                yield bytes(min(length - start, 1 << 20))
        else:
            data = store.get(DATA, chunk_id)
            need(len(data) == length, "chunk with another length")
            yield data

def restore_file(store, file_id, out):
    """Writes the file with the given id; tries each recipe until one gives the right bytes."""
    if file_id == digest(b""):
        return Path(out).write_bytes(b"")
    out, ways = Path(out), [None] if (DATA, file_id) in store.places else []
    for recipe in ways + list(store.all(RECIPE, file_id)):
        partial = out.with_name(out.name + ".partial")
        try:
            hasher = blake3()
            with open(partial, "wb") as file:
                for part in file_parts(store, file_id, recipe):
                    hasher.update(part)
                    file.write(part)
            need(hasher.digest() == file_id, "the recipe gives another file")
            partial.replace(out)
            return
        except BAD as error:
            print(f"skipped a recipe of {file_id.hex()}: {error}", file=sys.stderr)
            partial.unlink(missing_ok=True)
    raise Damaged(f"file {file_id.hex()} cannot be put together")

def tree_entries(store, page_id, level=None):
    """(path, mode, size, file id) of every file, in order."""
    page = unpack(store.get(PAGE, page_id), "tree")
    need(level is None or page[2] == level, "tree page of another level")
    if page[2] == 0:
        yield from page[3]
        return
    for last_path, child, count, size in page[3]:
        below = list(tree_entries(store, child, page[2] - 1))
        fits = len(below) == count > 0 and below[-1][0] == last_path and sum(entry[2] for entry in below) == size
        need(fits, "tree page not as named")
        yield from below

def restore_tree(store, tree_id, out):
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    last, links = b"", []
    for path, mode, size, file_id in tree_entries(store, tree_id):
        parts = path.split(b"/")
        bad = any(part in (b"", b".", b"..") or part.lower() == b".git" for part in parts)
        need(not bad and b"\0" not in path and path > last, f"path {path!r} refused")
        need(mode in (REGULAR, EXECUTABLE, SYMLINK), f"mode {mode:o} refused")
        last = path
        target = out / os.fsdecode(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        restore_file(store, file_id, target)
        need(target.stat().st_size == size, f"{path!r} has another size")
        if mode == EXECUTABLE:
            target.chmod(0o755)
        if mode == SYMLINK:
            links.append(target)
    # Links come last, so that no file is ever written through one.
    for target in links:
        aim = target.read_bytes()
        target.unlink()
        os.symlink(aim, os.fsencode(target))

# --- where packs are (pack.md, remote.md) ---

def small_file(path, limit):
    """The map in one of a remote's small files, and the digest of the whole file."""
    need(path.stat().st_size <= limit, f"{path}: too large")
    data = path.read_bytes()
    need(len(data) > 32 and digest(data[:-32]) == data[-32:], f"{path}: damaged")
    value = msgpack.unpackb(data[:-32], raw=False, strict_map_key=True)
    need(value["v"] == 1, f"{path}: written by a newer clade")
    return value, digest(data)

def read_log(folder):
    """What the log adds up to: the packs that it commits and no sweep took, and the versions that are complete."""
    about, _ = small_file(Path(folder, "format"), 1 << 20)
    need(not about.get("needs_read"), "this remote needs a newer reader")
    packs, roots, before = {}, {}, bytes(32)
    for seq, path in enumerate(sorted(p for p in Path(folder, "log").glob("*") if "#" not in p.name), 1):
        need(path.name == f"{seq:020}", f"log entry {seq} is missing")
        entry, file_digest = small_file(path, 64 << 20)
        need(entry["seq"] == seq and entry["prev"] == before, f"log entry {seq} does not follow the one before")
        before, body, kind = file_digest, entry["body"], entry["kind"]
        for pack in body.get({"push": "packs", "mark": "replacements"}.get(kind), []):
            packs[pack["pack"]] = pack
        for pack_id in body["packs"] if kind == "sweep" else []:
            packs.pop(pack_id, None)
        for root in body.get("roots", []) if kind in ("push", "release") else []:
            roots[tuple(root[field] for field in ("form", "id", "kind", "asset"))] = kind == "push"
    return packs.values(), [root for root, complete in roots.items() if complete]

def remote_store(folder):
    """The packs of a remote, each compared with what the log says of it."""
    good = []
    for pack in read_log(folder)[0]:
        path = Path(folder, "packs", pack["sid"].hex(), pack["pack"].hex())
        try:
            need(path.stat().st_size == pack["size_bytes"], f"{path}: another size")
            need(blake3().update_mmap(path).digest() == pack["blake3"], f"{path}: damaged")
            good.append(path)
        except (Damaged, OSError) as error:
            print(f"skipped: {error}", file=sys.stderr)
    return Store(good)

def main(args):
    if len(args) == 3 and args[0] == "remote" and args[2] == "list":
        for form, version, kind, asset in sorted(read_log(args[1])[1]):
            print(form, version.hex(), kind, asset)
    elif len(args) == 5 and args[0] in ("store", "remote") and args[2] in ("file", "tree"):
        local = args[0] == "store"
        store = Store(sorted(Path(args[1], "packs").glob("*.pack"))) if local else remote_store(args[1])
        {"file": restore_file, "tree": restore_tree}[args[2]](store, bytes.fromhex(args[3]), args[4])
    else:
        sys.exit(__doc__)

if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (*BAD, OSError, LookupError, TypeError) as error:
        sys.exit(f"reader: {error or type(error).__name__}")
