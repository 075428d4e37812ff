"""What stands in the columns that a tool read, in the form of `crates/sources/examples/extract/check.rs`."""

import hashlib
import math
from collections import Counter
from decimal import Decimal


def digest(counts: Counter) -> str:
    """SHA-256 over the sorted values and how often each came."""
    found = hashlib.sha256()
    for text, count in sorted((text.encode(), count) for text, count in counts.items()):
        found.update(text + b"\0" + str(count).encode() + b"\n")
    return found.hexdigest()


def whole_sum(values) -> int:
    """The exact sum of 64-bit integers of numpy, in halves, as that of many large ones leaves 64 bits."""
    return (int((values >> 32).sum()) << 32) + int((values & 0xFFFFFFFF).sum())


class Columns:
    """Sums and digests by the path of a leaf, `site.country` or `lines[].sku`, batch by batch."""

    def __init__(self) -> None:
        self._leaves: dict[str, dict] = {}

    def add(self, batch) -> None:
        """A record batch or a table of pyarrow."""
        for name, column in zip(batch.schema.names, batch.columns):
            for chunk in getattr(column, "chunks", [column]):
                self._array(name, chunk)

    def value(self, path: str, value) -> None:
        """A single value of a document."""
        if isinstance(value, dict):
            for name, inner in value.items():
                self.value(f"{path}.{name}", inner)
        elif isinstance(value, list):
            for inner in value:
                self.value(f"{path}[]", inner)
        else:
            leaf = self._leaf(path)
            leaf["values"] += 1
            if value is None:
                leaf["nulls"] += 1
            elif isinstance(value, str):
                leaf["texts"][value] += 1
            else:
                leaf["sum"] += value

    def report(self) -> dict:
        """The figures of all leaves."""
        told = {}
        for path, leaf in self._leaves.items():
            told[path] = {"values": leaf["values"], "nulls": leaf["nulls"]}
            if leaf["texts"]:
                told[path]["digest"] = digest(leaf["texts"])
            else:
                told[path]["sum"] = leaf["sum"] if isinstance(leaf["sum"], float) else str(leaf["sum"])
        return told

    def _leaf(self, path: str) -> dict:
        return self._leaves.setdefault(path, {"values": 0, "nulls": 0, "sum": 0, "texts": Counter()})

    def _array(self, path: str, array) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc

        array = _plain(array)
        if pa.types.is_struct(array.type):
            for i, field in enumerate(array.type):
                self._array(f"{path}.{field.name}", pc.struct_field(array, i))
            return
        if pa.types.is_list(array.type):
            self._array(f"{path}[]", array.flatten())
            return
        leaf = self._leaf(path)
        leaf["values"] += len(array)
        leaf["nulls"] += array.null_count
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            for entry in pc.value_counts(array.drop_null()):
                leaf["texts"][entry["values"].as_py()] += entry["counts"].as_py()
            return
        leaf["sum"] += _sum(array)


def _plain(array):
    """Numbers in text, identifiers and decimals in extension types as what they stand for."""
    import pyarrow as pa

    name = getattr(array.type, "extension_name", "")
    if not name:
        return array
    if "decimal128" in name:
        from bson.decimal128 import Decimal128

        values = [None if v is None else Decimal128.from_bid(v).to_decimal() for v in array.storage.to_pylist()]
        return pa.array(values, pa.decimal128(38, 10))
    if "objectid" in name:
        return pa.array([None if v is None else v.hex() for v in array.storage.to_pylist()], pa.string())
    # PostgreSQL's numeric as ADBC gives it.
    return array.storage.cast(pa.decimal128(38, 10))


def _sum(array):
    """Exact for whole numbers and decimals."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if pa.types.is_timestamp(kind):
        micros = array.cast(pa.timestamp("us", kind.tz)).cast(pa.int64())
        return _sum(micros)
    if pa.types.is_date(kind):
        return _sum(array.cast(pa.date32()).cast(pa.int32()))
    if pa.types.is_boolean(kind):
        return int(pc.sum(array).as_py() or 0)
    if pa.types.is_integer(kind):
        return whole_sum(array.drop_null().to_numpy(zero_copy_only=False).astype("int64"))
    if pa.types.is_decimal(kind):
        return pc.sum(array.cast(pa.decimal128(38, 10))).as_py() or Decimal(0)
    return float(pc.sum(array).as_py() or 0.0)


def unlike(found: dict, planted: dict) -> list[str]:
    """In words, what a tool read otherwise than it stands on the server."""
    wrong = [f"column {path} is missing" for path in planted.keys() - found.keys()]
    wrong += [f"column {path} was not there" for path in found.keys() - planted.keys()]
    for path in planted.keys() & found.keys():
        for name, expected in planted[path].items():
            told = found[path].get(name)
            if not _same(told, expected):
                wrong.append(f"{name} of {path}: {told}, planted {expected}")
    return sorted(wrong)


def _same(told, expected) -> bool:
    if told is None:
        return False
    if isinstance(expected, float) or isinstance(told, float):
        return math.isclose(float(told), float(expected), rel_tol=1e-12, abs_tol=1e-9)
    if isinstance(expected, str) and len(expected) == 64:
        return told == expected
    return Decimal(told) == Decimal(expected)
