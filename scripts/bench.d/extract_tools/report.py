"""Medians, ratios and tables out of runs."""

import math
from dataclasses import dataclass
from statistics import median

from benchlib import tables
from benchlib.sizes import ratio, seconds, short_bytes, short_count
from extract_tools.tools import Program, Run

HEAD = [
    "tool",
    "with",
    "seconds",
    "rows a second",
    "takes ×",
    "CPU seconds",
    "CPU ×",
    "peak memory",
    "… of a tenth",
    "values",
]

TITLES = {"postgres": "PostgreSQL", "mongodb": "MongoDB"}


@dataclass(frozen=True)
class Line:
    """A program: medians over its rounds."""

    program: Program
    engine: str
    rows: int
    seconds: float
    cpu: float
    wall: float
    peak: int
    tenth: int
    runs: int
    failed: str
    wrong: list[str]


def lines(runs: list[Run], tenths: list[Run], checks: list[Run]) -> list[Line]:
    """One line for each tool and setting. Of a tool that has several ways the fastest counts."""
    best: dict[tuple[str, str], Line] = {}
    for line in ways(runs, tenths, checks):
        place = (line.program.setting(), line.program.tool)
        if place not in best or _order(line) < _order(best[place]):
            best[place] = line
    return list(best.values())


def _order(line: Line) -> tuple[bool, float]:
    return bool(line.failed), line.seconds


def ways(runs: list[Run], tenths: list[Run], checks: list[Run]) -> list[Line]:
    """One line for each program."""

    def of(program: Program, some: list[Run]) -> list[Run]:
        return [run for run in some if run.program == program]

    programs = dict.fromkeys(run.program for run in checks + runs)
    return [_line(program, of(program, runs), of(program, tenths), of(program, checks)) for program in programs]


def _line(program: Program, runs: list[Run], tenths: list[Run], checks: list[Run]) -> Line:
    good = [run for run in runs if not run.failed]

    def middle(values) -> float:
        values = list(values)
        return median(values) if values else math.nan

    return Line(
        program=program,
        engine=next((run.engine for run in good + checks if run.engine), ""),
        rows=max((run.rows for run in runs + checks), default=0),
        seconds=middle(run.seconds for run in good),
        cpu=middle(run.cpu for run in good),
        wall=middle(run.wall for run in (good or runs)),
        peak=max((run.peak for run in runs), default=0),
        tenth=max((run.peak for run in tenths if not run.failed), default=0),
        runs=len(good),
        failed=next((run.failed for run in checks + runs + tenths if run.failed), ""),
        wrong=sorted({text for run in checks + runs + tenths for text in run.wrong}),
    )


def table(found: list[Line], form) -> str:
    """`form` is `tables.text` or `tables.markdown`."""
    ours = {line.program.setting(): line for line in found if line.program.tool == "dualrun"}
    return form(HEAD, [_cells(line, ours.get(line.program.setting())) for line in found])


def _cells(line: Line, ours: Line | None) -> list[str]:
    name, setting = line.program.tool, line.program.setting()
    if line.failed:
        return [name, setting, line.failed.split(":")[0], *["–"] * 4, short_bytes(line.peak), "–", "–"]
    verdict = "not checked" if name == "fetch-only" else "wrong" if line.wrong else "as planted"
    return [
        name,
        setting,
        seconds(line.seconds),
        f"{line.rows / line.seconds:,.0f}".replace(",", " "),
        ratio(line.seconds / ours.seconds if ours else math.nan),
        seconds(line.cpu),
        ratio(line.cpu / ours.cpu if ours else math.nan),
        short_bytes(line.peak),
        short_bytes(line.tenth) if line.tenth else "–",
        verdict,
    ]


def notes(found: list[Line], every: list[Line]) -> list[str]:
    """Sentences below the table: versions and ways, what failed, what is wrong."""
    said = []
    for tool in dict.fromkeys(line.program.tool for line in found):
        its = [line for line in every if line.program.tool == tool]
        chosen = {line.program.setting(): line.program.way for line in found if line.program.tool == tool}
        several = len({(line.program.setting(), line.program.way) for line in its}) > len(chosen)
        each = [f"{line.engine}: {_told(line)}" if several else line.engine for line in its]
        said.append(f"{tool}: {'; '.join(dict.fromkeys(each))}{'; the fastest counts' if several else ''}")
    for line in every:
        if line.failed:
            said.append(f"{line.program.label()} did not finish: {line.failed}")
        said += [f"{line.program.label()} is wrong: {text}" for text in line.wrong]
    return said


def _told(line: Line) -> str:
    return f"{line.failed or seconds(line.seconds)} ({line.program.setting()})"


def sentence(source: str, rows: int, filled: dict) -> str:
    """What was read, for people."""
    what = {
        "postgres": "13 columns: int8, int4, float8, numeric(18,6), numeric(12,2), timestamptz, date, bool, text and varchar",
        "mongodb": "12 fields: ObjectId, text, date, int32, int64, bool, two nested documents with double and Decimal128, "
        "a list of documents, a field that some lack or have as null",
    }[source]
    return f"{short_count(rows)} rows of {what}; {short_bytes(filled['bytes'])} on {filled['server']}"


def as_text(source: str, rows: int, filled: dict, found: list[Line], every: list[Line]) -> str:
    head = f"{TITLES[source]}: {sentence(source, rows, filled)}"
    return "\n".join([head, "", table(found, tables.text), "", *notes(found, every)])


def as_markdown(source: str, rows: int, filled: dict, found: list[Line], every: list[Line], command: str, machine: str) -> str:  # fmt: skip
    repeated = max((line.runs for line in found), default=0)
    how = f"Median of {repeated} runs." if repeated > 1 else "One run."
    parts = [
        f"#### {TITLES[source]}, {short_count(rows)} rows",
        f"{sentence(source, rows, filled)}. {how}",
        f"```console\n{command}\n```",
        table(found, tables.markdown),
        "\n".join(f"- {note}" for note in notes(found, every) + [f"machine: {machine}"]),
    ]
    return "\n\n".join(parts)


def plain(run: Run) -> dict:
    """For JSON: figures that do not exist are null."""
    told = vars(run) | {"program": vars(run.program)}
    return {k: (None if isinstance(v, float) and math.isnan(v) else v) for k, v in told.items()}
