"""What a child process may take: bounded by the kernel before it reads a byte of a file, and cut off from the network.

    cut_off(); bound(CHECK)      first of all, in a process of one thread

The limits hold for each process. None of it is a jail: a child runs as the user who serves, and may read what they may.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIB = 2**20
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
"""Of Linux' sched.h."""
PASSED = ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "OMP_NUM_THREADS", "AFTERIMAGE_STACKS")
"""What a child gets of the server's environment."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one kind of child may take.

    memory   bytes of address space; file: bytes of each file that it writes
    cpu      seconds of processor time; seconds: by the clock
    files    open at a time
    """

    memory: int
    cpu: int
    seconds: float
    file: int
    files: int = 256


CHECK = Limits(memory=3072 * MIB, cpu=120, seconds=180, file=MIB)
STUDY = Limits(memory=8192 * MIB, cpu=4 * 3600, seconds=2 * 3600, file=2048 * MIB)


def bound(limits: Limits) -> None:
    """Sets the limits on this process, for good; it is also the first that the kernel ends where memory runs out."""
    for kind, value in (
        (resource.RLIMIT_AS, limits.memory), (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, limits.files), (resource.RLIMIT_CPU, limits.cpu), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        highest = resource.getrlimit(kind)[1]
        least = value if highest == resource.RLIM_INFINITY else min(value, highest)
        resource.setrlimit(kind, (least, least))
    os.nice(10)
    with contextlib.suppress(OSError):  # Linux alone has it
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def cut_off() -> bool:
    """Takes the network away. Returns whether the kernel does: a network namespace of its own, with nothing in it.

    Where the kernel gives none, Python's sockets still cannot be made, which code in C libraries would not notice.
    """
    sys.addaudithook(_refuse)
    return _namespace()


def environment(home: Path) -> Mapping[str, str]:
    """The environment of a child whose only folder is `home`: nothing that the server's holds but what it needs."""
    import app

    return {
        **{name: os.environ[name] for name in PASSED if name in os.environ},
        "HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(Path(app.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        "DIFFUSERS_DISABLE_REMOTE_CODE": "1", "TOKENIZERS_PARALLELISM": "false", "MPLBACKEND": "Agg",
    }  # fmt: skip


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event.startswith("socket."):
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH), "a socket")


def _namespace() -> bool:
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "unshare") or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    # called as outside; where that is not allowed, it has no name, and the rights of the same user
    with contextlib.suppress(OSError):
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    return True
