"""DuckDB: full outer join on the key with tolerance, summary by customer, differences as Parquet."""

import sys

import duckdb

from benchlib.worker import work


def once(job: dict) -> dict:
    """One join: the summary collects the differing rows too. Best where few rows differ."""
    con = connect(job)
    con.execute(f"create temp table summary as {summary(job, collect=True)}")
    store(con, job, "select unnest(differences, recursive := true) from summary")
    return answer(con, job, "one join")


def twice(job: dict) -> dict:
    """One join for the summary, one for the differences. Best where many rows differ."""
    con = connect(job)
    con.execute(f"create temp table summary as {summary(job, collect=False)}")
    columns = ", ".join(f"{value} as {name}" for name, value in stored(job).items())
    store(con, job, f"select {columns} {joined(job)} where {one_sided(job)} or {differs(job)}")
    return answer(con, job, "two joins")


def connect(job: dict) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(f"set temp_directory = '{job['out']}/duckdb.tmp'")
    con.execute("set preserve_insertion_order = false")
    return con


def store(con: duckdb.DuckDBPyConnection, job: dict, query: str) -> None:
    con.execute(f"copy ({query}) to '{job['differences']}' (format parquet, compression zstd)")


def answer(con: duckdb.DuckDBPyConnection, job: dict, way: str) -> dict:
    """Keeps the summary as Parquet and adds it up."""
    left_out = "exclude (differences)" if way == "one join" else ""
    con.execute(f"copy (select * {left_out} from summary) to '{job['out']}/customers.parquet'")
    counts = ["rows_legacy", "rows_new", "differing", "only_legacy", "only_new"]
    sums = [f"sum({name})::bigint" for name in counts] + [f"sum(gross_{m})" for m in job["measures"]]
    row = con.execute(f"select {', '.join(sums)} from summary").fetchone()
    gross = dict(zip(job["measures"], row[len(counts) :]))
    return {**dict(zip(counts, row)), "gross": gross, "engine": f"DuckDB {duckdb.__version__}, {way}"}


def summary(job: dict, collect: bool) -> str:
    """One row a customer: rows, totals of both sides, gross difference, largest relative difference, differing rows."""
    first, customer = job["key"][0], job["customer"]
    figures = [
        f"""sum(l.{m}) as legacy_{m}, sum(n.{m}) as new_{m},
            sum(abs(coalesce(n.{m}, 0) - coalesce(l.{m}, 0))) as gross_{m},
            max(abs(n.{m} - l.{m}) / nullif(greatest(abs(n.{m}), abs(l.{m})), 0)) as relative_{m}"""
        for m in job["measures"]
    ]
    if collect:
        fields = ", ".join(f"{name}: {value}" for name, value in stored(job).items())
        figures.append(f"list({{{fields}}}) filter (where {one_sided(job)} or {differs(job)}) as differences")
    return f"""
        select coalesce(l.{customer}, n.{customer}) as {customer},
            count(l.{first}) as rows_legacy, count(n.{first}) as rows_new,
            count(*) filter (where not ({one_sided(job)}) and ({differs(job)})) as differing,
            count(*) filter (where n.{first} is null) as only_legacy,
            count(*) filter (where l.{first} is null) as only_new,
            {", ".join(figures)}
        {joined(job)} group by all"""


def joined(job: dict) -> str:
    on = " and ".join(f"l.{k} = n.{k}" for k in job["key"])
    return f"from read_parquet('{job['legacy']}') l full join read_parquet('{job['new']}') n on {on}"


def one_sided(job: dict) -> str:
    """The key has no nulls, so a null is a side that is missing."""
    return f"(l.{job['key'][0]} is null or n.{job['key'][0]} is null)"


def stored(job: dict) -> dict[str, str]:
    """The columns of a stored difference."""
    keys = {k: f"coalesce(l.{k}, n.{k})" for k in job["key"]}
    columns = job["measures"] + job["attributes"]
    return keys | {f"{side}_{c}": f"{side[0]}.{c}" for c in columns for side in ("legacy", "new")}


def differs(job: dict) -> str:
    unlike = [f"l.{a} is distinct from n.{a}" for a in job["attributes"]]
    return "(" + " or ".join([beyond(m, job["absolute"], job["relative"]) for m in job["measures"]] + unlike) + ")"


def beyond(measure: str, absolute: float, relative: float) -> str:
    """|n − l| > max(absolute, relative × max(|n|, |l|)), with null unlike everything but null."""
    legacy, new = f"l.{measure}", f"n.{measure}"
    within = f"abs({new} - {legacy}) <= greatest({absolute!r}, {relative!r} * greatest(abs({new}), abs({legacy})))"
    return f"({legacy} is distinct from {new} and coalesce(not {within}, true))"


WAYS = {"once": once, "twice": twice}

if __name__ == "__main__":
    work(WAYS[sys.argv[2]])
