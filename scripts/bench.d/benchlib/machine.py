"""What the figures were measured on."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path


def describe(repository: Path, packages: list[str]) -> dict:
    """Cores, model, memory, kernel, commit, versions of Python packages. Nothing that names the machine itself."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "model": _model(),
        "memory": _meminfo("MemTotal"),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "load_before": load(),
        "python": platform.python_version(),
        "commit": _commit(repository),
        "packages": {name: _version(name) for name in packages},
    }


def available() -> int:
    """Bytes of memory that are free for a new process."""
    return _meminfo("MemAvailable")


def load() -> float:
    """Processes that wanted to run in the last minute: figures are worth little where others compute."""
    return os.getloadavg()[0]


def sentence(machine: dict) -> str:
    """One line for people."""
    return (
        f"{machine['cores']} cores of {machine['model']}, {machine['memory'] / 2**30:.0f} GiB of memory, "
        f"{machine['kernel']}, commit {machine['commit']}, load before the first run {machine['load_before']:.1f}"
    )


def _model() -> str:
    fields = {}
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    except OSError:
        pass
    return fields.get("model name") or platform.processor() or platform.machine()


def _meminfo(field: str) -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"/proc/meminfo has no {field}")


def _commit(repository: Path) -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=repository, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "unknown"
    return commit + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"
