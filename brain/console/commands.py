"""One end for every command: whatever stops it is one sentence and an exit code, and files are left to be resumed.

    def main(words=None):
        return command("afterimage", lambda: work(words))

Exit codes: 0 done, 2 usage, 3 bad input, 4 no room (disk or memory) or no rights, 5 a needed checkpoint is absent,
129, 130, 143 stopped by SIGHUP, SIGINT, SIGTERM, 141 where nobody reads the output any more. Signals are exceptions, so
that locks and half-written files go the way they go after any error. A fault of ours keeps its traceback.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn

from brain.console.terminal import plain_output
from brain.errors import AfterimageError, InputError, StorageError, UsageError, expected

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
AGAIN = 0.05
"""Seconds until a signal is sent once more: the callback that swallowed it is over by then."""
UNREAD = 128 + signal.SIGPIPE
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
SHORT = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""How torch and the C++ below it say, in a RuntimeError, that there is no memory."""


class Stopped(KeyboardInterrupt):
    """A signal that ends the process; `number` is its own, and 128 + number the exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def command(name: str, run: Callable[[], int | None], *, resumes: bool = False) -> int:
    """Runs one command and returns its exit code; what stops it is one sentence on stderr that begins with `name`.

    resumes  whether the same command again goes on where a signal stopped it, which the sentence then says
    """
    with plain_output(), interruptible():
        try:
            code = _outcome(name, run, resumes=resumes)
        except SystemExit:  # the reader of flags has explained itself
            _flushed(name, 0)
            raise
        return _flushed(name, code)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM, SIGHUP and SIGINT raise `Stopped` in the main thread, once, until the block ends.

    Another SIGTERM or SIGHUP is not heard while the first one's work is put away; a second Ctrl-C ends at once. A
    signal that is ignored already (nohup) stays so. One that falls into a callback of the interpreter, which lets no
    exception out, is sent once more.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # no other thread hears signals
        return
    owner, before = os.getpid(), {number: signal.getsignal(number) for number in SIGNALS}
    usual = sys.unraisablehook

    def stop(number: int, _: FrameType | None) -> NoReturn:
        if os.getpid() != owner:  # a worker that was forked: its parent has the words
            os._exit(128 + number)
        for other in SIGNALS:
            signal.signal(other, signal.SIG_DFL if other == signal.SIGINT else signal.SIG_IGN)
        raise Stopped(number)

    def listen() -> None:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, stop)

    def again(lost: Any) -> None:
        if isinstance(lost.exc_value, Stopped):
            listen()
            threading.Timer(AGAIN, os.kill, (owner, lost.exc_value.number)).start()
        else:
            usual(lost)

    listen()
    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = usual
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def readable(words: Sequence[str]) -> None:
    """Refuses (UsageError) words of a command line that are no text, such as a file's name in another encoding."""
    for word in words:
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            shown = os.fsencode(word).decode("ascii", "backslashreplace")
            raise UsageError(expected("command line", "names in UTF-8", shown, "rename the file or folder"))


def _outcome(name: str, run: Callable[[], int | None], *, resumes: bool) -> int:
    try:
        from brain.console.progress import beating  # signals are heard from before this import on

        with beating():
            return run() or 0
    except AfterimageError as error:
        return _say(name, str(error), error.exit_code)
    except BrokenPipeError:
        return UNREAD
    except KeyboardInterrupt as stop:
        number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
        how = signal.Signals(number).name
        again = "; the same command again goes on where it stopped" if resumes else ""
        return _say(name, f"stopped by {how}{again}", 128 + number)
    except (MemoryError, OSError, ValueError, RuntimeError) as error:
        told = _reporting(error)
        if told is None:
            raise
        return _say(name, str(told), told.exit_code)


def _reporting(error: Exception) -> AfterimageError | None:
    """What a library's error means for people; None where it is a fault of ours."""
    if _memory(error):
        words = " ".join(str(error).split()) or "no more is said of it"
        then = "take fewer sessions, subjects or regions, fewer samples at once, or a machine with more memory"
        return StorageError(expected("memory", "room for the next array", f"none ({words})", then))
    if isinstance(error, OSError) and error.errno is not None:
        return _of_the_system(error)
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return InputError(expected(ascii(error.object), "text in UTF-8", "another encoding", "rename the file"))
    if isinstance(error, ValueError) and str(error).startswith("embedded null"):
        return InputError(expected("a file's name", "one without a zero byte", "one with it", "correct the name"))
    return None


def _memory(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    named = isinstance(error, RuntimeError) and any(words in str(error) for words in SHORT)
    return isinstance(error, MemoryError) or named


def _of_the_system(error: OSError) -> AfterimageError:
    subject = "a file" if error.filename is None else os.fsdecode(error.filename)
    if error.errno in FULL:
        what, then = "a place with room and rights", "make room, or name a place you have rights to"
        return StorageError(expected(subject, what, str(error.strerror), then))
    then = "name another file or folder, or mend this one"
    return InputError(expected(subject, "a file or folder that can be used", str(error.strerror), then))


def _flushed(name: str, code: int) -> int:
    """`code`, once all that was printed is out; the interpreter's own last flush could only complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            _into_nothing(stream)
            code = code or UNREAD
        except OSError as error:
            _into_nothing(stream)
            told = _of_the_system(error)
            code = code or _say(name, str(told), told.exit_code)
    return code


def _into_nothing(stream: Any) -> None:
    """What is left in the stream's buffer goes nowhere."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _say(name: str, sentence: str, code: int) -> int:
    with contextlib.suppress(OSError):  # nobody listens, the exit code is left
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)
    return code
