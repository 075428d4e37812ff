"""Tests of the parts of `scripts/bench compare`; `python -m unittest discover -s scripts/bench.d` runs them.

That the tools agree with what is planted is checked by the script itself in every run.
"""

import argparse
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchlib import child, docs, sizes, tables
from compare_tools import data, report, tools
from compare_tools.rows import Layout, Shape, Shuffle
from compare_tools.scenarios import SCENARIOS, Scenario


class Sizes(unittest.TestCase):
    def test_counts_and_sizes_as_people_write_them(self):
        self.assertEqual(sizes.count("10m"), 10_000_000)
        self.assertEqual(sizes.count("2.5k"), 2_500)
        self.assertEqual(sizes.size("512MB"), 512_000_000)
        self.assertEqual(sizes.size("1GiB"), 2**30)
        for bad in ("", "m", "0", "-1", "10x"):
            with self.assertRaises(argparse.ArgumentTypeError):
                sizes.count(bad)

    def test_short_forms_read_back(self):
        for value in (1, 999, 1_000, 1_500_000, 10_000_000, 123_456):
            self.assertEqual(sizes.count(sizes.short_count(value)), value)


class Children(unittest.TestCase):
    def run_python(self, code: str, timeout: float = 20.0, ceiling: int = 2**62) -> child.Usage:
        with tempfile.TemporaryDirectory() as folder:
            return child.run([sys.executable, "-c", code], Path(folder), timeout, ceiling)

    def test_peak_memory_and_processor_time_are_those_of_the_child(self):
        small = self.run_python("import time; time.sleep(0.2)")
        large = self.run_python("x = bytes(range(256)) * 400_000; sum(range(3_000_000))")
        self.assertEqual((large.code, large.ended), (0, ""))
        self.assertGreater(large.peak, 100_000_000)
        self.assertLess(small.peak, 30_000_000)
        self.assertGreater(large.cpu, small.cpu)

    def test_a_child_that_takes_too_long_or_too_much_is_ended_and_named(self):
        self.assertEqual(self.run_python("import time; time.sleep(60)", timeout=0.3).ended, "out of time")
        hungry = "x = []\nwhile True: x.append(bytearray(b'x' * 1_000_000))"
        self.assertEqual(self.run_python(hungry, ceiling=200_000_000).ended, "out of memory")
        self.assertEqual(self.run_python("import sys; sys.exit(3)").code, 3)


class Rows(unittest.TestCase):
    def read(self, scenario: Scenario) -> tuple[dict, list]:
        with tempfile.TemporaryDirectory() as folder:
            made = data.prepare(scenario, Path(folder), lambda text: None)
            return made.truth, [pq.read_table(path).to_pylist() for path in made.sides]

    def test_what_is_planted_is_what_a_naive_comparison_finds(self):
        for order in ("sorted", "shuffled"):
            scenario = Scenario("t", "t", rows=3_000, customers=37, attributes=1, differ=0.1, one_sided=0.02, noise=0.1,
                                order=order, giant=0.4, row_group=700)  # fmt: skip
            truth, sides = self.read(scenario)
            legacy, new = ({(r["customer"], r["day"], r["service"]): r for r in side} for side in sides)
            self.assertEqual([len(legacy), len(new)], [len(side) for side in sides], "keys are unique")
            self.assertEqual([truth["rows_legacy"], truth["rows_new"]], [len(side) for side in sides])
            self.assertEqual(truth["only_legacy"], len(legacy.keys() - new.keys()))
            self.assertEqual(truth["only_new"], len(new.keys() - legacy.keys()))
            unlike = sum(differs(legacy[key], new[key]) for key in legacy.keys() & new.keys())
            self.assertEqual(truth["differing"], unlike)
            self.assertGreater(min(truth["differing"], truth["only_legacy"], truth["only_new"]), 0)
            self.assertTrue(
                any(legacy[k] != new[k] and not differs(legacy[k], new[k]) for k in legacy.keys() & new.keys())
            )

    def test_sorted_files_stand_in_bytewise_order_of_the_key_and_shuffled_ones_do_not(self):
        for order in ("sorted", "shuffled"):
            _, sides = self.read(Scenario("t", "t", rows=2_000, customers=13, order=order, row_group=300))
            for side in sides:
                keys = [(r["customer"].encode(), r["day"], r["service"].encode()) for r in side]
                self.assertEqual(keys == sorted(keys), order == "sorted")

    def test_the_layout_gives_every_customer_rows_and_the_giant_its_share(self):
        layout = Layout(shape(rows=10_000, customers=500, giant=0.5))
        counts = layout.ends - layout.starts
        self.assertEqual((counts.sum(), counts.min() >= 1), (10_000, True))
        self.assertAlmostEqual(counts.max() / 10_000, 0.5, delta=0.03)
        self.assertEqual(len(Layout(shape(rows=1, customers=1)).ends), 1)

    def test_a_shuffle_is_a_permutation(self):
        for rows in (1, 2, 97, 1_000):
            for side in (0, 1):
                mixed = Shuffle(shape(rows=rows, customers=1), side)
                parts = [mixed(start, min(start + 64, rows)) for start in range(0, rows, 64)]
                self.assertEqual(sorted(np.concatenate(parts).tolist()), list(range(rows)))


def shape(rows: int, customers: int, giant: float = 0.0) -> Shape:
    return Shape(rows, customers, 2, 0, 0.1, "one", 0.01, 0.1, giant, 7)


def differs(legacy: dict, new: dict) -> bool:
    def unlike(l, n) -> bool:
        return l != n if isinstance(l, str) else abs(n - l) > max(1e-9, 1e-9 * max(abs(l), abs(n)))

    return any(unlike(legacy[c], new[c]) for c in legacy if c.startswith(("measure", "attribute")))


class Reports(unittest.TestCase):
    def test_ratios_come_from_medians_of_the_fastest_way(self):
        runs = [tools.Run("scan-duckdb", "a", s, 1.0, s, 10**8) for s in (1.0, 3.0, 2.0)]
        runs += [tools.Run("scan-polars", "b", 5.0, 1.0, 5.0, 10**8)]
        runs += [
            tools.Run("dualrun", "c", 3.0, 6.0, 3.0, 3 * 10**8),
            tools.Run("duckdb-once", "d", 12.0, 1.0, 13.0, 10**9),
        ]
        found = report.lines(runs, {"datacompy": "too large"})
        self.assertEqual([line.name for line in found], ["scan-duckdb", "dualrun", "duckdb-once", "datacompy"])
        shown = report.table(found, tables.markdown).splitlines()
        self.assertEqual(shown[3], "| dualrun | 3.00 s | 1.50 | 4.00 | 6.00 s | 2.0 | 300 MB | 3.00 s | as planted |")
        self.assertIn("left out", shown[5])

    def test_a_failure_is_shown_and_never_has_a_figure(self):
        runs = [tools.Run("polars", failed="out of memory", wall=9.0, peak=2 * 10**10)]
        found = report.lines(runs, {})
        self.assertIn("| polars | out of memory | – |", report.table(found, tables.markdown))
        self.assertIn("polars did not finish after 9.00 s: out of memory", report.notes(found, runs))

    def test_wrong_counts_are_named(self):
        truth = {
            "rows_legacy": 5,
            "rows_new": 5,
            "differing": 2,
            "only_legacy": 0,
            "only_new": 0,
            "gross": {"m": 1.0},
        }
        self.assertEqual(tools._unlike(truth, truth), [])
        wrong = tools._unlike(truth | {"differing": 3, "gross": {"m": 1.1}}, truth)
        self.assertEqual(wrong, ["differing: 3, planted 2", "gross difference of m: 1.1, planted 1.0"])

    def test_a_section_of_the_documentation_is_added_then_replaced(self):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "performance.md"
            file.write_text("before\n\n<!-- bench:compare -->\nafter\n")
            for text in ("one", "two"):
                docs.update(file, "compare", "sorted-1m", text)
            docs.update(file, "compare", "giant-1m", "three")
            written = file.read_text()
            self.assertNotIn("one", written)
            self.assertTrue(written.index("two") < written.index("three") < written.index("<!-- bench:compare -->"))
            self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))

    def test_every_scenario_says_what_it_is(self):
        self.assertIn("in random order", SCENARIOS["shuffled"].sentence())
        self.assertIn("100 % of the rows differ in every measure", SCENARIOS["all-different"].sentence())
        self.assertEqual(SCENARIOS["sorted"].label(), "sorted-10m")

    def test_values_of_the_command_line_show_in_the_name(self):
        self.assertEqual(SCENARIOS["million-customers"].with_values({"rows": 5_000}).label(), "million-customers-5k")
        self.assertEqual(SCENARIOS["million-customers"].with_values({"rows": 5_000}).customers, 5_000)
        self.assertEqual(SCENARIOS["sorted"].with_values({"order": "shuffled"}).label(), "sorted-changed-10m")


if __name__ == "__main__":
    unittest.main()
