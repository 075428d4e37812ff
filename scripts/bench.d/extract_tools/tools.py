"""Runs one tool once on one server, measures it and holds what it read against what was planted."""

import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchlib import child
from extract_tools import planted, servers
from extract_tools.check import unlike

# The ways in which a tool can do the work; each is measured and the fastest counts.
WAYS = {
    "postgres": {"dualrun": ("",), "connectorx": ("table", "stream"), "adbc": ("",)},
    "mongodb": {
        "dualrun": ("by-id",),
        "dualrun-cursor": ("cursor",),
        "pymongoarrow": ("off", "threads"),
        "pymongo": ("",),
        "fetch-only": ("",),
    },
}
# Those that find out the types of documents by themselves.
UNTYPED = {"dualrun": ("spool",), "pymongoarrow": ("off", "threads")}
TOOLS = tuple(dict.fromkeys(tool for source in WAYS.values() for tool in source))

# Documents of an answer that are asked for: as the server likes, and as many as the reader of dualrun asks for.
BATCHES = {"pymongoarrow": 10_000, "pymongo": 10_000, "fetch-only": 10_000}

# What dualrun is told of the documents; the others are told the same in their own words.
SHAPE = {
    "_id": "text",
    "customerId": "text",
    "region": "text",
    "instanceType": "text",
    "startedAt": "timestamp",
    "usage.hours": "float",
    "usage.kwh": {"type": "decimal", "precision": 18, "scale": 6},
    "cpus": "integer",
    "bytes": "integer",
    "active": "boolean",
    "site.country": "text",
    "site.city": "text",
    "lines[].sku": "text",
    "lines[].pieces": "integer",
    "lines[].price": "float",
    "team": "text",
}


@dataclass(frozen=True)
class Settings:
    """What holds for every run."""

    extract: Path
    timeout: float
    ceiling: int


@dataclass(frozen=True)
class Table:
    """A table or a collection that was filled."""

    source: str
    rows: int

    @property
    def name(self) -> str:
        name = f"usage_{self.rows}"
        return f"{servers.PLACE}.{name}" if self.source == "postgres" else name

    def planted(self) -> dict:
        """What stands in its columns."""
        return planted.of_rows(self.rows) if self.source == "postgres" else planted.of_documents(self.rows)


@dataclass(frozen=True)
class Program:
    """A tool in one of its ways, with so many connections."""

    source: str
    tool: str
    way: str
    connections: int = 1
    typed: bool = True  # whether it is told the types of the fields

    def setting(self) -> str:
        """What all tools that it is compared with were given too."""
        if self.source == "mongodb":
            return "types declared" if self.typed else "types unknown"
        return "1 connection" if self.connections == 1 else f"{self.connections} connections"

    def label(self) -> str:
        """For people: `connectorx-stream, 2 connections`."""
        way = f"-{self.way}" if self.way and self.way not in self.tool else ""
        return f"{self.tool}{way}, {self.setting()}"


@dataclass
class Run:
    """One program, once. `seconds` leaves out the start of Python; the others are of the whole process."""

    program: Program
    rows: int
    engine: str = ""
    seconds: float = math.nan
    cpu: float = math.nan
    wall: float = math.nan
    peak: int = 0
    failed: str = ""
    wrong: list[str] = field(default_factory=list)

    def cores(self) -> float:
        """Cores that were busy on average."""
        return self.cpu / self.seconds if self.seconds > 0 else math.nan


def programs(source: str, tools: list[str], connections: list[int]) -> list[Program]:
    """Of PostgreSQL with each number of connections; of MongoDB with types declared and without, one connection each."""
    if source == "postgres":
        settings = [(WAYS[source], count, True) for count in connections]
    else:
        settings = [(WAYS[source], 1, True), (UNTYPED, 1, False)]
    return [
        Program(source, tool, way, count, typed)
        for known, count, typed in settings
        for tool in known
        if tool in tools
        for way in known[tool]
    ]


def fill(table: Table, out: Path, drop: bool = False) -> dict:
    """Makes the table, or removes it; says how large it is and which server it stands on."""
    out.mkdir(parents=True, exist_ok=True)
    job = {"table": table.name, "rows": table.rows, "drop": drop, "answer": str(out / "filled.json")}
    (out / "job.json").write_text(json.dumps(job))
    argv = [sys.executable, "-m", f"extract_tools.fill_{table.source}", str(out / "job.json")]
    used = child.run(argv, out, timeout=24 * 3600, ceiling=2**62)
    if used.code != 0:
        raise SystemExit(f"{table.name} cannot be filled: {child.last_line(out / 'stderr.txt')}")
    return json.loads(Path(job["answer"]).read_text())


def run(program: Program, table: Table, out: Path, settings: Settings, check: dict | None = None) -> Run:
    """Runs a program; where `check` is given every value is looked at, and the time says nothing."""
    out.mkdir(parents=True, exist_ok=True)
    job = _job(program, table, out, check is not None)
    (out / "job.json").write_text(json.dumps(job))
    used = child.run(_command(program, out, settings), out, settings.timeout, settings.ceiling)
    result = Run(program, table.rows, wall=used.wall, peak=used.peak, cpu=used.cpu)
    if used.ended or used.code != 0:
        result.failed = used.ended or f"exit {used.code}: {child.last_line(out / 'stderr.txt')}"
        return result
    answer = json.loads(Path(job["answer"]).read_text())
    result.engine, result.seconds = answer["engine"], answer["seconds"]
    result.cpu = answer.get("cpu", used.cpu)
    if answer["rows"] != table.rows:
        result.wrong = [f"rows: {answer['rows']}, planted {table.rows}"]
    elif check is not None and program.tool != "fetch-only":
        result.wrong = unlike(answer["columns"], check)
    return result


def _job(program: Program, table: Table, out: Path, check: bool) -> dict:
    return {
        "source": program.source,
        "way": program.way,
        "connections": program.connections,
        "typed": program.typed,
        "table": table.name,
        "collection": table.name,
        "database": servers.PLACE,
        "query": f"SELECT * FROM {table.name}",
        "key": "id",
        "rows": table.rows,
        "batch": BATCHES.get(program.tool),
        "shape": SHAPE,
        "check": check,
        "answer": str(out / "answer.json"),
    }


def _command(program: Program, out: Path, settings: Settings) -> list[str]:
    job = str(out / "job.json")
    if program.tool.startswith("dualrun"):
        return [str(settings.extract), job]
    module = "with_pymongo" if program.tool == "fetch-only" else f"with_{program.tool}"
    way = "raw" if program.tool == "fetch-only" else program.way
    return [sys.executable, "-m", f"extract_tools.{module}", job, *([way] if way else [])]
