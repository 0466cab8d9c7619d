"""The cloud's luck, the same for every policy: the n-th launch of a group fares alike under all.

Without it a policy that asks more often would throw other dice for the rest of the day, and a
comparison of two rules would compare two days.
"""

from __future__ import annotations

from dataclasses import dataclass

_MASK = (1 << 64) - 1
REFUSED, DEAD, BOOT, LIFE, RAID = range(5)
"""What a throw is for."""


@dataclass(frozen=True, slots=True)
class Luck:
    """One group's luck. `seed` is 53 bits of the day's dice."""

    seed: int

    def throw(self, purpose: int, number: int, other: int = 0) -> float:
        """Throw for the `number`-th launch: from 0 up to, and without, 1 (SplitMix64)."""
        mixed = self.seed
        for part in (purpose, number, other):
            mixed = _mixed((mixed ^ part) + 0x9E3779B97F4A7C15)
        return (mixed >> 11) / (1 << 53)


def _mixed(value: int) -> int:
    value &= _MASK
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)
