"""Prices, from the KiroHealthCheck's own spec: they are a source, so that checks can see them."""

from kiro_operator import ports
from kiro_operator.core.evidence.prices import PRICES, Prices
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved


class PriceList:
    """Reads spec.prices; asks nobody."""

    source = PRICES
    rules: tuple[Rule, ...] = ()

    async def observe(self, request: ports.PollRequest) -> Prices | Unobserved:
        """The prices as numbers."""
        given = request.spec.prices
        if given is None:
            return Unobserved(NOT_CONFIGURED, "spec.prices is not set")
        amounts = (given.cpu_core_hour, given.memory_gib_hour, given.storage_gib_month)
        try:
            cpu, memory, storage = (float(amount or 0) for amount in amounts)
        except ValueError:
            # The CRD of this version refuses it; an older one may still be installed.
            return Unobserved(
                "PricesInvalid", 'write the amounts in spec.prices as numbers, such as "0.0316"'
            )
        return Prices(given.currency, cpu, memory, storage)
