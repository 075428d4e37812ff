"""Numbers as people write and read them: 10m rows, 512MB, 1.25 s."""

import argparse
import math
import re

_COUNT = {"": 1, "k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_BYTES = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def _scaled(text: str, scales: dict[str, int], what: str) -> int:
    match = re.fullmatch(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([a-z]*)", text.strip().lower())
    if match is None or match[2] not in scales:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
    return int(float(match[1].replace("_", "")) * scales[match[2]])


def count(text: str) -> int:
    """`10m` → 10 000 000."""
    value = _scaled(text, _COUNT, "count such as 1000, 10k, 10m or 1b")
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def size(text: str) -> int:
    """`512MB` → 512 000 000, `512MiB` → 536 870 912 bytes."""
    return _scaled(text, _BYTES, "size such as 512MB or 4GiB")


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 1")
    return value


def short_count(value: int) -> str:
    """10 000 000 → `10m`; numbers that are not round stay in full."""
    for suffix, scale in (("b", 10**9), ("m", 10**6), ("k", 10**3)):
        if value >= scale and value % (scale // 10) == 0:
            return f"{value / scale:g}{suffix}"
    return str(value)


def short_bytes(value: float) -> str:
    """In kB below 1 MB, in GB from 10 000 MB on, in MB between."""
    if value < 1e6:
        return f"{value / 1e3:.0f} kB"
    return f"{value / 1e9:.1f} GB" if value >= 1e10 else f"{value / 1e6:.0f} MB"


def percent(value: float) -> str:
    """0.001 → `0.1 %`."""
    return f"{value * 100:g} %"


def seconds(value: float) -> str:
    """Three digits that count."""
    return f"{value:.3f} s" if value < 1.0 else f"{value:.2f} s" if value < 100.0 else f"{value:.0f} s"


def ratio(value: float) -> str:
    """With two digits behind the point; a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.2f}" if value < 100.0 else f"{value:.0f}"
