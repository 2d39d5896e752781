"""Bodies of answers, of which no more is read than may be kept."""

import aiohttp


async def bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body; None when it is larger than the limit."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(65_536):
        body += chunk
        if len(body) > limit:
            response.close()
            return None
    return bytes(body)
