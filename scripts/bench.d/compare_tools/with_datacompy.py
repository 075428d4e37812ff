"""DataComPy: its comparison on pandas or polars frames. It has no summary by customer; its mismatches go to Parquet."""

import sys

import datacompy
import pandas as pd
import polars as pl

from benchlib.worker import work


def on_pandas(job: dict) -> dict:
    columns = job["key"] + job["measures"] + job["attributes"]
    legacy, new = (pd.read_parquet(job[side], columns=columns) for side in ("legacy", "new"))
    result = datacompy.PandasCompare(legacy, new, **options(job))
    unlike = pd.concat([result.all_mismatch(), result.df1_unq_rows, result.df2_unq_rows])
    unlike.to_parquet(job["differences"], index=False)
    return answer(result, legacy, new, f"pandas {pd.__version__}")


def on_polars(job: dict) -> dict:
    columns = job["key"] + job["measures"] + job["attributes"]
    legacy, new = (pl.read_parquet(job[side], columns=columns) for side in ("legacy", "new"))
    result = datacompy.PolarsCompare(legacy, new, **options(job))
    unlike = pl.concat([result.all_mismatch(), result.df1_unq_rows, result.df2_unq_rows], how="diagonal")
    unlike.write_parquet(job["differences"])
    return answer(result, legacy, new, f"polars {pl.__version__}")


def options(job: dict) -> dict:
    return {
        "join_columns": job["key"],
        "abs_tol": job["absolute"],
        "rel_tol": job["relative"],
        "cast_column_names_lower": False,
    }


def answer(result, legacy, new, frames: str) -> dict:
    return {
        "rows_legacy": len(legacy),
        "rows_new": len(new),
        "differing": len(result.intersect_rows) - int(result.count_matching_rows()),
        "only_legacy": len(result.df1_unq_rows),
        "only_new": len(result.df2_unq_rows),
        "engine": f"DataComPy {datacompy.__version__} on {frames}",
    }


WAYS = {"pandas": on_pandas, "polars": on_polars}

if __name__ == "__main__":
    work(WAYS[sys.argv[2]])
