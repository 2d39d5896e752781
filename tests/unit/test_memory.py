"""What must not be imported where the operator runs (docs/adr/0003)."""

from __future__ import annotations

import subprocess
import sys


def test_the_kubernetes_package_is_not_loaded_in_a_pod() -> None:
    code = (
        "import sys, kiro_operator.app; sys.exit(any(m.split('.')[0] == 'kubernetes' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
