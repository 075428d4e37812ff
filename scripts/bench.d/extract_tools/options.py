"""The command line of `scripts/bench extract`."""

import argparse
import os
from pathlib import Path

from benchlib import docs
from benchlib.sizes import count, size
from extract_tools.servers import VARIABLES
from extract_tools.tools import TOOLS

ABOUT = """\
Fills a table of PostgreSQL and a collection of MongoDB on the servers of `scripts/services`, and reads them into Arrow
with every tool in turn, each a process of its own on the same server. In a first round, which is not measured, every
value is checked against what was planted; a tool that reads another value or misses a row makes the exit code 1.
"""

MEANING = """\
columns:
  seconds         from connecting to the last row, without starting Python and importing
  with            what every tool of that line was given alike: connections of PostgreSQL, types of documents
  takes ×         seconds over those of dualrun with the same
  CPU ×           CPU seconds over those of dualrun with the same
  CPU seconds     processor time of the tool, all threads; that of the server is not in it
  peak memory     largest resident memory of the whole process, as the kernel counts it
  … of a tenth    the same where a tenth of the rows is read

exit codes: 0 every value as planted; 1 a tool read otherwise, or dualrun failed; 2 wrong usage
"""


def parse(repository: Path) -> argparse.Namespace:
    """Reads the command line; wrong usage ends the program with 2."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench extract",
        description=ABOUT,
        epilog=MEANING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--source", choices=[*VARIABLES, "all"], default="all", help="which server; default both")
    parser.add_argument(
        "--rows", type=count, default=count("1m"), metavar="N", help="rows of the table, such as 10m (default 1m)"
    )
    parser.add_argument(
        "--connections",
        type=counts,
        default=[1, 2],
        metavar="A,B",
        help="of PostgreSQL, at the same time, the same for every tool (default 1,2); of MongoDB always 1",
    )
    parser.add_argument("--tools", default=",".join(TOOLS), metavar="A,B", help="default %(default)s")
    parser.add_argument(
        "--repeat", type=count, default=1, metavar="N", help="rounds, each in another order; medians are shown"
    )
    parser.add_argument(
        "--timeout", type=float, default=1800.0, metavar="S", help="seconds for one run of one tool (default 1800)"
    )
    parser.add_argument(
        "--ceiling", type=size, metavar="SIZE", help="resident memory at which a tool is ended (default 90 %% of what is free)"
    )  # fmt: skip
    parser.add_argument(
        "--extract",
        type=Path,
        default=repository / "target/release/examples/extract",
        metavar="FILE",
        help="the program that reads with dualrun's readers",
    )
    parser.add_argument("--keep", action="store_true", help="leave the tables on the servers for the next time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every run and its figures")
    parser.add_argument("--markdown", action="store_true", help="print the section for docs/performance.md")
    parser.add_argument("--update-docs", action="store_true", help="write the section into docs/performance.md")
    options = parser.parse_args()

    options.sources = list(VARIABLES) if options.source == "all" else [options.source]
    options.tools = [name.strip() for name in options.tools.split(",") if name.strip()]
    unknown = [name for name in options.tools if name not in TOOLS]
    if unknown or not options.tools:
        parser.error(f"--tools: {', '.join(unknown) or 'none'}; there are {', '.join(TOOLS)}")
    if "dualrun" in options.tools and not options.extract.exists():
        build = "cargo build --release -p dualrun-sources -p dualrun-cli --examples"
        parser.error(f"{options.extract} does not exist; build it with: {build}")
    missing = [VARIABLES[source] for source in options.sources if not os.environ.get(VARIABLES[source])]
    if missing:
        parser.error(f'not set: {", ".join(missing)}; run: eval "$(scripts/services env)"')
    return options


def counts(text: str) -> list[int]:
    """`1,2` as numbers."""
    return [count(part) for part in text.split(",")]


def command() -> str:
    """What was typed, without options that change no figure."""
    return docs.command("extract", ("--json", "--extract"))
