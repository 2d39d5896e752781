"""What resources cost, as the KiroHealthCheck says."""

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Snapshot, Unobserved

HOURS_A_MONTH = 730
GIB = 2.0**30


class Prices(Struct, frozen=True):
    """Prices; 0 for what costs nothing, or is not told."""

    currency: str
    cpu_core_hour: float = 0.0
    memory_gib_hour: float = 0.0
    storage_gib_month: float = 0.0

    def month(self, *, cores: float = 0.0, memory: float = 0.0, storage: float = 0.0) -> float:
        """What cores, and bytes of memory and storage, cost in a month."""
        running = cores * self.cpu_core_hour + memory / GIB * self.memory_gib_hour
        return HOURS_A_MONTH * running + storage / GIB * self.storage_gib_month


PRICES: Polled[Prices] = Polled("prices", Prices, section="prices")


def prices(snapshot: Snapshot) -> Prices | None:
    """The prices; None where there are none."""
    value = snapshot.value(PRICES)
    return None if isinstance(value, Unobserved) else value
