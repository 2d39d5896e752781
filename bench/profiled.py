"""The operator under cProfile, for `--profile`: where its CPU time goes, told when it ends."""

import cProfile
import os
import sys

from bench.operator import PROFILE
from kiro_operator.__main__ import main


def run() -> int:
    """Run the operator as ever; the profile is written when it ends."""
    profile = cProfile.Profile()
    try:
        return profile.runcall(main)
    finally:
        profile.dump_stats(os.environ[PROFILE])


if __name__ == "__main__":
    sys.exit(run())
