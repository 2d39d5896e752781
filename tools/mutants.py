"""Mutation testing: how many small changes to what decides are noticed by its own tests.

``python -m tools.mutants`` has mutmut make the mutants of the modules that pyproject.toml names, run the
tests that reach each, and fails when too few were noticed. Survivors are listed in docs/mutation.md.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

LEAST = 90.0
"""Percent that have to be noticed."""
FOLDER = Path("mutants")
"""Where mutmut keeps its copy of the sources and what it found; another run goes on from there."""


def main() -> int:
    """Run mutmut, print what it found, and return 1 when too many mutants survive."""
    mutmut = shutil.which("mutmut", path=str(Path(sys.executable).parent))
    if mutmut is None:
        sys.stderr.write("mutmut is not installed beside this Python: use make mutants\n")
        return 1
    started = time.monotonic()
    subprocess.run([mutmut, "run"], check=True)
    subprocess.run([mutmut, "results"], check=True)
    subprocess.run([mutmut, "export-cicd-stats"], check=True)
    found: dict[str, int] = json.loads((FOLDER / "mutmut-cicd-stats.json").read_text())
    noticed = found["killed"] + found["timeout"]
    share = 100.0 * noticed / found["total"]
    sys.stdout.write(
        f"{noticed} of {found['total']} mutants noticed, {share:.1f} % (at least {LEAST:.0f} %): "
        f"{found['survived']} survived, {found['no_tests']} without a test, "
        f"{found['suspicious']} suspicious; {(time.monotonic() - started) / 60:.0f} minutes\n"
    )
    return int(share < LEAST)


if __name__ == "__main__":
    sys.exit(main())
