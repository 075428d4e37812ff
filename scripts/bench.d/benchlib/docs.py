"""Keeps generated sections of a Markdown file between markers."""

from pathlib import Path


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
