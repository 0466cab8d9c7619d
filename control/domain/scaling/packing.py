"""Put waiting executions onto machines by counting: no loop over executions, ever.

A machine is a *bin* of free slots, and bins of the same freedom are one number. A million waiting
executions of one shape cost the same arithmetic as ten. Source: infrastructure.md 3.3 steps 1, 2.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bins:
    """Machines by their free slots: `whole` ones hold nothing yet, `part` ones do."""

    whole: dict[int, int] = field(default_factory=dict[int, int])  # free slots to machines
    part: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, slots: int, count: int = 1) -> None:
        """Add empty machines."""
        if count > 0:
            self.whole[slots] = self.whole.get(slots, 0) + count

    def add_part(self, free: int, count: int = 1) -> None:
        """Add machines that hold something already; full ones are of no use and left out."""
        if free > 0 and count > 0:
            self.part[free] = self.part.get(free, 0) + count

    @property
    def untouched(self) -> int:
        """Count the machines that hold nothing."""
        return sum(self.whole.values())

    @property
    def free(self) -> int:
        """Count the free slots of all machines."""
        return sum(
            slots * count for bins in (self.whole, self.part) for slots, count in bins.items()
        )

    def place(self, slots: int, count: int) -> int:
        """Place up to `count` executions of `slots` slots; answer how many found room.

        The tightest machines first, those in use before the empty ones, so that empty ones stay
        empty and can leave.

        Worked example: 10 of 2 slots on 3 machines with 5 free each: 2 fit on each, 6 are placed,
        and 3 machines are left with 1 slot free.
        """
        left = count
        for bins in (self.part, self.whole):
            for free in sorted(free for free in bins if free >= slots):
                if left == 0:
                    return count
                left -= self._fill(bins, free, slots, left)
        return count - left

    def _fill(self, bins: dict[int, int], free: int, slots: int, count: int) -> int:
        machines = bins[free]
        each = free // slots
        full = min(machines, count // each)
        rest = min(count - full * each, each) if full < machines else 0
        used = full + (1 if rest else 0)
        if used == machines:
            del bins[free]
        else:
            bins[free] = machines - used
        self.add_part(free - each * slots, full)
        if rest:
            self.add_part(free - rest * slots)
        return full * each + rest


def machines_for(count: int, slots: int, machine_slots: int) -> int:
    """Count the empty machines that hold `count` executions of `slots` slots.

    Worked example: 40 of 1 slot on machines of 4 need 10; 5 of 3 slots on machines of 4 need 5.
    """
    return -(-count // (machine_slots // slots))
