"""Data sets on disk, made once for each set of parameters."""

import hashlib
import json
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchlib import child
from compare_tools.scenarios import Scenario

# Raised when the generator makes other data from the same parameters.
_VERSION = 1

KEY = ["customer", "day", "service"]


@dataclass(frozen=True)
class Data:
    """Both sides as Parquet and what was planted in them."""

    folder: Path
    truth: dict

    @property
    def sides(self) -> list[Path]:
        return [self.folder / "legacy.parquet", self.folder / "new.parquet"]

    def bytes(self) -> int:
        """Both files together."""
        return sum(path.stat().st_size for path in self.sides)


def prepare(scenario: Scenario, base: Path, say) -> Data:
    """The data of a scenario, from `base` where they were made before."""
    parameters = {k: v for k, v in asdict(scenario).items() if k not in ("name", "title")}
    digest = hashlib.sha256(json.dumps([_VERSION, parameters], sort_keys=True).encode()).hexdigest()[:12]
    folder = base / f"{scenario.order}-{scenario.rows}-{digest}"
    truth = folder / "truth.json"
    if not truth.exists():
        say(f"generating {scenario.sentence()}")
        _generate(scenario, folder)
    return Data(folder, json.loads(truth.read_text()))


def _generate(scenario: Scenario, folder: Path) -> None:
    partial = folder.with_name(folder.name + ".part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    fields = (
        "rows",
        "customers",
        "measures",
        "attributes",
        "differ",
        "change",
        "one_sided",
        "noise",
        "giant",
        "seed",
    )
    job = {
        "shape": {field: getattr(scenario, field) for field in fields},
        "folder": str(partial),
        "truth": str(partial / "truth.json"),
        "order": scenario.order,
        "row_group": scenario.row_group,
        "compression": scenario.compression,
    }
    (partial / "job.json").write_text(json.dumps(job))
    argv = [sys.executable, "-m", "compare_tools.generate", str(partial / "job.json")]
    used = child.run(argv, partial, timeout=24 * 3600, ceiling=2**62)
    if used.code != 0:
        raise SystemExit(f"the generator failed: {used.ended}\n{(partial / 'stderr.txt').read_text()}")
    partial.rename(folder)
