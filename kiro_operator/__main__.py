"""Start-up: flags, logs, event loop."""

import asyncio
import logging
import sys

from kiro_operator import app, logs
from kiro_operator.adapters.kubernetes.credentials import CredentialsError
from kiro_operator.settings import parse


def main() -> int:
    """Run the operator until it is told to stop; returns the exit status."""
    settings = parse(sys.argv[1:])
    logs.configure(as_json=settings.json_logs, verbose=settings.verbose)
    try:
        return asyncio.run(app.run(settings))
    except CredentialsError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - the message says it all
        return 2


if __name__ == "__main__":
    sys.exit(main())
