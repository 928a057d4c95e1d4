"""`python -m vrrpsim`, and what the command `vrrpsim` starts.

Nothing is imported before `main()` is there to hear of an interrupt.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; an interrupt while it is being loaded is one, too."""
    try:
        sys.unraisablehook = _interrupt_again
        from vrrpsim.cli import main as run

        return run()
    except KeyboardInterrupt:
        import os

        os.write(2, b"interrupted\n")
        return 130
    finally:
        import gc

        gc.freeze()  # all of it goes with the process: nobody need look for garbage in it


def _interrupt_again(unraisable: sys.UnraisableHookArgs) -> None:
    """An interrupt in a finalizer, such as each import has, would be told and lost."""
    if unraisable.exc_type is KeyboardInterrupt:  # a moment later: here it would be lost again
        import os
        import signal
        from threading import Timer

        Timer(0.01, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(unraisable)


if __name__ == "__main__":
    sys.exit(main())
