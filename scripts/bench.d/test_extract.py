"""Tests of the parts of `scripts/bench extract`; `python -m unittest discover -s scripts/bench.d` runs them.

That the tools read what is planted is checked by the script itself in every run.
"""

import unittest
from collections import Counter
from decimal import Decimal

import pyarrow as pa

from benchlib import tables
from extract_tools import facts, planted, report, tools, with_pymongo
from extract_tools.check import Columns, digest, unlike, whole_sum
from extract_tools.fill_mongodb import documents


class Planted(unittest.TestCase):
    def test_documents_hold_what_is_planted(self):
        rows = 700
        columns = Columns()
        for document in documents(facts.facts(1, rows + 1)):
            with_pymongo.add(columns, document)
        self.assertEqual(unlike(columns.report(), planted.of_documents(rows)), [])

    def test_some_documents_lack_a_field_and_some_have_it_as_null(self):
        made = list(documents(facts.facts(1, 41)))
        self.assertEqual(sum("team" not in document for document in made), 4)
        self.assertEqual(sum(document.get("team", "") is None for document in made), 4)
        self.assertEqual({len(document["lines"]) for document in made}, {0, 1, 2})

    def test_chunks_give_the_same_facts_as_one_look(self):
        whole, chunk = facts.facts(1, 101), facts.CHUNK
        try:
            facts.CHUNK = 7
            parts = list(facts.chunks(100))
        finally:
            facts.CHUNK = chunk
        for name in vars(whole):
            self.assertEqual(sum((getattr(p, name).tolist() for p in parts), []), getattr(whole, name).tolist())

    def test_decimals_are_planted_exactly(self):
        self.assertEqual(planted._decimal(1_234_567, 6), "1.234567")
        self.assertEqual(planted._decimal(-5, 2), "-0.05")
        self.assertEqual(planted._decimal(7, 0), "7")


class Checks(unittest.TestCase):
    def test_columns_of_arrow_and_values_of_documents_come_to_the_same(self):
        rows = [
            {"a": 1, "t": "x", "d": Decimal("1.50"), "s": {"c": "y"}, "l": [{"q": 2}, {"q": 3}]},
            {"a": None, "t": None, "d": Decimal("-0.25"), "s": {"c": None}, "l": []},
        ]
        kinds = pa.schema(
            [
                ("a", pa.int64()),
                ("t", pa.string()),
                ("d", pa.decimal128(10, 2)),
                ("s", pa.struct([("c", pa.string())])),
                ("l", pa.list_(pa.struct([("q", pa.int32())]))),
            ]
        )
        arrow, plain = Columns(), Columns()
        table = pa.Table.from_pylist(rows, schema=kinds)
        arrow.add(table)
        for row in rows:
            for name, value in row.items():
                plain.value(name, value)
        self.assertEqual(unlike(arrow.report(), plain.report()), [])
        self.assertEqual(arrow.report()["l[].q"], {"values": 2, "nulls": 0, "sum": "5"})
        sliced = Columns()
        sliced.add(table.slice(1))
        self.assertEqual(sliced.report()["d"]["sum"], "-0.2500000000")

    def test_times_are_summed_in_microseconds_whatever_their_unit(self):
        for unit, factor in (("ms", 1_000), ("us", 1), ("ns", None)):
            columns = Columns()
            values = pa.array([5_000_000], pa.int64()).cast(pa.timestamp(unit))
            columns.add(pa.table({"t": values}))
            expected = 5_000 if factor is None else 5_000_000 * factor
            self.assertEqual(columns.report()["t"]["sum"], str(expected))

    def test_sums_of_large_numbers_are_exact(self):
        values = pa.array([2**62, 2**62, 2**62, -1]).to_numpy()
        self.assertEqual(whole_sum(values), 3 * 2**62 - 1)

    def test_a_digest_tells_values_and_counts(self):
        self.assertEqual(digest(Counter("aab")), digest(Counter("aba")))
        self.assertNotEqual(digest(Counter("aab")), digest(Counter("abb")))

    def test_what_is_read_otherwise_is_named(self):
        truth = {"a": {"values": 2, "nulls": 0, "sum": "3.5"}, "b": {"values": 2, "nulls": 1, "digest": "0" * 64}}
        same = {"a": {"values": 2, "nulls": 0, "sum": "3.500"}, "b": {"values": 2, "nulls": 1, "digest": "0" * 64}}
        self.assertEqual(unlike(same, truth), [])
        wrong = {"a": {"values": 2, "nulls": 0, "sum": "3.51"}, "c": {"values": 0, "nulls": 0, "sum": "0"}}
        self.assertEqual(
            unlike(wrong, truth), ["column b is missing", "column c was not there", "sum of a: 3.51, planted 3.5"]
        )


def program(tool: str, way: str = "", connections: int = 1) -> tools.Program:
    return tools.Program("postgres", tool, way, connections)


class Reports(unittest.TestCase):
    def test_ratios_are_those_to_dualrun_with_as_many_connections(self):
        runs = [tools.Run(program("dualrun"), 100, "d", s, s, s, 10**7) for s in (1.0, 5.0, 2.0)]
        runs += [tools.Run(program("connectorx", "table"), 100, "x", 6.0, 5.0, 6.0, 10**8)]
        runs += [tools.Run(program("connectorx", "stream"), 100, "y", 4.0, 3.0, 4.0, 10**8)]
        runs += [tools.Run(program("dualrun", "", 2), 100, "d", 1.0, 1.0, 1.0, 10**7)]
        runs += [tools.Run(program("connectorx", "table", 2), 100, "x", 5.0, 5.0, 6.0, 10**8)]
        found = report.lines(runs, [], [])
        shown = report.table(found, tables.markdown).splitlines()
        self.assertEqual(shown[3], "| connectorx | 1 connection | 4.00 s | 25 | 2.00 | 3.00 s | 1.50 | 100 MB | – | as planted |")
        self.assertIn("| connectorx | 2 connections | 5.00 s | 20 | 5.00 |", shown[5])
        notes = report.notes(found, report.ways(runs, [], []))
        self.assertEqual(notes[1], "connectorx: x: 6.00 s (1 connection); y: 4.00 s (1 connection); x: 5.00 s (2 connections); the fastest counts")

    def test_a_failure_has_no_figure_and_a_wrong_value_is_said(self):
        failed = tools.Run(program("adbc"), 100, failed="exit 1: no", peak=10**8)
        wrong = tools.Run(program("dualrun"), 100, "d", 1.0, 1.0, 1.0, 10**7, wrong=["rows: 99, planted 100"])
        found = report.lines([wrong], [], [failed, wrong])
        shown = report.table(found, tables.markdown)
        self.assertIn("| adbc | 1 connection | exit 1 | – |", shown)
        self.assertIn("| wrong |", shown)
        notes = report.notes(found, report.ways([wrong], [], [failed, wrong]))
        self.assertIn("dualrun, 1 connection is wrong: rows: 99, planted 100", notes)
        self.assertIn("adbc, 1 connection did not finish: exit 1: no", notes)

    def test_every_tool_reads_postgres_with_all_connections_and_mongodb_with_one(self):
        both = tools.programs("postgres", ["dualrun", "connectorx"], [1, 2])
        self.assertEqual([p.connections for p in both], [1, 1, 1, 2, 2, 2])
        mongodb = tools.programs("mongodb", list(tools.TOOLS), [1, 2])
        self.assertEqual({p.connections for p in mongodb}, {1})
        untyped = {p.label() for p in mongodb if not p.typed}
        names = {"dualrun-spool", "pymongoarrow-off", "pymongoarrow-threads"}
        self.assertEqual(untyped, {f"{name}, types unknown" for name in names})


if __name__ == "__main__":
    unittest.main()
