"""How much memory a fit may take: what is asked for, and what is forecast."""

import re
from pathlib import Path
from typing import Any

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Z]*)\s*", re.IGNORECASE)


def parse_memory(memory: Any) -> int:
    """Return a number of bytes.

    Parameters
    ----------
    memory : int or str
        Bytes, or a number with a unit: B, kB, MB, GB, TB, KiB, MiB, GiB or TiB.

    Raises
    ------
    ValueError
        If it is neither, or not positive.
    """
    found = _SIZE.fullmatch(str(memory)) if not isinstance(memory, bool) else None
    if found is not None and found[2].upper() in _UNITS:
        size = int(float(found[1]) * _UNITS[found[2].upper()])
        if size > 0:
            return size
    raise ValueError(
        f"memory should be a positive number of bytes, or a text such as '2GB', got {memory!r}."
    )


def taken() -> int:
    """Return how many bytes of memory this process takes now; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def show(size: float) -> str:
    """Return a number of bytes as a text, such as "1.5 GB"."""
    for unit in ("TB", "GB", "MB"):
        if size >= _UNITS[unit]:
            return f"{size / _UNITS[unit]:.3g} {unit}"
    return f"{size / 1e3:.3g} kB"
