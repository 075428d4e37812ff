"""ConnectorX: a whole table of Arrow, or a stream of batches; several connections by ranges of the key."""

import sys

import connectorx as cx

from benchlib.worker import work
from extract_tools import servers
from extract_tools.check import Columns


def read(job: dict, kind: str) -> dict:
    apart = {"partition_on": job["key"], "partition_num": job["connections"]} if job["connections"] > 1 else {}
    result = cx.read_sql(servers.postgres_url(), job["query"], return_type=kind, **apart)
    batches = result.to_batches() if kind == "arrow" else result
    rows, columns = 0, Columns()
    for batch in batches:
        rows += batch.num_rows
        if job["check"]:
            columns.add(batch)
    return {"rows": rows, "engine": f"ConnectorX {cx.__version__}, {_ways[kind]}", "columns": columns.report()}


_ways = {"arrow": "one table", "arrow_stream": "a stream of batches"}

if __name__ == "__main__":
    work(lambda job: read(job, {"table": "arrow", "stream": "arrow_stream"}[sys.argv[2]]))
