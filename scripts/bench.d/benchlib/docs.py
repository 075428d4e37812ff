"""Keeps generated sections of a Markdown file between markers, with the command that makes them again."""

import shlex
import sys
from pathlib import Path

# Switches that change no figure.
_SILENT = ("--markdown", "--update-docs", "--keep")


def update(file: Path, place: str, name: str, section: str) -> None:
    """Replaces the section `name`; where there is none yet it goes before the marker `<!-- bench:PLACE -->`."""
    begin, end = f"<!-- bench:{place}:{name} -->", f"<!-- /bench:{place}:{name} -->"
    block = f"{begin}\n{section.strip()}\n{end}"
    old = file.read_text(encoding="utf-8")
    if begin in old:
        head, _, rest = old.partition(begin)
        _, found, tail = rest.partition(end)
        if not found:
            raise SystemExit(f"{file.name}: {begin} has no {end}")
        new = head + block + tail
    else:
        here = f"<!-- bench:{place} -->"
        if here not in old:
            raise SystemExit(f"{file.name}: no marker {here}")
        new = old.replace(here, f"{block}\n\n{here}", 1)
    partial = file.with_suffix(".md.part")
    partial.write_text(new, encoding="utf-8")
    partial.replace(file)


def command(name: str, silent: tuple[str, ...]) -> str:
    """What was typed after `scripts/bench NAME`, without the options `silent`, which take a value, and switches that
    change no figure."""
    words, skip = [], False
    for word in sys.argv[1:]:
        if skip or word in _SILENT:
            skip = False
        elif word in silent:
            skip = True
        elif not word.startswith(tuple(f"{option}=" for option in silent)):
            words.append(shlex.quote(word))
    return " ".join([f"scripts/bench {name}", *words])
