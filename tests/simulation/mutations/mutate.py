#!/usr/bin/env python3
"""mutate.py MUTATION SOURCE_DIR OUTPUT: writes the mutated copy of the source file that MUTATION names.

A mutation is a text file: `source:`, `seed:` (that catches it) and `fault:` (a part of what the oracle has to say) lines and what it is
(`#`), then pairs of `--- find` and `--- put` with the text below them. A text that is not in the source exactly once fails the build: the
code has changed, so change the mutation too.
"""
import pathlib
import sys


def read(path):
    head, pairs, target = {}, [], None
    for line in path.read_text().splitlines():
        if line in ("--- find", "--- put"):
            if line == "--- find":
                pairs.append(([], []))
            target = pairs[-1][line == "--- put"]
        elif target is not None:
            target.append(line)
        elif line and not line.startswith("#"):
            name, _, value = line.partition(":")
            head[name] = value.strip()
    return head, [("\n".join(find), "\n".join(put)) for find, put in pairs]


def main():
    mutation, source_dir, output = map(pathlib.Path, sys.argv[1:])
    head, pairs = read(mutation)
    source = source_dir / head["source"]
    text = source.read_text()
    for find, put in pairs:
        if text.count(find) != 1:
            sys.exit(f"{mutation}: this text is in {source} {text.count(find)} times, not once:\n{find}")
        text = text.replace(find, put)
    output.write_text(f'#line 1 "{source}"\n' + text)


main()
