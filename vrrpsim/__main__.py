"""`python -m vrrpsim`."""

import sys

from vrrpsim.cli import main

if __name__ == "__main__":
    sys.exit(main())
