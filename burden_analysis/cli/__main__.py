"""Where `burden` and `python -m burden_analysis.cli` begin: Ctrl-C is one line from the first import on."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType


def run() -> None:
    """Run the command line and exit with its code."""
    interrupted = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # with nohup it is ignored, and stays so
        signal.signal(signal.SIGINT, interrupt)
    _open_streams()
    try:
        from burden_analysis.cli.main import main  # takes half a second, the libraries of a command several

        main()
    except BaseException as error:
        if isinstance(error, SystemExit) or not interrupted:
            raise
        # Interrupted imports raise whatever they like: ImportError, SystemError, AttributeError.
        sys.stderr.write("burden: interrupted; rerun the same command to go on\n")
        sys.exit(130)
    finally:
        if interrupted:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatience while Python ends


def _open_streams() -> None:
    """Give closed standard streams somewhere to go, and let letters that a terminal does not know be written."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


if __name__ == "__main__":
    run()
