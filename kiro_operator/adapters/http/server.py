"""/metrics, /healthz and /readyz."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


class ProbeServer:
    """Answers probes and scrapes; each probe is a function that returns what is wrong, or nothing."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        healthy: Callable[[], str],
        ready: Callable[[], str],
    ) -> None:
        self._registry = registry
        application = web.Application()
        application.router.add_get("/metrics", self._metrics)

        async def answer_healthz(_: web.Request) -> web.Response:
            return self._probe(healthy())

        async def answer_readyz(_: web.Request) -> web.Response:
            return self._probe(ready())

        application.router.add_get("/healthz", answer_healthz)
        application.router.add_get("/readyz", answer_readyz)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, address: str, port: int) -> int:
        """Listen; returns the port, which the system chooses when 0 was asked for.

        Raises:
            OSError: the port is taken.
        """
        await self._runner.setup()
        site = web.TCPSite(self._runner, address, port)
        await site.start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    @staticmethod
    def _probe(wrong: str) -> web.Response:
        return web.Response(text=(wrong or "ok") + "\n", status=503 if wrong else 200)
