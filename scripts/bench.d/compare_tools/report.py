"""Medians, ratios and tables out of runs."""

import math
from dataclasses import dataclass
from statistics import median

from benchlib import tables
from benchlib.sizes import ratio, seconds, short_bytes
from compare_tools.scenarios import Scenario
from compare_tools.tools import TOOLS, Run

HEAD = [
    "tool",
    "seconds",
    "× scan",
    "DuckDB takes ×",
    "CPU seconds",
    "cores busy",
    "peak memory",
    "whole process",
    "counts",
]


@dataclass(frozen=True)
class Line:
    """A program on one data set: medians over its repetitions."""

    name: str
    engine: str
    seconds: float
    cpu: float
    wall: float
    peak: float
    cores: float
    runs: int
    failed: str
    wrong: list[str]
    skipped: str = ""

    def tool(self) -> str:
        """The tool without the way."""
        return self.name.split("-")[0]


def lines(runs: list[Run], skipped: dict[str, str]) -> list[Line]:
    """One line a tool, the scan first. Of a tool that has several ways the fastest counts."""
    by_tool: dict[str, list[Line]] = {}
    for name, its in grouped(runs).items():
        by_tool.setdefault(name.split("-")[0], []).append(_line(name, its))
    found = [min(ways, key=lambda way: (bool(way.failed), way.seconds)) for ways in by_tool.values()]
    left_out = [Line(name, "", *[math.nan] * 5, 0, "", [], why) for name, why in skipped.items()]
    return sorted(found + left_out, key=lambda line: TOOLS.index(line.tool()))


def grouped(runs: list[Run]) -> dict[str, list[Run]]:
    by_program: dict[str, list[Run]] = {}
    for run in runs:
        by_program.setdefault(run.tool, []).append(run)
    return by_program


def _line(name: str, runs: list[Run]) -> Line:
    good = [run for run in runs if not run.failed]

    def middle(values) -> float:
        values = list(values)
        return median(values) if values else math.nan

    return Line(
        name=name,
        engine=next((run.engine for run in good), ""),
        seconds=middle(run.seconds for run in good),
        cpu=middle(run.cpu for run in good),
        wall=middle(run.wall for run in (good or runs)),
        peak=max(run.peak for run in runs),
        cores=middle(run.cores() for run in good),
        runs=len(good),
        failed=next((run.failed for run in runs if run.failed), ""),
        wrong=sorted({text for run in runs for text in run.wrong}),
    )


def table(found: list[Line], form) -> str:
    """`form` is `tables.text` or `tables.markdown`."""
    took = {line.tool(): line.seconds for line in found}
    return form(HEAD, [_cells(line, took.get("scan", math.nan), took.get("duckdb", math.nan)) for line in found])


def _cells(line: Line, scan: float, duckdb: float) -> list[str]:
    name = "scan only" if line.tool() == "scan" else line.tool()
    if line.skipped:
        return [name, *["–"] * 7, "left out"]
    if line.failed:
        return [name, line.failed.split(":")[0], *["–"] * 4, short_bytes(line.peak), seconds(line.wall), "–"]
    verdict = "wrong" if line.wrong else "as planted"
    return [
        name,
        seconds(line.seconds),
        ratio(line.seconds / scan),
        ratio(duckdb / line.seconds),
        seconds(line.cpu),
        f"{line.cores:.1f}",
        short_bytes(line.peak),
        seconds(line.wall),
        verdict,
    ]


def notes(found: list[Line], runs: list[Run]) -> list[str]:
    """Sentences below the table: versions and ways, what failed, what is wrong, what was left out."""
    said = [f"{line.tool()}: {_ways(line, runs)}" for line in found if not line.skipped]
    for line in found:
        if line.skipped:
            said.append(f"{line.name} was left out: {line.skipped}")
    for name, its in grouped(runs).items():
        said += [f"{name} did not finish after {seconds(run.wall)}: {run.failed}" for run in its if run.failed]
        said += [f"{name} is wrong: {text}" for text in sorted({text for run in its for text in run.wrong})]
    return said


def _ways(line: Line, runs: list[Run]) -> str:
    """`DuckDB 2.0.0, one join 8.3 s; DuckDB 2.0.0, two joins 9.1 s (the fastest counts)`."""
    ways = {name: its for name, its in grouped(runs).items() if name.split("-")[0] == line.tool()}
    if len(ways) == 1:
        return line.engine or "no figure"
    each = [f"{its[0].engine or name}: {_way_time(its)}" for name, its in ways.items()]
    return "; ".join(each) + "; the fastest counts"


def _way_time(runs: list[Run]) -> str:
    good = [run.seconds for run in runs if not run.failed]
    return seconds(median(good)) if good else runs[0].failed


def as_text(scenario: Scenario, found: list[Line], runs: list[Run], size: int) -> str:
    head = f"{scenario.title}: {scenario.sentence()}; {short_bytes(size)} of Parquet"
    return "\n".join([head, "", table(found, tables.text), "", *notes(found, runs)])


def as_markdown(scenario: Scenario, found: list[Line], runs: list[Run], size: int, command: str, machine: str) -> str:
    repeated = max((line.runs for line in found), default=0)
    how = f"Median of {repeated} runs." if repeated > 1 else "One run."
    parts = [
        f"#### {scenario.title}, {scenario.label().rsplit('-', 1)[1]} rows a side",
        f"{scenario.sentence()}; {short_bytes(size)} of Parquet. {how}",
        f"```console\n{command}\n```",
        table(found, tables.markdown),
        "\n".join(f"- {note}" for note in notes(found, runs) + [f"machine: {machine}"]),
    ]
    return "\n\n".join(parts)


def plain(line: Line) -> dict:
    """For JSON: figures that do not exist are null."""
    return {k: (None if isinstance(v, float) and math.isnan(v) else v) for k, v in vars(line).items()}
