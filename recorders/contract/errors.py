"""Errors that a user can act on: one line each, saying what was asked, what is possible and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from recorders.contract.printable import shortened

_LONGEST = 100  # of a name that is compared with others


class BurdenError(Exception):
    """Base of every error this project raises on purpose.

    Attributes
    ----------
    exit_code : int
        What the command line exits with.
    """

    exit_code = 1


class InputError(BurdenError, ValueError):
    """Wrong input: a name, a value, a file or a store that cannot be used as asked (exit code 2)."""

    exit_code = 2


class RunError(BurdenError, RuntimeError):
    """The input was right, but a run failed (exit code 1)."""

    exit_code = 1


def unknown_name(kind: str, asked: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that does not exist, with the near miss when there is one."""
    known = list(known)
    close = get_close_matches(asked[:_LONGEST], known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return InputError(f"unknown {kind} {shortened(asked)}: choose from {', '.join(known)}{hint}")
