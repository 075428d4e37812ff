"""ADBC's driver for PostgreSQL: a stream of batches; several connections as threads, each with a range of the key."""

from concurrent.futures import ThreadPoolExecutor

import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi as adbc

from benchlib.worker import work
from extract_tools import servers
from extract_tools.check import Columns


def read(job: dict) -> dict:
    connections = job["connections"]
    ranges = [""]
    if connections > 1:
        cuts = [1 + job["rows"] * i // connections for i in range(connections + 1)]
        ranges = [f" WHERE {job['key']} >= {low} AND {job['key']} < {high}" for low, high in zip(cuts, cuts[1:])]
    columns = Columns()

    def part(where: str) -> int:
        rows = 0
        with adbc.connect(servers.postgres_url()) as connection, connection.cursor() as cursor:
            cursor.execute(job["query"] + where)
            for batch in cursor.fetch_record_batch():
                rows += batch.num_rows
                if job["check"]:
                    columns.add(batch)
        return rows

    with ThreadPoolExecutor(connections if not job["check"] else 1) as threads:
        rows = sum(threads.map(part, ranges))
    engine = f"ADBC {adbc_driver_postgresql.__version__}, a stream of batches"
    return {"rows": rows, "engine": engine, "columns": columns.report()}


if __name__ == "__main__":
    work(read)
