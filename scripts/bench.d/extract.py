"""`scripts/bench extract`: dualrun, ConnectorX, ADBC, PyMongoArrow and PyMongo on the same servers, in turn."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchlib import docs, machine
from benchlib.sizes import seconds, short_bytes, short_count
from extract_tools import report, tools
from extract_tools.options import command, parse

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ["connectorx", "adbc-driver-postgresql", "pymongoarrow", "pymongo", "pyarrow"]


def main() -> int:
    options = parse(REPOSITORY)
    settings = tools.Settings(
        extract=options.extract.absolute(),
        timeout=options.timeout,
        ceiling=options.ceiling or int(0.9 * machine.available()),
    )
    told = machine.describe(REPOSITORY, PACKAGES)
    say(machine.sentence(told))
    if told["load_before"] > 0.5:
        say("note: others use this machine; trust CPU seconds more than seconds")
    done = [measure(source, options, settings) for source in options.sources]
    for each in done:
        publish(each, options, told)
    if options.json:
        kept = [{k: v for k, v in each.items() if k not in ("found", "every")} for each in done]
        for each in kept:
            for name in ("runs", "tenths", "checks"):
                each[name] = [report.plain(run) for run in each[name]]
        options.json.write_text(json.dumps({"machine": told, "command": command(), "sources": kept}, indent=2))
    return 0 if all(each["sound"] for each in done) else 1


def measure(source: str, options: argparse.Namespace, settings: tools.Settings) -> dict:
    """Fills, checks, then runs every program `--repeat` times, and once on a tenth of the rows."""
    whole, tenth = tools.Table(source, options.rows), tools.Table(source, max(1, options.rows // 10))
    out = Path(tempfile.mkdtemp(prefix="dualrun-bench-"))
    programs = tools.programs(source, options.tools, options.connections)
    runs, tenths, checks = [], [], []
    try:
        say(f"{source}: filling {short_count(whole.rows)} rows")
        tools.fill(tenth, out)
        filled = tools.fill(whole, out)
        planted = whole.planted()
        for program in programs:
            checks.append(tools.run(program, whole, out, settings, planted))
            tenths.append(tools.run(program, tenth, out, settings))
            say(f"{source}: {program.label()}: {checks[-1].failed or '; '.join(checks[-1].wrong) or 'as planted'}")
        broken = {run.program for run in checks if run.failed}
        for turn in range(options.repeat):
            for program in rotated(programs, turn):
                if program in broken:
                    continue
                runs.append(tools.run(program, whole, out, settings))
                say(f"{source}: {program.label()}: {progress(runs[-1])}")
                if runs[-1].failed:
                    broken.add(program)
    finally:
        if not options.keep:
            for table in (whole, tenth):
                tools.fill(table, out, drop=True)
        shutil.rmtree(out, ignore_errors=True)
    sound = not any(run.wrong or (run.failed and run.program.tool == "dualrun") for run in checks + runs + tenths)
    return {
        "source": source,
        "rows": whole.rows,
        "filled": filled,
        "planted": planted,
        "found": report.lines(runs, tenths, checks),
        "every": report.ways(runs, tenths, checks),
        "runs": runs,
        "tenths": tenths,
        "checks": checks,
        "sound": sound,
    }


def rotated(programs: list, turn: int) -> list:
    by = turn % max(1, len(programs))
    return programs[by:] + programs[:by]


def progress(run: tools.Run) -> str:
    return run.failed or f"{seconds(run.seconds)}, {seconds(run.cpu)} of CPU, {short_bytes(run.peak)}"


def publish(done: dict, options: argparse.Namespace, told: dict) -> None:
    """Prints the table, and writes it into the documentation where that was asked for and every value was right."""
    which = (done["source"], done["rows"], done["filled"], done["found"], done["every"])
    section = report.as_markdown(*which, command(), machine.sentence(told))
    print(section if options.markdown else report.as_text(*which), flush=True)
    print(flush=True)
    if options.update_docs and done["sound"]:
        name = f"{done['source']}-{short_count(done['rows'])}"
        docs.update(REPOSITORY / "docs/performance.md", "extract", name, section)
    elif options.update_docs:
        say("docs/performance.md stays as it is: not everything was right")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
