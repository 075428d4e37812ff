"""Memory, its energy (before PUE) and its emissions per project, region, SKU and day: 10_silver.sql and 20_gold.sql in
Python, as a job of its own. Needs pyarrow."""

import os
from collections import defaultdict

import pyarrow as pa
import pyarrow.parquet as pq

GIBIBYTE_HOUR = 1073741824 * 3600


def part(line, document, field):
    return (line[document] or {}).get(field)


def lower(text):
    return None if text is None else text.strip(" ").lower()


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def rows(name):
    return pq.read_table(os.environ[f"DUALRUN_INPUT_{name}"]).to_pylist()


def memory():
    """Lines of memory: their place in the result, and their use in byte-seconds."""
    for line in rows("USAGE"):
        if " ram " not in (part(line, "sku", "description") or "").lower():
            continue
        byte_seconds = part(line, "usage", "amount")
        if byte_seconds is not None and (part(line, "usage", "unit") or "").lower() == "gibibyte hour":
            byte_seconds *= GIBIBYTE_HOUR
        sku, start = part(line, "sku", "id"), line["usage_start_time"]
        key = (
            line["customer"],
            lower(part(line, "project", "id")),
            lower(part(line, "location", "region")),
            None if sku is None else sku.strip(" ").upper(),
            None if start is None else start.date(),
        )
        yield key, byte_seconds


def factors():
    """kWh per GB and hour, PUE, and the grid intensity of each region in g/kWh."""
    shipped = [f for f in rows("FACTORS_NEW") if (f["ship"] or "").startswith("yes")]
    values = {f["factor_key"]: number(f["value"]) for f in shipped}
    grid = {key.removeprefix("grid/gcp/"): v for key, v in values.items() if key.startswith("grid/gcp/")}
    return values["memory/coefficient"], values["pue/gcp/fleet"], grid


def main():
    # One GB is 10^9 bytes; under the old method it was 2^30.
    gb = 1e9 if os.environ["DUALRUN_MEMORY_GB"] == "decimal" else 1073741824.0
    kwh_per_gb_h, pue, grid = factors()
    sums = defaultdict(lambda: [None, None, None])
    for key, byte_seconds in memory():
        total = sums[key]
        if byte_seconds is None:
            continue
        gb_h = byte_seconds / 3600 / gb
        kwh = gb_h * kwh_per_gb_h
        intensity = grid.get(key[2])
        co2e_kg = None if intensity is None else kwh * pue * intensity / 1000
        for i, value in enumerate((gb_h, kwh, co2e_kg)):
            if value is not None:
                total[i] = value + (total[i] or 0.0)
    columns = {
        "customer_id": pa.string(),
        "project": pa.string(),
        "region": pa.string(),
        "sku": pa.string(),
        "usage_day": pa.date32(),
        "gb_h": pa.float64(),
        "kwh": pa.float64(),
        "co2e_kg": pa.float64(),
    }
    result = [dict(zip(columns, [*key, *total])) for key, total in sums.items()]
    pq.write_table(pa.Table.from_pylist(result, pa.schema(columns.items())), os.environ["DUALRUN_RESULT"])


if __name__ == "__main__":
    main()
