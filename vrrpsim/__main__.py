"""`python -m vrrpsim`, and what the command `vrrpsim` starts."""

import gc
import os
import signal
import sys
from threading import Timer
from typing import Any


def main() -> int:
    """Run the command line; an interrupt while it is being loaded is one, too."""
    sys.unraisablehook = _interrupt_again
    try:
        from vrrpsim.cli import main as run

        return run()
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        return 130
    finally:
        gc.freeze()  # all of it goes with the process: nobody need look for garbage in it


def _interrupt_again(unraisable: Any) -> None:
    """An interrupt in a finalizer, such as each import has, would be told and lost."""
    if unraisable.exc_type is KeyboardInterrupt:  # a moment later: here it would be lost again
        Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    sys.exit(main())
