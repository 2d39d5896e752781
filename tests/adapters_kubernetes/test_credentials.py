"""How the operator is known to the API server when a kubeconfig says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from devcluster import ControlPlane

LOAD = """
import sys
from kiro_operator.adapters.kubernetes import credentials
from kiro_operator.settings import parse

print(credentials.load(parse(["--kubeconfig", sys.argv[1]], {})).ca())
"""


def test_no_key_of_a_kubeconfig_stays_in_the_temporary_folder(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    inline = tmp_path / "kubeconfig"
    inline.write_text(control_plane.kubectl("config", "view", "--flatten").stdout)
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(inline)],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "BEGIN CERTIFICATE" in done.stdout
    assert list(temporary.iterdir()) == []
