"""What can go wrong, said for people: one sentence with what was expected, what was found and the next step.

Every error that a user can cause is one of these five; the command line turns it into its exit code and prints
the sentence alone. Anything else that escapes is a fault of ours and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable


class AfterimageError(Exception):
    """An error whose message is meant for the user. `exit_code` is what the command line leaves with."""

    exit_code = 1


class UsageError(AfterimageError):
    """A flag, name or setting that cannot be used as given."""

    exit_code = 2


class InputError(AfterimageError):
    """A file or array that is missing, damaged or not what it claims to be."""

    exit_code = 3


class StorageError(AfterimageError):
    """No room or no rights where something has to be written."""

    exit_code = 4


class CheckpointAbsent(AfterimageError):
    """A pretrained checkpoint that is needed and not at hand."""

    exit_code = 5


def expected(subject: object, what: str, found: str, then: str) -> str:
    """One sentence in the house form: `subject`: expected `what`, found `found`; `then`."""
    return f"{subject}: expected {what}, found {found}; {then}"


def counted(number: int, noun: str, many: str = "") -> str:
    """A number with its noun, in the plural `many`, or with an s: "1 session", "2 sessions", "2 stimuli"."""
    return f"{number} {noun if number == 1 else many or f'{noun}s'}"


def together(checks: Iterable[Callable[[], object]]) -> None:
    """Makes every check. One fault is raised as it is, several as one error of the first one's kind that says all."""
    faults: dict[str, AfterimageError] = {}
    for check in checks:
        try:
            check()
        except AfterimageError as fault:
            faults.setdefault(str(fault), fault)
    if not faults:
        return
    first = next(iter(faults.values()))
    if len(faults) == 1:
        raise first
    numbered = "; ".join(f"({number}) {said}" for number, said in enumerate(faults, start=1))
    raise type(first)(f"{len(faults)} faults: {numbered}") from first
