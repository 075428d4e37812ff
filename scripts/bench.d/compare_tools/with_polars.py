"""polars: lazy full join on the key with tolerance, summary by customer, differences as Parquet; streaming engine."""

import polars as pl

from benchlib.worker import work


def compare(job: dict) -> dict:
    """Both results come from one plan, so that polars reads and joins once where it can."""
    key, columns = job["key"], job["measures"] + job["attributes"]
    legacy = pl.scan_parquet(job["legacy"]).select(key + columns).with_columns(l_here=pl.lit(True))
    new = pl.scan_parquet(job["new"]).select(key + columns).with_columns(n_here=pl.lit(True))
    joined = legacy.join(new, on=key, how="full", coalesce=True, suffix="_new")
    both = pl.col("l_here") & pl.col("n_here")
    differing = (both & pl.any_horizontal(*[differs(job, c) for c in columns])).fill_null(False)
    marked = joined.with_columns(
        l_here=pl.col("l_here").fill_null(False), n_here=pl.col("n_here").fill_null(False), differs=differing
    )
    counts = [
        pl.col("l_here").sum().alias("rows_legacy"),
        pl.col("n_here").sum().alias("rows_new"),
        pl.col("differs").sum().alias("differing"),
        (~pl.col("n_here")).sum().alias("only_legacy"),
        (~pl.col("l_here")).sum().alias("only_new"),
    ]
    summary = marked.group_by(job["customer"]).agg(*counts, *[figure for m in job["measures"] for figure in figures(m)])
    stored = marked.filter(pl.col("differs") | ~pl.col("l_here") | ~pl.col("n_here")).select(
        key + [name for c in columns for name in (c, f"{c}_new")]
    )
    sink = stored.sink_parquet(job["differences"], lazy=True, maintain_order=False)
    customers, _ = pl.collect_all([summary, sink], engine="streaming")
    customers.write_parquet(f"{job['out']}/customers.parquet")
    names = ["rows_legacy", "rows_new", "differing", "only_legacy", "only_new"]
    totals = customers.select(pl.col(names).sum(), pl.col("^gross_.*$").sum()).row(0, named=True)
    gross = {m: totals[f"gross_{m}"] for m in job["measures"]}
    return {**{name: totals[name] for name in names}, "gross": gross, "engine": f"polars {pl.__version__}"}


def differs(job: dict, column: str) -> pl.Expr:
    """|n − l| > max(absolute, relative × max(|n|, |l|)), with null unlike everything but null."""
    legacy, new = pl.col(column), pl.col(f"{column}_new")
    if column in job["attributes"]:
        return legacy.ne_missing(new)
    allowed = pl.max_horizontal(pl.lit(job["absolute"]), job["relative"] * pl.max_horizontal(new.abs(), legacy.abs()))
    return legacy.ne_missing(new) & ((new - legacy).abs() > allowed).fill_null(True)


def figures(measure: str) -> list[pl.Expr]:
    """Totals of both sides, gross difference, largest relative difference."""
    legacy, new = pl.col(measure), pl.col(f"{measure}_new")
    gap = (new.fill_null(0.0) - legacy.fill_null(0.0)).abs()
    return [
        legacy.sum().alias(f"legacy_{measure}"),
        new.sum().alias(f"new_{measure}"),
        gap.sum().alias(f"gross_{measure}"),
        ((new - legacy).abs() / pl.max_horizontal(new.abs(), legacy.abs())).max().alias(f"relative_{measure}"),
    ]


if __name__ == "__main__":
    work(compare)
