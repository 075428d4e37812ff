"""What the workers share: reading the job, timing the work without the start of Python, writing the answer."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path


def work(do: Callable[[dict], dict]) -> None:
    """Runs `do` on the job of `sys.argv[1]` and writes its answer with `seconds` and `cpu` to the job's `answer`."""
    job = json.loads(Path(sys.argv[1]).read_text())
    cpu, start = time.process_time(), time.perf_counter()
    answer = do(job)
    answer |= {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    Path(job["answer"]).write_text(json.dumps(answer, indent=2))
