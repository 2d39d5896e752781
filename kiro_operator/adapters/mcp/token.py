"""When a bearer token runs out; nothing else of it is looked at, and nothing of it is kept."""

import base64
import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

_LONGEST = 16_384


class _Claims(Struct):
    exp: float | None = None


def expiry(headers: Mapping[str, str]) -> datetime | None:
    """The end of a bearer token that is a JWT; None where it tells none.

    The signature is not verified: whether the token is good is for the server to say.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    parts = token.split(".", 3)
    if scheme != "Bearer" or len(parts) != 3 or len(token) > _LONGEST:
        return None
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims)
    except (binascii.Error, ValueError, msgspec.DecodeError):
        return None
    if claims.exp is None or not math.isfinite(claims.exp):
        return None
    try:
        return datetime.fromtimestamp(claims.exp, UTC)
    except (OverflowError, OSError, ValueError):
        return None
