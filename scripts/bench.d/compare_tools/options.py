"""The command line of `scripts/bench compare`."""

import argparse
from pathlib import Path

from benchlib import docs
from benchlib.sizes import count, share, size
from compare_tools.scenarios import SCENARIOS
from compare_tools.tools import TOOLS

ABOUT = """\
Generates two sides with planted differences, lets every tool compare the same files in a process of its own with a
warm page cache, and prints time, peak memory and the ratios to a plain scan and to DuckDB. Every tool must find
exactly what was planted, else the exit code is 1.
"""

MEANING = """\
columns:
  seconds         the work: for the Python tools without starting Python and importing; for dualrun the whole process
  × scan          seconds over those of only reading the same columns of both sides with the fastest reader
  DuckDB takes ×  how many times as long DuckDB takes
  CPU seconds     processor time of the same span, all threads
  cores busy      CPU seconds over seconds
  peak memory     largest resident memory of the whole process, as the kernel counts it
  whole process   seconds from start to end, with Python and its imports

exit codes: 0 all counts as planted; 1 a tool counted otherwise, or dualrun failed; 2 wrong usage
"""


def parse(repository: Path) -> argparse.Namespace:
    """Reads the command line; wrong usage ends the program with 2."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench compare",
        description=ABOUT,
        epilog=MEANING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = parser.add_argument_group("data (beside or instead of a scenario's own values)")
    own.add_argument(
        "--scenario",
        action="append",
        choices=[*SCENARIOS, "all"],
        help="a named shape; may be repeated; default sorted",
    )
    own.add_argument(
        "--rows",
        type=count,
        metavar="N",
        help="rows a side, such as 10m (default 10m; `small` keeps its 1000)",
    )
    own.add_argument("--customers", type=count, metavar="N", help="customers (default 1000)")
    own.add_argument("--measures", type=count, metavar="N", help="float columns (default 2)")
    own.add_argument("--attributes", type=int, metavar="N", help="text columns beside the key (default 0)")
    own.add_argument("--differ", type=share, metavar="SHARE", help="rows that differ beyond tolerance (default 0.001)")
    own.add_argument(
        "--change", choices=["one", "all"], help="where such rows differ: in one column, or in every measure"
    )
    own.add_argument("--one-sided", type=share, metavar="SHARE", help="rows missing on each side (default 0.00001)")
    own.add_argument("--noise", type=share, metavar="SHARE", help="rows that differ within tolerance (default 0.001)")
    own.add_argument("--order", choices=["sorted", "shuffled"], help="order of both files (default sorted)")
    own.add_argument("--giant", type=share, metavar="SHARE", help="rows of one giant customer (default 0)")
    own.add_argument("--row-group", type=count, metavar="N", help="rows of a Parquet row group (default 1m)")
    own.add_argument(
        "--compression", choices=["zstd", "snappy", "lz4", "gzip", "none"], help="of Parquet (default zstd)"
    )
    own.add_argument("--seed", type=int, metavar="N", help="seed of the data (default 2025)")

    run = parser.add_argument_group("runs")
    run.add_argument("--tools", default=",".join(TOOLS), metavar="A,B", help="default %(default)s")
    run.add_argument(
        "--repeat",
        type=count,
        default=1,
        metavar="N",
        help="rounds, each in another order; medians are shown",
    )
    run.add_argument(
        "--memory",
        type=limit,
        default="512MB",
        metavar="SIZE",
        help="dualrun's limit, where `diff` takes one (default 512MB)",
    )
    run.add_argument(
        "--timeout",
        type=float,
        default=1800.0,
        metavar="S",
        help="seconds for one run of one tool (default 1800)",
    )
    run.add_argument(
        "--ceiling",
        type=size,
        metavar="SIZE",
        help="resident memory at which a tool is ended (default 90 %% of what is free)",
    )
    run.add_argument(
        "--datacompy-max",
        type=count,
        default=count("10m"),
        metavar="N",
        help="rows beyond which DataComPy is left out (default 10m)",
    )
    run.add_argument(
        "--dualrun",
        type=Path,
        default=repository / "target/release/dualrun",
        metavar="FILE",
        help="the binary",
    )

    out = parser.add_argument_group("files and output")
    out.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="where the data are kept for the next time; default: a cache folder, emptied afterwards",
    )
    out.add_argument("--keep", action="store_true", help="keep the data and what the tools wrote")
    out.add_argument("--json", type=Path, metavar="FILE", help="every run and its figures")
    out.add_argument(
        "--markdown", action="store_true", help="print the section for docs/performance.md instead of text"
    )
    out.add_argument("--update-docs", action="store_true", help="write the section into docs/performance.md")
    options = parser.parse_args()

    options.tools = [name.strip() for name in options.tools.split(",") if name.strip()]
    unknown = [name for name in options.tools if name not in TOOLS]
    if unknown or not options.tools:
        parser.error(f"--tools: {', '.join(unknown) or 'none'}; there are {', '.join(TOOLS)}")
    if "dualrun" in options.tools and not options.dualrun.exists():
        parser.error(f"{options.dualrun} does not exist; build it with: cargo build --release")
    if options.one_sided is not None and options.one_sided > 0.5:
        parser.error("--one-sided: at most 0.5, as it counts for each side")
    return options


def command() -> str:
    """What was typed, without options that change no figure."""
    return docs.command("compare", ("--data", "--json", "--dualrun"))


def limit(text: str) -> str:
    """A size that dualrun is given as it was typed."""
    size(text)
    return text
