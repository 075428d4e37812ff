"""Runs one tool once on one data set, measures it and holds its answer against what was planted."""

import json
import math
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from benchlib import child
from compare_tools.data import KEY, Data
from compare_tools.scenarios import Scenario

# Far below every planted difference, far above the planted noise of 1e-12.
ABSOLUTE = RELATIVE = 1e-9

COUNTS = ("rows_legacy", "rows_new", "differing", "only_legacy", "only_new")
TOOLS = ("scan", "dualrun", "duckdb", "polars", "datacompy")

# Tools that can do the work in several ways; each is measured and the fastest counts.
WAYS = {
    "scan": ("duckdb", "pyarrow", "polars"),
    "duckdb": ("once", "twice"),
    "datacompy": ("pandas", "polars"),
}


@dataclass(frozen=True)
class Settings:
    """What holds for every run."""

    dualrun: Path
    scanner: Path  # a program that only reads; left out where it does not exist
    memory: str | None  # for dualrun, as its command line takes it
    timeout: float
    ceiling: int

    def diff_takes_memory(self) -> bool:
        """Whether `dualrun diff` knows `--memory`."""
        shown = subprocess.run([self.dualrun, "diff", "--help"], capture_output=True, text=True, check=True)
        return re.search(r"--memory\b(?!-)", shown.stdout) is not None


@dataclass
class Run:
    """One tool, once. `seconds` and `cpu` leave out the start of Python; `wall` and `peak` are of the whole process."""

    tool: str
    engine: str = ""
    seconds: float = math.nan
    cpu: float = math.nan
    wall: float = math.nan
    peak: int = 0
    failed: str = ""  # why there is no figure
    wrong: list[str] = field(default_factory=list)  # what it counted otherwise than planted

    def cores(self) -> float:
        """Cores that were busy on average."""
        return self.cpu / self.seconds if self.seconds > 0 else math.nan


def programs(tool: str, settings: Settings) -> list[str]:
    """The names of the programs behind a tool: `duckdb-once`, `duckdb-twice`."""
    ways = [f"{tool}-{way}" for way in WAYS[tool]] if tool in WAYS else [tool]
    return ways + (["scan-arrow-rs"] if tool == "scan" and settings.scanner.exists() else [])


def run(program: str, scenario: Scenario, data: Data, out: Path, settings: Settings) -> Run:
    """Runs a program with a warm page cache; its files go to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    job = _job(scenario, data, out)
    (out / "job.json").write_text(json.dumps(job))
    argv = _command(program, job, out, settings)
    child.warm(data.sides)
    used = child.run(argv, out, settings.timeout, settings.ceiling)
    result = Run(program, wall=used.wall, peak=used.peak)
    if used.ended or used.code not in ((0, 1) if program == "dualrun" else (0,)):
        result.failed = used.ended or f"exit {used.code}: {child.last_line(out / 'stderr.txt')}"
        return result
    answer = _answer(program, job, out, settings, used)
    result.engine, result.seconds, result.cpu = answer["engine"], answer["seconds"], answer["cpu"]
    result.wrong = _unlike(answer, data.truth)
    result.failed = _unread(program, answer, data)
    if "differences" in answer and not result.wrong:
        result.wrong = _check_stored(job, data.truth, out)
    return result


def _job(scenario: Scenario, data: Data, out: Path) -> dict:
    return {
        "legacy": str(data.sides[0]),
        "new": str(data.sides[1]),
        "key": KEY,
        "customer": KEY[0],
        "day": KEY[1],
        "measures": [f"measure_{i + 1}" for i in range(scenario.measures)],
        "attributes": [f"attribute_{i + 1}" for i in range(scenario.attributes)],
        "absolute": ABSOLUTE,
        "relative": RELATIVE,
        "out": str(out),
        "differences": str(out / "differences.parquet"),
        "answer": str(out / "answer.json"),
    }


def _command(program: str, job: dict, out: Path, settings: Settings) -> list[str]:
    if program == "dualrun":
        argv = [str(settings.dualrun), "diff", job["legacy"], job["new"], "--key", ",".join(job["key"])]
        argv += [
            "--customer",
            job["customer"],
            "--abs",
            repr(job["absolute"]),
            "--rel",
            repr(job["relative"]),
        ]
        argv += [
            "--differences",
            job["differences"],
            "--result-file",
            job["answer"],
            "--format",
            "json",
            "--quiet",
        ]
        return argv + (["--memory", settings.memory] if settings.memory else [])
    if program == "scan-arrow-rs":
        return [
            str(settings.scanner),
            job["legacy"],
            job["new"],
            ",".join(job["key"] + job["measures"] + job["attributes"]),
        ]
    tool, _, way = program.partition("-")
    module = "scan" if tool == "scan" else f"with_{tool}"
    return [sys.executable, "-m", f"compare_tools.{module}", str(out / "job.json"), *([way] if way else [])]


def _answer(program: str, job: dict, out: Path, settings: Settings, used: child.Usage) -> dict:
    if program == "scan-arrow-rs":
        told = (out / "stdout.txt").read_text()
        answer = json.loads(told) if told.lstrip().startswith("{") else {}
        return {"engine": "the parquet crate", "seconds": used.wall, "cpu": used.cpu, **answer}
    answer = json.loads(Path(job["answer"]).read_text())
    if program != "dualrun":
        return answer | ({"differences": True} if "differing" in answer else {})
    rows = answer["rows"]
    return {
        "engine": _version(settings),
        "seconds": used.wall,
        "cpu": used.cpu,
        "rows_legacy": rows["legacy"],
        "rows_new": rows["new"],
        "differing": rows["unexplained"],
        "only_legacy": rows["only_legacy"],
        "only_new": rows["only_new"],
        "gross": {
            c["name"]: float(c["gross_difference"]) for c in answer["columns"] if c["gross_difference"] is not None
        },
        "differences": True,
    }


def _version(settings: Settings) -> str:
    shown = subprocess.run([settings.dualrun, "--version"], capture_output=True, text=True, check=True)
    return shown.stdout.strip() + (
        f" with --memory {settings.memory}" if settings.memory else " without a memory limit"
    )


def _unlike(answer: dict, truth: dict) -> list[str]:
    """Counts must be the planted ones to the row; sums of floats within the error of a plain sum."""
    wrong = [
        f"{name}: {answer[name]}, planted {truth[name]}"
        for name in COUNTS
        if name in answer and answer[name] != truth[name]
    ]
    for measure, planted in truth["gross"].items():
        told = answer.get("gross", {}).get(measure, planted)
        if not math.isclose(told, planted, rel_tol=1e-6, abs_tol=1e-6):
            wrong.append(f"gross difference of {measure}: {told}, planted {planted}")
    return wrong


def _unread(program: str, answer: dict, data: Data) -> str:
    """A scan that is answered from the footer is none. polars maps its files into memory, so its bytes are not seen."""
    if program not in ("scan-duckdb", "scan-pyarrow") or answer["read"] >= 0.9 * data.bytes():
        return ""
    return f"not a scan: it read {answer['read']} of {data.bytes()} bytes"


def _check_stored(job: dict, truth: dict, out: Path) -> list[str]:
    """As many different keys must stand in the stored differences as were planted."""
    expected = truth["differing"] + truth["only_legacy"] + truth["only_new"]
    if expected == 0 and not Path(job["differences"]).exists():
        return []
    check = job | {"expected": expected, "answer": str(out / "stored.json")}
    (out / "check.json").write_text(json.dumps(check))
    argv = [sys.executable, "-m", "compare_tools.count_differences", str(out / "check.json")]
    used = child.run(argv, out, timeout=3600, ceiling=2**62)
    if used.code != 0:
        return [f"its stored differences cannot be read: {child.last_line(out / 'stderr.txt')}"]
    keys = json.loads((out / "stored.json").read_text())["keys"]
    return [] if keys == expected else [f"keys in the stored differences: {keys}, planted {expected}"]
