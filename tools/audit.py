"""Ask for known vulnerabilities of everything that is locked.

Run as ``python -m tools.audit``. It is no part of the tests, as it needs the vulnerability service of the
package index. Exit status: 0, nothing is known against any package; 1, something is; 2, it is not known,
because the service did not answer for every package. pip-audit itself ends with 0 when it could ask about
nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CANARY = "jinja2==2.4.1"
"""Known to be vulnerable since 2014: a service that does not say so says nothing about the others either."""
CLEAN, VULNERABLE, UNKNOWN = 0, 1, 2
SECONDS = 600.0


class NotAudited(Exception):
    """The service did not answer, or not about everything."""


def ask(program: str, requirements: Path, *flags: str) -> list[dict[str, Any]]:
    """What the service says of each package of a file.

    Raises:
        NotAudited: it does not say it of all of them.
    """
    command = [
        *(program, "--requirement", str(requirements), "--disable-pip", "--progress-spinner=off"),
        *("--format=json", *flags),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError) as error:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NotAudited(f"the vulnerability service was not reached: {last[:300]}") from error
    skipped = [item["name"] for item in found if "vulns" not in item]
    if skipped:
        raise NotAudited(f"nothing was answered about {len(skipped)} of {len(found)} packages")
    return found


def locks(root: Path) -> list[Path]:
    """Every lock file of a source tree.

    Raises:
        NotAudited: there is none.
    """
    found = sorted(root.glob("requirements*.txt"))
    if not found:
        raise NotAudited(f"{root} has no requirements*.txt")
    return found


def audit(program: str, root: Path) -> list[str]:
    """What is known, a line each; empty when there is nothing.

    Raises:
        NotAudited: nothing can be said.
    """
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(f"{CANARY}\n")
        if not any(item["vulns"] for item in ask(program, canary, "--no-deps")):
            raise NotAudited(f"the service does not know what is wrong with {CANARY}")
    return [
        f"{lock.name}: {item['name']} {item['version']}: {vulnerability['id']}, "
        f"fixed in {', '.join(vulnerability['fix_versions']) or 'no version'}"
        for lock in locks(root)
        for item in ask(program, lock, "--require-hashes")
        for vulnerability in item["vulns"]
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is known; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.audit", description="Audit what is locked.")
    parser.add_argument("--program", default=str(Path(sys.executable).parent / "pip-audit"))
    parser.add_argument("--root", type=Path, default=ROOT, help="top of the source tree")
    options = parser.parse_args(arguments)
    try:
        known = audit(options.program, options.root)
    except (NotAudited, subprocess.TimeoutExpired) as error:
        print(
            f"NOT AUDITED: {error}. This is no pass: run it where the service can be reached.",
            file=sys.stderr,
        )
        return UNKNOWN
    names = ", ".join(lock.name for lock in locks(options.root))
    print("\n".join(known) or f"Nothing is known against what {names} lock.")
    return VULNERABLE if known else CLEAN


if __name__ == "__main__":
    sys.exit(main())
