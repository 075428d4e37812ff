"""The invented rows. Everything about a row follows from its number and the seed, so any part of any size can be made
alone, in any order, in bounded memory."""

from dataclasses import dataclass

import numpy as np

DAYS = 365
FIRST_DAY = 20_089  # 2025-01-01, in days since 1970-01-01
REGIONS = np.array([f"region-{i:02d}" for i in range(24)], dtype=object)
CHANGED_REGION = "region-changed"

# What a random number is drawn for; measures and attributes take the numbers from 100 on.
_DIFFERS, _PICK, _ONE_SIDED, _NOISE, _WEIGHT, _BY = range(6)


@dataclass(frozen=True)
class Shape:
    """What is generated. `rows` counts the keys of both sides together."""

    rows: int
    customers: int
    measures: int
    attributes: int
    differ: float  # share of rows with a value that differs beyond tolerance
    change: str  # "one": in one column, picked by chance; "all": in every measure
    one_sided: float  # share of rows that miss on the new side, and the same again on the legacy side
    noise: float  # share of rows that differ within tolerance
    giant: float  # share of rows of one customer; 0 for none
    seed: int


class Layout:
    """Which rows belong to which customer. Row numbers are in the order of the key."""

    def __init__(self, shape: Shape) -> None:
        customers = np.arange(shape.customers, dtype=np.uint64)
        weights = np.exp(0.6 * _normal(shape.seed, customers, _WEIGHT))
        if shape.giant > 0.0 and shape.customers > 1:
            giant = shape.customers // 2
            others = weights.sum() - weights[giant]
            weights[giant] = others * shape.giant / max(1.0 - shape.giant, 1e-9)
        ends = np.cumsum(weights) / weights.sum() * (shape.rows - shape.customers)
        self.ends = np.floor(ends).astype(np.int64) + np.arange(1, shape.customers + 1)
        self.ends[-1] = shape.rows
        self.starts = np.concatenate([[0], self.ends[:-1]])
        self.services = np.maximum(1, -(-(self.ends - self.starts) // DAYS))

    def key(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Customer, day and service of rows, as numbers."""
        customer = np.searchsorted(self.ends, rows, side="right")
        within = rows - self.starts[customer]
        services = self.services[customer]
        return customer, within // services, within % services


@dataclass
class Part:
    """Some rows of both sides. Measures are float64, attributes text."""

    customer: np.ndarray
    day: np.ndarray
    service: np.ndarray
    on_legacy: np.ndarray
    on_new: np.ndarray
    differs: np.ndarray
    legacy: list[np.ndarray]
    new: list[np.ndarray]


def part(shape: Shape, layout: Layout, rows: np.ndarray) -> Part:
    """The facts of the rows with these numbers."""
    customer, day, service = layout.key(rows)
    numbers = rows.astype(np.uint64)
    one_sided = _uniform(shape.seed, numbers, _ONE_SIDED)
    on_new = one_sided >= shape.one_sided
    on_legacy = ~on_new | (one_sided >= 2 * shape.one_sided)
    differs = (_uniform(shape.seed, numbers, _DIFFERS) < shape.differ) & on_legacy & on_new
    noisy = (_uniform(shape.seed, numbers, _NOISE) < shape.noise) & ~differs
    columns = shape.measures + shape.attributes
    picked = np.minimum(_uniform(shape.seed, numbers, _PICK) * columns, columns - 1).astype(np.int64)
    by = 0.01 + 0.2 * _uniform(shape.seed, numbers, _BY)

    legacy, new = [], []
    for column in range(shape.measures):
        changed = differs if shape.change == "all" else differs & (picked == column)
        # Kilograms and kilowatt hours of one service on one day: from grams to tonnes.
        value = np.round(np.exp(1.0 + 1.8 * _normal(shape.seed, numbers, 100 + column)), 6)
        other = np.where(noisy, value * (1.0 + 1e-12), value)
        # Always at least 0.01 more, hence beyond every tolerance of this benchmark.
        legacy.append(value)
        new.append(np.where(changed, np.round(value * (1.0 + by) + 0.01, 6), other))
    for column in range(shape.measures, columns):
        changed = differs & (picked == column) & (shape.change == "one")
        chosen = (_uniform(shape.seed, numbers, 100 + column) * len(REGIONS)).astype(np.int64)
        value = REGIONS[chosen]
        legacy.append(value)
        new.append(np.where(changed, CHANGED_REGION, value))
    return Part(customer, day, service, on_legacy, on_new, differs, legacy, new)


class Shuffle:
    """Row numbers of one side in no order: a stride through all rows that is prime to their count spreads every stretch
    of the file over the whole key range, then each stretch is mixed."""

    def __init__(self, shape: Shape, side: int) -> None:
        self.rows, self.seed, self.side = shape.rows, shape.seed, side
        stride = max(1, int(shape.rows * (0.6180339887, 0.7548776662)[side]))
        while np.gcd(stride, shape.rows) != 1:
            stride += 1
        self.stride = np.uint64(stride)

    def __call__(self, start: int, end: int) -> np.ndarray:
        """The rows at the places `start` to `end`."""
        places = np.random.default_rng([self.seed, self.side, start]).permutation(
            np.arange(start, end, dtype=np.uint64)
        )
        return (places * self.stride % np.uint64(self.rows)).astype(np.int64)


def _hash(seed: int, numbers: np.ndarray, stream: int) -> np.ndarray:
    """splitmix64 (Steele, Lea, Flood 2014) of row number, stream and seed."""
    start = np.uint64((seed * 0x9E3779B97F4A7C15 + stream * 0xD1342543DE82EF95) % 2**64)
    with np.errstate(over="ignore"):
        z = numbers * np.uint64(0x9E3779B97F4A7C15) + start
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _uniform(seed: int, numbers: np.ndarray, stream: int) -> np.ndarray:
    """From 0 to below 1."""
    return (_hash(seed, numbers, stream) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _normal(seed: int, numbers: np.ndarray, stream: int) -> np.ndarray:
    """Standard normal, by Box and Muller (1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-_uniform(seed, numbers, stream)))
    return radius * np.cos(2.0 * np.pi * _uniform(seed, numbers, stream + 10_000))
