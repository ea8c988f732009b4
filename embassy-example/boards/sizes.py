#!/usr/bin/env python3
"""Flash and static memory of the boards' images, compared with the table in README.md.

usage: sizes.py [--write] NAME=IMAGE...   --write makes the table anew
"""
import os, re, struct, sys

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
HEAD = ["| board | flash | static RAM |", "|---|---:|---:|"]
TOLERANCE = 0.03
NOBITS, WRITE, ALLOC = 8, 1, 2


def sections(path):
    """The sections that take memory: name, type, flags, size (32-bit ELF)."""
    with open(path, "rb") as f:
        image = f.read()
    start, = struct.unpack_from("<I", image, 32)
    count, names = struct.unpack_from("<HH", image, 48)
    rows = [struct.unpack_from("<10I", image, start + 40 * i) for i in range(count)]
    for row in rows:
        name = image[rows[names][4] + row[0]:].split(b"\0", 1)[0].decode()
        if row[2] & ALLOC:
            yield name, row[1], row[2], row[5]


def measure(path):
    flash = ram = 0
    for name, kind, flags, size in sections(path):
        if kind != NOBITS:
            flash += size
        # On an ESP32 `.rwdata_dummy` is the place of the code that runs from RAM; `.stack` is what is left over.
        if flags & WRITE or name in (".data", ".rwdata_dummy"):
            ram += size
    return flash, ram


def main(arguments):
    write = "--write" in arguments
    images = [a.split("=", 1) for a in arguments if a != "--write"]
    lines = HEAD + ["| `%s` | %d | %d |" % (name, *measure(path)) for name, path in images]
    print("\n".join(lines))
    with open(TABLE) as f:
        text = f.read()
    match = re.search(re.escape(HEAD[0]) + r"\n(\|.*\n)*", text)
    if write:
        with open(TABLE, "w") as f:
            f.write(text[:match.start()] + "\n".join(lines) + "\n" + text[match.end():])
        return
    numbers = lambda rows: [int(n) for n in re.findall(r"(?<=\| )\d+", rows)]
    before, now = numbers(match.group()), numbers("\n".join(lines))
    if len(before) != len(now) or any(abs(b - n) > b * TOLERANCE for b, n in zip(before, now)):
        sys.exit("the table in embassy-example/boards/README.md has other figures: look at the change, then write it with\n"
                 "  SIZES_WRITE=1 tests/run boards")


main(sys.argv[1:])
