"""What a reader must find in the columns: sums, and digests of texts, from the formulas of the rows."""

from collections import Counter

import numpy as np

from extract_tools import facts
from extract_tools.check import digest, whole_sum


class Planted:
    """Adds up columns by their path."""

    def __init__(self) -> None:
        self._sums: dict[str, list] = {}
        self._texts: dict[str, list] = {}

    def number(self, path: str, values: np.ndarray, unit: int = 1, scale: int = 0) -> None:
        """Values are whole numbers: of `unit` parts of a float, or of 10^-scale of a decimal."""
        entry = self._sums.setdefault(path, [0, 0, unit, scale])
        entry[0] += whole_sum(values)
        entry[1] += len(values)

    def text(self, path: str, names: list[str], which: np.ndarray, nulls: int = 0) -> None:
        """`which` numbers the names."""
        entry = self._texts.setdefault(path, [Counter(), 0, 0])
        for index, count in zip(*np.unique(which, return_counts=True)):
            entry[0][names[index]] += int(count)
        entry[1] += len(which) + nulls
        entry[2] += nulls

    def report(self) -> dict:
        """As the readers report."""
        told = {}
        for path, (total, values, unit, scale) in self._sums.items():
            value = total / unit if unit != 1 else _decimal(total, scale)
            told[path] = {"values": values, "nulls": 0, "sum": value}
        for path, (counts, values, nulls) in self._texts.items():
            told[path] = {"values": values, "nulls": nulls, "digest": digest(counts)}
        return told


def _decimal(total: int, scale: int) -> str:
    digits = f"{abs(total):0{scale + 1}d}"
    sign = "-" if total < 0 else ""
    return f"{sign}{digits[:-scale]}.{digits[-scale:]}" if scale else f"{sign}{digits}"


def texts(form: str, count: int) -> list[str]:
    """`customer-000007` by its number."""
    return [form % i for i in range(count)]


CUSTOMERS = texts("customer-%06d", 1000)
TEAMS = texts("team-%02d", 100)
ARTICLES = texts("sku-%04d", 500)


def of_rows(rows: int) -> dict:
    """Of the table of PostgreSQL."""
    told = Planted()
    for part in facts.chunks(rows):
        _shared(told, part, ("customer", "region", "instance_type", "hours", "kwh", "cpus", "active"))
        told.number("id", part.number)
        told.number("started", part.second * 1_000_000 + part.micro)
        told.number("day", part.day)
        told.number("cost", part.cents, scale=2)
        told.number("transferred", part.transferred)
        known = part.team[part.team >= 0]
        told.text("team", TEAMS, known, nulls=len(part.team) - len(known))
    return told.report()


def of_documents(rows: int) -> dict:
    """Of the collection of MongoDB."""
    told = Planted()
    ids = Counter()
    for part in facts.chunks(rows):
        _shared(told, part, ("customerId", "region", "instanceType", "usage.hours", "usage.kwh", "cpus", "active"))
        ids.update(object_id(int(n)) for n in part.number)
        told.number("startedAt", (part.second * 1_000 + part.micro // 1_000) * 1_000)
        told.number("bytes", part.transferred)
        known = part.team[part.team >= 0]
        told.text("team", TEAMS, known, nulls=len(part.team) - len(known))
        told.text("site.country", facts.COUNTRIES, part.country)
        known = part.city[part.city >= 0]
        told.text("site.city", facts.CITIES, known, nulls=len(part.city) - len(known))
        for at in range(2):
            number = part.number[part.lines > at]
            told.text("lines[].sku", ARTICLES, (number + at) % 500)
            told.number("lines[].pieces", (number + at) % 9)
            told.number("lines[].price", (number * 3 + at) % 4096, unit=64)
    report = told.report()
    report["_id"] = {"values": rows, "nulls": 0, "digest": digest(ids)}
    return report


def object_id(number: int) -> str:
    """The identifier of a document: a time, then its number."""
    return f"67748580{number:016x}"


def _shared(told: Planted, part: facts.Facts, names: tuple[str, ...]) -> None:
    customer, region, machine, hours, kwh, cpus, active = names
    told.text(customer, CUSTOMERS, part.customer)
    told.text(region, facts.REGIONS, part.region)
    told.text(machine, facts.MACHINES, part.machine)
    told.number(hours, part.sixteenths, unit=16)
    told.number(kwh, part.micro_kwh, scale=6)
    told.number(cpus, part.cpus)
    told.number(active, part.active.astype(np.int64))
