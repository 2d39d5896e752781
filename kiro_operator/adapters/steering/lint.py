"""yamllint, where it is installed. It is under the GPL, so it is run as a program and never imported."""

import asyncio
import contextlib
import logging
import os
import re
import shutil
import sys
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from kiro_operator.core.evidence.steering import Document, Lint
from kiro_operator.core.findings import clip

WITHIN = 5.0
"""Seconds for one file."""
FILES = 8
LARGEST = 65_536
PROBLEMS = 20
_REMEMBERED = 128
_LINE = re.compile(
    r"^stdin:(?P<line>\d{1,7}):(?P<column>\d{1,7}): \[(?P<level>error|warning)\] (?P<message>.*)$"
)

logger = logging.getLogger(__name__)


class Linter:
    """Runs yamllint on YAML hooks; what it said of a content is remembered by its digest."""

    def __init__(self, program: str | None = None) -> None:
        beside = str(Path(sys.executable).parent)
        self._program = program or shutil.which(
            "yamllint", path=os.pathsep.join((beside, os.environ.get("PATH", "")))
        )
        self._said: OrderedDict[str, tuple[Lint, ...]] = OrderedDict()

    async def lint(self, documents: Iterable[Document]) -> tuple[Lint, ...]:
        """The problems of the YAML hooks among these; none where yamllint is not installed."""
        if self._program is None:
            return ()
        found: list[Lint] = []
        wanted = [
            one for one in documents if one.is_hook and one.whole and one.path.endswith((".yaml", ".yml"))
        ]
        for document in [one for one in wanted if len(one.text) <= LARGEST][:FILES]:
            said = self._said.get(document.digest)
            if said is None:
                said = await self._run(self._program, document)
                self._said[document.digest] = said
                if len(self._said) > _REMEMBERED:
                    self._said.popitem(last=False)
            found += [Lint(document.path, one.line, one.column, one.level, one.message) for one in said]
        return tuple(found)

    async def _run(self, program: str, document: Document) -> tuple[Lint, ...]:
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                *("-f", "parsable", "-d", "relaxed", "-"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                cwd="/",
            )
        except OSError as error:
            logger.warning("yamllint cannot be run: %s", error)
            return ()
        try:
            async with asyncio.timeout(WITHIN):
                output, _ = await process.communicate(document.text.encode())
        except TimeoutError:
            logger.warning("yamllint did not end within %g s for %s", WITHIN, document.path)
            return ()
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return parse(document.path, output.decode("utf-8", "replace"))


def parse(path: str, output: str) -> tuple[Lint, ...]:
    """What yamllint prints in its parsable format."""
    matches = (_LINE.match(line) for line in output.splitlines())
    return tuple(
        Lint(path, int(match["line"]), int(match["column"]), match["level"], clip(match["message"], 200))
        for match in matches
        if match
    )[:PROBLEMS]
