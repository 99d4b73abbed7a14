"""Memory there is, and work that certainly does not fit into it: refused before it begins, in one sentence.

    room = room_on("cuda")                     bytes that could be had there at most
    must_fit("fitting", needed, room, where="this machine", then="fewer voxels by --maps")

Needs are counted from below (arrays that are certainly held at once) and room from above, so that what is refused could
not have ended well; what is let through may still run out, which is a sentence of `brain.console.commands`.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from brain.errors import StorageError, expected

MEMINFO = Path("/proc/meminfo")
LIMIT = Path("/sys/fs/cgroup/memory.max")
"""What a container may have at most, where there is one."""


def must_fit(what: str, needed: int, room: int, *, where: str, then: str) -> None:
    """Refuses (StorageError) `what` if its `needed` bytes are more than `room` bytes."""
    if needed > room:
        raise StorageError(expected(what, f"{said(needed)} of memory or more", f"{said(room)} on {where}", then))


def said(count: int) -> str:
    """A number of bytes for people: 820 MB, 12.4 GB."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def room_on(device: str) -> int:
    """Bytes that this process could have at most on a device of torch's: of a card's memory, else of the machine's.

    What it holds there already is counted, for it may be given back.
    """
    if not device.startswith("cuda"):
        return machine_room()
    import torch

    card = torch.device(device)
    return int(torch.cuda.mem_get_info(card)[0] + torch.cuda.memory_reserved(card))


def machine_room() -> int:
    """Bytes that this process could have at most: what it has, and what is free or can be freed, within its limits."""
    free = available(MEMINFO)
    bounds = [None if free is None else free + _held(), bound(LIMIT)]
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    known = [one for one in (*bounds, None if soft == resource.RLIM_INFINITY else soft) if one is not None]
    return min(known, default=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


def available(path: Path) -> int | None:
    """MemAvailable and SwapFree of Linux's meminfo in bytes; None where there is no such file."""
    if not path.is_file():
        return None
    lines = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    facts = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) == 3 and words[2] == "kB"}
    return facts["MemAvailable"] + facts.get("SwapFree", 0) if "MemAvailable" in facts else None


def _held() -> int:
    """Bytes that this process has in memory, by Linux's own count."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def bound(path: Path) -> int | None:
    """The number in a file of one number; None where there is none, or where it says "max"."""
    text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
    return int(text) if text.isdigit() else None
