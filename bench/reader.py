"""The peer of the projection: a process that reads the watch of pods and looks at nothing in it."""

import asyncio
import os
import ssl
import sys
from pathlib import Path

import aiohttp


async def read(folder: Path) -> None:
    """Read until killed, as the ServiceAccount of the folder."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    headers = {"Authorization": f"Bearer {(folder / 'token').read_text()}", "Accept-Encoding": "identity"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        params = {"watch": "1", "timeoutSeconds": "3600"}
        url = f"https://{host}:{port}/api/v1/pods"
        async with session.get(url, params=params, ssl=context) as response:
            response.raise_for_status()
            async for _ in response.content.iter_any():
                pass


if __name__ == "__main__":
    asyncio.run(read(Path(sys.argv[1])))
