"""`python -m vrrpsim`, and what the command `vrrpsim` starts."""

import os
import sys


def main() -> int:
    """Run the command line; an interrupt while it is being loaded is one, too."""
    try:
        from vrrpsim.cli import main as run

        return run()
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
