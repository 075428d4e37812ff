"""The named shapes of data that `scripts/bench compare` measures."""

from dataclasses import dataclass, replace

from benchlib.sizes import percent, short_count


@dataclass(frozen=True)
class Scenario:
    """One data set. The fields are those of the command line."""

    name: str
    title: str
    rows: int = 10_000_000
    customers: int = 1_000
    measures: int = 2
    attributes: int = 0
    differ: float = 0.001
    change: str = "one"
    one_sided: float = 0.00001
    noise: float = 0.001
    order: str = "sorted"
    giant: float = 0.0
    row_group: int = 1_000_000
    compression: str = "zstd"
    seed: int = 2025

    def with_values(self, values: dict) -> "Scenario":
        """With values of the command line; where these change more than the size, the name says so."""
        own = replace(self, **values)
        if own != replace(self, rows=own.rows):
            own = replace(own, name=f"{self.name}-changed", title=f"{self.title}, changed")
        return replace(own, customers=min(own.customers, own.rows))

    def label(self) -> str:
        """`sorted-50m`: names the data set in files and in the documentation."""
        return f"{self.name}-{short_count(self.rows)}"

    def sentence(self) -> str:
        """What the data are, for people."""
        words = [
            f"{short_count(self.rows)} rows a side",
            f"{short_count(self.customers)} customers",
            f"{self.measures} measures" if self.measures != 1 else "1 measure",
        ]
        if self.attributes:
            words.append(f"{self.attributes} attributes" if self.attributes != 1 else "1 attribute")
        if self.giant:
            words.append(f"{percent(self.giant)} of the rows of one customer")
        where = "in every measure" if self.change == "all" else "in one column"
        words += [
            f"{percent(self.differ)} of the rows differ {where}",
            f"{percent(self.one_sided)} missing on each side",
            f"{percent(self.noise)} differ within tolerance",
            "sorted by the key" if self.order == "sorted" else "in random order",
            f"{self.compression}, row groups of {short_count(self.row_group)}",
        ]
        return ", ".join(words)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("sorted", "Sorted by the grain"),
        Scenario("shuffled", "In random order", order="shuffled"),
        Scenario("all-different", "Every row different", differ=1.0, change="all", noise=0.0),
        Scenario("giant", "Half of the rows of one customer", customers=10_000, giant=0.5),
        Scenario("million-customers", "A million customers", customers=1_000_000),
        Scenario("small", "Cost of starting", rows=1_000, customers=10, differ=0.01, one_sided=0.005, noise=0.01),
    )
}

# `small` measures the cost of starting; its size stays.
FIXED_SIZE = {"small"}
