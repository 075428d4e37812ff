"""PyMongo: documents as Python dictionaries, one at a time, without Arrow; or answers that nobody decodes."""

import sys

import pymongo
from bson import Decimal128, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS

from benchlib.worker import work
from extract_tools import servers
from extract_tools.check import Columns

FIELDS = ["_id", "customerId", "region", "instanceType", "startedAt", "usage", "cpus", "bytes", "active", "site",
          "lines", "team"]  # fmt: skip


def read(job: dict) -> dict:
    rows, columns = 0, Columns()
    options = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
    with pymongo.MongoClient(servers.mongodb_url()) as client:
        collection = client[servers.PLACE].get_collection(job["table"], codec_options=options)
        for document in collection.find({}, batch_size=job["batch"] or 0):
            rows += 1
            if job["check"]:
                add(columns, document)
    return {"rows": rows, "engine": f"PyMongo {pymongo.version}, dictionaries", "columns": columns.report()}


def fetch(job: dict) -> dict:
    """Takes the answers and only walks over the lengths of their documents: what the server alone costs."""
    rows = 0
    with pymongo.MongoClient(servers.mongodb_url()) as client:
        collection = client[servers.PLACE][job["table"]]
        for batch in collection.find_raw_batches({}, batch_size=job["batch"] or 0):
            at = 0
            while at < len(batch):
                at += int.from_bytes(batch[at : at + 4], "little")
                rows += 1
    return {"rows": rows, "engine": f"PyMongo {pymongo.version}, raw batches that are dropped"}


def add(columns: Columns, document: dict) -> None:
    document["site"].setdefault("city", None)
    for name in FIELDS:
        columns.value(name, _plain(document.get(name)))


def _plain(value):
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, DatetimeMS):
        return int(value) * 1_000
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


if __name__ == "__main__":
    work(fetch if sys.argv[2:] == ["raw"] else read)
