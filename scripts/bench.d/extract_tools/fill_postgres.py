"""Fills a table of PostgreSQL: `python -m extract_tools.fill_postgres JOB.json`."""

import adbc_driver_postgresql.dbapi as adbc

from benchlib.worker import work
from extract_tools import facts, servers

COLUMNS = """
    id int8 PRIMARY KEY, customer text NOT NULL, region text NOT NULL, instance_type varchar(40) NOT NULL,
    started timestamptz NOT NULL, day date NOT NULL, hours float8 NOT NULL, kwh numeric(18,6) NOT NULL,
    cost numeric(12,2) NOT NULL, cpus int4 NOT NULL, transferred int8 NOT NULL, active bool NOT NULL, team text
"""


def one_of(names: list[str], number: str) -> str:
    quoted = ", ".join(f"'{name}'" for name in names)
    return f"(ARRAY[{quoted}])[1 + ({number})::int]"


ROWS = f"""
    SELECT i, 'customer-' || lpad((i * 7919 % 1000)::text, 6, '0'), {one_of(facts.REGIONS, "i % 3")},
        {one_of(facts.MACHINES, "i % 4")},
        to_timestamp({facts.START} + i * 1000003 % 31536000) + (i * 7001 % 1000000) * interval '1 microsecond',
        '1970-01-01'::date + ({facts.START_DAY} + i % 365)::int, (i * 131 % 100000) / 16.0::float8,
        (i * 102947 % 100000000000) / 1000000::numeric, (i * 31 % 10000000) / 100::numeric, (i % 96)::int4,
        i * 1048583 % 1000000000000, i % 2 = 0,
        CASE WHEN i % 5 <> 0 THEN 'team-' || lpad((i % 100)::text, 2, '0') END
    FROM generate_series(1::int8, {{rows}}) i
"""


def fill(job: dict) -> dict:
    """Makes the table anew, unless it stands there with as many rows."""
    table, rows = job["table"], job["rows"]
    with adbc.connect(servers.postgres_url(), autocommit=True) as connection, connection.cursor() as cursor:
        if job["drop"]:
            cursor.execute(f"DROP TABLE IF EXISTS {table}")
            return {}
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {servers.PLACE}")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} ({COLUMNS})")
        cursor.execute(f"SELECT count(*) FROM {table}")
        if cursor.fetchone()[0] != rows:
            cursor.execute(f"TRUNCATE {table}")
            cursor.execute(f"INSERT INTO {table} {ROWS.format(rows=rows)}")
        cursor.execute(f"VACUUM (ANALYZE) {table}")
        cursor.execute(f"SELECT pg_table_size('{table}'::regclass), current_setting('server_version')")
        size, version = cursor.fetchone()
        return {"bytes": size, "server": f"PostgreSQL {version.split()[0]}"}


if __name__ == "__main__":
    work(fill)
