"""One child process, measured: wall time, processor time, peak resident memory of the whole process."""

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# How often the memory of a child is looked at.
_WATCH_SECONDS = 0.01


@dataclass(frozen=True)
class Usage:
    """What a child used and how it ended. Times in seconds, memory in bytes."""

    wall: float
    cpu: float
    peak: int
    code: int
    ended: str  # "", "out of time", "out of memory" or "killed by signal N"


def run(argv: list[str], cwd: Path, timeout: float, ceiling: int) -> Usage:
    """Runs `argv` with its output in `cwd`/stdout.txt and stderr.txt. Past `timeout` seconds, or beyond `ceiling` bytes
    of resident memory, it is killed. Python children find the modules of this folder.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with open(cwd / "stdout.txt", "wb") as out, open(cwd / "stderr.txt", "wb") as err:
        start = time.perf_counter()
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=environment,
            start_new_session=True,
        )
    _prefer_for_oom(child.pid)
    guard = _Guard(child.pid, timeout, ceiling)
    guard.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        _kill(child.pid)
        raise
    finally:
        guard.stop()
    wall = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    return Usage(
        wall=wall,
        cpu=usage.ru_utime + usage.ru_stime,
        peak=_peak(usage.ru_maxrss * 1024, guard.peak),
        code=child.returncode,
        ended=guard.reason or _by_signal(child.returncode),
    )


def _peak(by_kernel: int, seen: int) -> int:
    """Linux counts the peak of this process into that of a child it starts. Above it the kernel's figure is exact;
    below, the largest figure that was seen while the child ran stands."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return by_kernel if by_kernel > own or seen == 0 else seen


def _by_signal(code: int) -> str:
    if code >= 0:
        return ""
    return "out of memory" if -code == signal.SIGKILL else f"killed by signal {-code}"


def _prefer_for_oom(pid: int) -> None:
    """Where memory runs out, the kernel is to take this child and nobody else."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class _Guard(threading.Thread):
    """Ends a child that takes too long or too much."""

    def __init__(self, pid: int, timeout: float, ceiling: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.deadline, self.ceiling = pid, time.monotonic() + timeout, ceiling
        self.reason, self.peak = "", 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_WATCH_SECONDS):
            resident, peak = _memory(self.pid)
            self.peak = max(self.peak, peak)
            if time.monotonic() > self.deadline:
                self.reason = "out of time"
            elif resident > self.ceiling:
                self.reason = "out of memory"
            else:
                continue
            _kill(self.pid)
            return

    def stop(self) -> None:
        self._over.set()
        self.join()


def _memory(pid: int) -> tuple[int, int]:
    """Resident memory of a process now and at its peak."""
    try:
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return int(fields["VmRSS"].split()[0]) * 1024, int(fields["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 0, 0


def warm(paths: list[Path]) -> None:
    """Reads the files once, so that they stand in the page cache."""
    buffer = bytearray(4 << 20)
    for path in paths:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def last_line(file: Path) -> str:
    """The last line of an output that says something."""
    lines = [line for line in file.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"
