"""Fills a collection of MongoDB: `python -m extract_tools.fill_mongodb JOB.json`."""

from decimal import Decimal

from bson import Decimal128, Int64, ObjectId
from bson.datetime_ms import DatetimeMS
from pymongo import MongoClient

from benchlib.worker import work
from extract_tools import facts, planted, servers

# Documents that go to the server at once.
_INSERT = 5_000


def documents(part: facts.Facts):
    """As the legacy platform keeps them: nested, a field that some lack or have as null."""
    for i, number in enumerate(part.number.tolist()):
        site = {"country": facts.COUNTRIES[part.country[i]]}
        if part.city[i] >= 0:
            site["city"] = facts.CITIES[part.city[i]]
        document = {
            "_id": ObjectId(planted.object_id(number)),
            "customerId": planted.CUSTOMERS[part.customer[i]],
            "region": facts.REGIONS[part.region[i]],
            "instanceType": facts.MACHINES[part.machine[i]],
            "startedAt": DatetimeMS(int(part.second[i]) * 1_000 + int(part.micro[i]) // 1_000),
            "usage": {
                "hours": part.sixteenths[i] / 16,
                "kwh": Decimal128(Decimal(int(part.micro_kwh[i])).scaleb(-6)),
            },
            "cpus": int(part.cpus[i]),
            "bytes": Int64(part.transferred[i]),
            "active": bool(part.active[i]),
            "site": site,
            "lines": [
                dict(zip(("sku", "pieces", "price"), facts.line(number, at))) for at in range(int(part.lines[i]))
            ],
        }
        if part.team[i] >= 0:
            document["team"] = planted.TEAMS[part.team[i]]
        elif number % 10 == 0:
            document["team"] = None
        yield document


def fill(job: dict) -> dict:
    """Makes the collection anew, unless it stands there with as many documents."""
    with MongoClient(servers.mongodb_url()) as client:
        database = client[servers.PLACE]
        collection = database[job["table"]]
        if job["drop"]:
            collection.drop()
            return {}
        if collection.count_documents({}) != job["rows"]:
            collection.drop()
            for part in facts.chunks(job["rows"]):
                waiting = []
                for document in documents(part):
                    waiting.append(document)
                    if len(waiting) == _INSERT:
                        collection.insert_many(waiting, ordered=False)
                        waiting = []
                if waiting:
                    collection.insert_many(waiting, ordered=False)
        told = client.server_info()
        server = f"MongoDB {told['version']}"
        if "ferretdb" in told:
            server = f"FerretDB {told['ferretdb']['version']}, which says it is {server}"
        sample = list(collection.find_raw_batches({}, limit=1000))
        size = sum(map(len, sample)) / min(1000, job["rows"]) * job["rows"]
        return {"bytes": int(size), "server": server}


if __name__ == "__main__":
    work(fill)
