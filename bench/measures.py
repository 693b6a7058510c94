"""What is measured of a contender, and how a number of each kind is written."""

from __future__ import annotations

from enum import StrEnum


class Measure(StrEnum):
    """A number that a run leaves behind; times are in seconds, sizes in bytes."""

    MEDIAN = "median"
    TAIL = "p99.9"
    MAXIMUM = "maximum"
    MEMORY = "memory"  # the largest resident set of a process
    DISK = "disk"  # everything installed, with all dependencies
    WHEEL = "wheel"  # its own files alone, compressed

    def text(self, value: float) -> str:
        """Return a value with three digits and its unit.

        Examples
        --------
        >>> Measure.MEDIAN.text(1.2345e-6), Measure.MEMORY.text(45e6)
        ('1.23 µs', '45 MB')
        """
        if self in (Measure.MEMORY, Measure.DISK, Measure.WHEEL):
            return f"{value / 1e6:.3g} MB" if value < 1e9 else f"{value / 1e9:.3g} GB"
        scale, unit = next((s, u) for s, u in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")) if value >= s or u == "µs")
        return f"{value / scale:.3g} {unit}" if value < 100 * scale else f"{value / scale:.0f} {unit}"
