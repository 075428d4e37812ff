"""The floor: reads the needed columns of both sides and does nothing with them."""

import importlib
import sys
from pathlib import Path

from benchlib.worker import work

SIDES = ("legacy", "new")


def with_duckdb(job: dict) -> dict:
    """A sum over every column. Not `count` or `max`: DuckDB answers those from the statistics of the footer."""
    import duckdb

    con = duckdb.connect()
    cheap = [f"sum(strlen({c}))" if c in texts(job) else f"sum({c})" for c in columns(job) if c != job["day"]]
    cheap.append(f"sum({job['day']} - date '2025-01-01')")
    rows = [
        con.execute(f"select count(*), {', '.join(cheap)} from read_parquet('{job[side]}')").fetchone()[0]
        for side in SIDES
    ]
    return _answer(rows, f"DuckDB {duckdb.__version__}, a sum over each column")


def with_pyarrow(job: dict) -> dict:
    """Streams batches on all threads, texts as dictionaries, and drops them."""
    import pyarrow
    import pyarrow.dataset as ds

    options = ds.ParquetReadOptions(dictionary_columns=texts(job))
    rows = [
        sum(
            len(batch)
            for batch in ds.dataset(job[side], format=ds.ParquetFileFormat(options)).to_batches(columns=columns(job))
        )
        for side in SIDES
    ]
    return _answer(rows, f"pyarrow {pyarrow.__version__}, texts as dictionaries")


def with_polars(job: dict) -> dict:
    """A sum over every column, on the streaming engine."""
    import polars as pl

    rows = []
    for side in SIDES:
        sizes = [pl.col(c).str.len_bytes().sum() if c in texts(job) else pl.col(c) for c in columns(job)]
        cheap = [size.to_physical().sum() for size in sizes]
        frame = pl.scan_parquet(job[side]).select(pl.len().alias("rows"), *cheap).collect(engine="streaming")
        rows.append(frame["rows"][0])
    return _answer(rows, f"polars {pl.__version__}, a sum over each column")


def columns(job: dict) -> list[str]:
    return job["key"] + job["measures"] + job["attributes"]


def texts(job: dict) -> list[str]:
    return [c for c in columns(job) if c != job["day"] and c not in job["measures"]]


def _answer(rows: list[int], engine: str) -> dict:
    return {"rows_legacy": rows[0], "rows_new": rows[1], "engine": engine, "read": _bytes_read()}


def _bytes_read() -> int:
    """Bytes that this process took in by system calls; what it mapped into memory is not among them."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])


# What a reader imports is imported before the clock starts.
READERS = {
    "duckdb": (with_duckdb, "duckdb"),
    "pyarrow": (with_pyarrow, "pyarrow.dataset"),
    "polars": (with_polars, "polars"),
}

if __name__ == "__main__":
    reader, package = READERS[sys.argv[2]]
    importlib.import_module(package)
    work(reader)
