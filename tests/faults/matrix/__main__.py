"""`python -m tests.faults.matrix`: see `whole`."""

import sys

from tests.faults.matrix.whole import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
