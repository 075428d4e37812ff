"""The servers of the tests, by the addresses that `scripts/services env` tells."""

import os
import re

VARIABLES = {"postgres": "DUALRUN_TEST_POSTGRES_URL", "mongodb": "DUALRUN_TEST_MONGODB_URL"}

# The schema of PostgreSQL and the database of MongoDB that the tables of this benchmark stand in.
PLACE = "dualrun_bench_extract"


def postgres_url() -> str:
    """Without TLS unless the address says so: the same for every tool."""
    url = re.sub("^postgres:", "postgresql:", os.environ[VARIABLES["postgres"]])
    return url if "?" in url else url + "?sslmode=disable"


def mongodb_url() -> str:
    """As it was given."""
    return os.environ[VARIABLES["mongodb"]]
