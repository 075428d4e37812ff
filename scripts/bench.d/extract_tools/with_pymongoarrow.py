"""PyMongoArrow, with a declared schema or one that it finds out: one table of Arrow, decoded in turn with fetching or by its threads."""

import sys

import pyarrow as pa
import pymongoarrow.version
from pymongo import MongoClient
from pymongoarrow.api import Schema, find_arrow_all
from pymongoarrow.types import Decimal128Type, ObjectIdType

from benchlib.worker import work
from extract_tools import servers
from extract_tools.check import Columns

SCHEMA = Schema(
    {
        "_id": ObjectIdType(),
        "customerId": pa.string(),
        "region": pa.string(),
        "instanceType": pa.string(),
        "startedAt": pa.timestamp("ms"),
        "usage": pa.struct([("hours", pa.float64()), ("kwh", Decimal128Type())]),
        "cpus": pa.int32(),
        "bytes": pa.int64(),
        "active": pa.bool_(),
        "site": pa.struct([("country", pa.string()), ("city", pa.string())]),
        "lines": pa.list_(pa.struct([("sku", pa.string()), ("pieces", pa.int32()), ("price", pa.float64())])),
        "team": pa.string(),
    }
)


def read(job: dict, parallelism: str) -> dict:
    with MongoClient(servers.mongodb_url()) as client:
        collection = client[servers.PLACE][job["table"]]
        options = {"batch_size": job["batch"]} if job["batch"] else {}
        schema = SCHEMA if job["typed"] else None
        table = find_arrow_all(collection, {}, schema=schema, parallelism=parallelism, **options)
    columns = Columns()
    if job["check"]:
        columns.add(table)
    how = "decoding between answers" if parallelism == "off" else "decoding in threads"
    engine = f"PyMongoArrow {pymongoarrow.version.__version__}, one table, {how}"
    return {"rows": table.num_rows, "engine": engine, "columns": columns.report()}


if __name__ == "__main__":
    work(lambda job: read(job, sys.argv[2]))
