"""Writes both sides as Parquet, and what was planted: `python -m compare_tools.generate JOB.json`."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from compare_tools.rows import FIRST_DAY, Layout, Part, Shape, Shuffle, part

# Rows that are made at once. Bounds the memory; the data do not depend on it where they are sorted.
_CHUNK = 1_000_000


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    shape = Shape(**job["shape"])
    folder = Path(job["folder"])
    layout = Layout(shape)
    names = Names(shape, layout)
    truth = Truth(shape)
    sides = [Side(folder / f"{name}.parquet", job, i) for i, name in enumerate(("legacy", "new"))]
    for start in range(0, shape.rows, _CHUNK):
        end = min(start + _CHUNK, shape.rows)
        ordered = part(shape, layout, np.arange(start, end))
        truth.add(ordered)
        for i, side in enumerate(sides):
            facts = ordered if job["order"] == "sorted" else part(shape, layout, Shuffle(shape, i)(start, end))
            side.write(names.table(facts, i))
    for side in sides:
        side.close()
    Path(job["truth"]).write_text(json.dumps(truth.report(), indent=2))


class Names:
    """The texts of keys, padded so that bytewise order is the order of the numbers."""

    def __init__(self, shape: Shape, layout: Layout) -> None:
        self.customers = pa.array([f"customer-{i:08d}" for i in range(shape.customers)])
        self.services = pa.array([f"service-{i:07d}" for i in range(int(layout.services.max()))])
        self.columns = [f"measure_{i + 1}" for i in range(shape.measures)]
        self.columns += [f"attribute_{i + 1}" for i in range(shape.attributes)]

    def table(self, facts: Part, side: int) -> pa.Table:
        """The rows that one side has."""
        kept = (facts.on_legacy, facts.on_new)[side]
        columns = {
            "customer": self.customers.take(pa.array(facts.customer[kept])),
            "day": pa.array((facts.day[kept] + FIRST_DAY).astype(np.int32)).cast(pa.date32()),
            "service": self.services.take(pa.array(facts.service[kept])),
        }
        for name, values in zip(self.columns, (facts.legacy, facts.new)[side]):
            columns[name] = pa.array(values[kept])
        return pa.table(columns)


class Side:
    """A Parquet file with row groups of even size. The first group of the new side is half as long, so that the groups
    of the two sides never line up by luck."""

    def __init__(self, path: Path, job: dict, side: int) -> None:
        self.path, self.job = path, job
        self.group = job["row_group"]
        self.room = self.group if side == 0 else max(1, self.group // 2)
        self.writer: pq.ParquetWriter | None = None
        self.waiting: list[pa.Table] = []

    def write(self, table: pa.Table) -> None:
        self.waiting.append(table)
        while sum(map(len, self.waiting)) >= self.room:
            everything = pa.concat_tables(self.waiting)
            self._group(everything.slice(0, self.room))
            self.waiting, self.room = [everything.slice(self.room)], self.group

    def close(self) -> None:
        if self.waiting:
            self._group(pa.concat_tables(self.waiting))
        if self.writer is not None:
            self.writer.close()

    def _group(self, table: pa.Table) -> None:
        if self.writer is None:
            texts = [field.name for field in table.schema if field.type not in (pa.float64(),)]
            self.writer = pq.ParquetWriter(
                self.path,
                table.schema,
                compression=self.job["compression"],
                use_dictionary=texts,
                store_schema=False,
            )
        if len(table):
            self.writer.write_table(table, row_group_size=len(table))


class Truth:
    """Counts what was planted while it is planted."""

    def __init__(self, shape: Shape) -> None:
        self.measures = shape.measures
        self.counts = dict.fromkeys(("rows_legacy", "rows_new", "differing", "only_legacy", "only_new"), 0)
        self.gross = [0.0] * shape.measures

    def add(self, facts: Part) -> None:
        counted = {
            "rows_legacy": facts.on_legacy,
            "rows_new": facts.on_new,
            "differing": facts.differs,
            "only_legacy": ~facts.on_new,
            "only_new": ~facts.on_legacy,
        }
        for name, which in counted.items():
            self.counts[name] += int(np.count_nonzero(which))
        for i in range(self.measures):
            legacy = np.where(facts.on_legacy, facts.legacy[i], 0.0)
            new = np.where(facts.on_new, facts.new[i], 0.0)
            self.gross[i] += float(np.abs(new - legacy).sum())

    def report(self) -> dict:
        gross = {f"measure_{i + 1}": value for i, value in enumerate(self.gross)}
        return {**self.counts, "gross": gross}


if __name__ == "__main__":
    main()
