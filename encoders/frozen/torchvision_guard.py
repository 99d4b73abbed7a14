"""A torchvision built for another torch, made importable: it breaks open_clip, timm, transformers and diffusers alike.

Beside a CPU build of torch the registry's torchvision cannot load its compiled half, and its Python half then fails on
two operators that only exist there (pytorch#122494, vision#9077). Its transforms, all we need, work once the two
names are known.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

_KEPT: list[object] = []  # a torch library forgets its operators when it is collected


def settle_torchvision() -> bool:
    """Import torchvision, naming the two operators first where they are missing; False where it is not installed.

    Call it before the first import of open_clip, transformers or diffusers. Its compiled operators stay unavailable.
    """
    if "torchvision" in sys.modules:
        return True
    if importlib.util.find_spec("torchvision") is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as fault:
        if "does not exist" not in str(fault):
            raise
        _name_operators()
        importlib.import_module("torchvision")
    return True


def _name_operators() -> None:
    import torch

    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
