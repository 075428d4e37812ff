"""The facts that both servers are filled with: every value a formula of the number of its row.

The servers get them as rows and as documents; what a reader must find is computed here once more, column by column.
"""

from dataclasses import dataclass

import numpy as np

REGIONS = ["eu-west-1", "eu-central-1", "us-east-1"]
MACHINES = ["m5.large", "c5.xlarge", "r5.2xlarge", "t3.micro"]
COUNTRIES = ["FR", "DE", "GB", "SE", "PL"]
CITIES = ["Paris", "Göteborg", "Łódź"]

# 2025-01-01T00:00:00Z in seconds and in days.
START, START_DAY = 1_735_689_600, 20_089

# Rows that are computed at once.
CHUNK = 500_000


@dataclass(frozen=True)
class Facts:
    """The values of some rows. Numbers with a fraction are whole numbers of their smallest unit."""

    number: np.ndarray
    customer: np.ndarray
    region: np.ndarray
    machine: np.ndarray
    second: np.ndarray
    micro: np.ndarray
    day: np.ndarray
    sixteenths: np.ndarray  # of an hour, so that sums of floats are exact
    micro_kwh: np.ndarray
    cents: np.ndarray
    cpus: np.ndarray
    transferred: np.ndarray
    active: np.ndarray
    team: np.ndarray  # -1: null
    country: np.ndarray
    city: np.ndarray  # -1: none
    lines: np.ndarray  # how many


def facts(first: int, end: int) -> Facts:
    """Rows from `first` to before `end`; the first row is 1."""
    i = np.arange(first, end, dtype=np.int64)
    return Facts(
        number=i,
        customer=i * 7919 % 1000,
        region=i % 3,
        machine=i % 4,
        second=START + i * 1_000_003 % 31_536_000,
        micro=i * 7_001 % 1_000_000,
        day=START_DAY + i % 365,
        sixteenths=i * 131 % 100_000,
        micro_kwh=i * 102_947 % 100_000_000_000,
        cents=i * 31 % 10_000_000,
        cpus=i % 96,
        transferred=i * 1_048_583 % 1_000_000_000_000,
        active=i % 2 == 0,
        team=np.where(i % 5 == 0, -1, i % 100),
        country=i % 5,
        city=np.where(i % 4 == 0, -1, i % 3),
        lines=i % 3,
    )


def line(number: int, at: int) -> tuple[str, int, float]:
    """The `at`-th line of a document: article, pieces, price."""
    return f"sku-{(number + at) % 500:04d}", (number + at) % 9, (number * 3 + at) % 4096 / 64


def chunks(rows: int):
    """The facts of all rows, some at a time."""
    for first in range(1, rows + 1, CHUNK):
        yield facts(first, min(first + CHUNK, rows + 1))
