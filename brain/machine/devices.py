"""Where networks may run: asked before any work whether the device is there."""

from __future__ import annotations

from brain.errors import UsageError, expected

KINDS = "cpu, cuda, cuda:1 or mps"


def check_device(device: str) -> None:
    """Refuses (UsageError) a device that is none, or that torch does not see on this machine."""
    if device == "cpu":
        return  # and torch need not be loaded to know it
    import torch

    try:
        asked = torch.device(device)
    except RuntimeError:
        asked = None
    if asked is None or asked.type not in ("cpu", "cuda", "mps"):
        raise UsageError(expected("--device", KINDS, repr(device), "name one of these"))
    here = devices()
    if device not in here and not (asked.index == 0 and asked.type in here):
        seen = f"one that torch sees here ({', '.join(here)})"
        raise UsageError(expected("--device", seen, device, "take --device cpu"))


def devices() -> tuple[str, ...]:
    """The devices of this machine by torch's names, the first of each kind by the kind's own."""
    import torch

    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ("cpu", *(["cuda"] if cards else []), *cards, *(["mps"] if torch.backends.mps.is_available() else []))
