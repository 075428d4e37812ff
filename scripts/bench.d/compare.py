"""`scripts/bench compare`: dualrun, a plain scan, DuckDB, polars and DataComPy on the same generated files, in turn."""

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path

from benchlib import docs, machine
from benchlib.sizes import short_bytes
from compare_tools import data, report, tools
from compare_tools.options import command, parse
from compare_tools.scenarios import FIXED_SIZE, SCENARIOS, Scenario

REPOSITORY = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("DUALRUN_CACHE") or Path.home() / ".cache" / "dualrun")
PACKAGES = ["duckdb", "polars", "datacompy", "pandas", "pyarrow", "numpy"]


def main() -> int:
    options = parse(REPOSITORY)
    settings = settings_of(options)
    told = machine.describe(REPOSITORY, PACKAGES)
    base = (options.data or CACHE / "bench-data").absolute()
    reports, sound = [], True
    say(machine.sentence(told))
    if told["load_before"] > 0.5:
        say("note: others use this machine; the times will be too high")
    for scenario in scenarios_of(options):
        done = measure(scenario, options, settings, base)
        sound &= done["sound"]
        reports.append(done)
        publish(scenario, done, options, told)
    if options.json:
        keep = [{k: v for k, v in done.items() if k not in ("lines", "runs")} | plain(done) for done in reports]
        options.json.write_text(json.dumps({"machine": told, "command": command(), "scenarios": keep}, indent=2))
    return 0 if sound else 1


def settings_of(options: argparse.Namespace) -> tools.Settings:
    binary = options.dualrun.absolute()
    settings = tools.Settings(
        dualrun=binary,
        scanner=binary.parent / "examples" / "scan",
        memory=options.memory,
        timeout=options.timeout,
        ceiling=options.ceiling or int(0.9 * machine.available()),
    )
    if "dualrun" not in options.tools or settings.diff_takes_memory():
        return settings
    say("note: this `dualrun diff` takes no --memory; it runs without a limit")
    return replace(settings, memory=None)


def scenarios_of(options: argparse.Namespace) -> list[Scenario]:
    names = options.scenario or ["sorted"]
    chosen = list(SCENARIOS) if "all" in names else list(dict.fromkeys(names))
    fields = ("rows", "customers", "measures", "attributes", "differ", "change", "one_sided", "noise", "order", "giant",
              "row_group", "compression", "seed")  # fmt: skip
    given = {field: getattr(options, field) for field in fields if getattr(options, field) is not None}

    def own(name: str) -> Scenario:
        values = {k: v for k, v in given.items() if not (k == "rows" and name in FIXED_SIZE)}
        return SCENARIOS[name].with_values(values)

    return [own(name) for name in chosen]


def measure(scenario: Scenario, options: argparse.Namespace, settings: tools.Settings, base: Path) -> dict:
    """Runs every tool `--repeat` times on one data set."""
    files = data.prepare(scenario, base, say)
    out = base / f"out-{os.getpid()}" / scenario.label()
    wanted, skipped = list(options.tools), {}
    if "datacompy" in wanted and scenario.rows > options.datacompy_max:
        wanted.remove("datacompy")
        skipped["datacompy"] = (
            "it holds both sides in memory; --datacompy-max sets the size beyond which it is not tried"
        )
    programs = [program for tool in wanted for program in tools.programs(tool, settings)]
    runs, failed = [], set()
    try:
        for turn in range(options.repeat):
            for program in rotated(programs, turn):
                if program in failed:
                    continue
                done = tools.run(program, scenario, files, out / f"{turn}-{program}", settings)
                runs.append(done)
                say(progress(scenario, done))
                if done.failed:
                    failed.add(program)
                if not options.keep:
                    shutil.rmtree(out / f"{turn}-{program}")
    finally:
        if not options.keep:
            shutil.rmtree(out.parent, ignore_errors=True)
    found = report.lines(runs, skipped)
    size_on_disk = files.bytes()
    if not options.keep and options.data is None:
        shutil.rmtree(files.folder)
    sound = not any(run.wrong or (run.failed and run.tool == "dualrun") for run in runs)
    return {
        "scenario": asdict(scenario),
        "truth": files.truth,
        "bytes": size_on_disk,
        "lines": found,
        "runs": runs,
        "sound": sound,
    }


def rotated(programs: list[str], turn: int) -> list[str]:
    by = turn % len(programs)
    return programs[by:] + programs[:by]


def progress(scenario: Scenario, run: tools.Run) -> str:
    told = run.failed or f"{run.seconds:.2f} s, {short_bytes(run.peak)}, {run.cores():.1f} cores"
    return f"{scenario.label()}: {run.tool}: {told}{'; WRONG: ' + '; '.join(run.wrong) if run.wrong else ''}"


def publish(scenario: Scenario, done: dict, options: argparse.Namespace, told: dict) -> None:
    """Prints the table, and writes it into the documentation where that was asked for and every count was right."""
    found, runs = done["lines"], done["runs"]
    section = report.as_markdown(scenario, found, runs, done["bytes"], command(), machine.sentence(told))
    print(section if options.markdown else report.as_text(scenario, found, runs, done["bytes"]), flush=True)
    print(flush=True)
    if options.update_docs and done["sound"]:
        docs.update(REPOSITORY / "docs/performance.md", "compare", scenario.label(), section)
    elif options.update_docs:
        say("docs/performance.md stays as it is: not everything was right")


def plain(done: dict) -> dict:
    return {
        "tools": [report.plain(line) for line in done["lines"]],
        "runs": [report.plain(run) | {"cores": None if run.failed else run.cores()} for run in done["runs"]],
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
