"""What computed: the facts of a machine that decide the last bits of a number, for cards.

    arithmetic()           {"processor": "...", "instructions": "AVX512", "threads": 2, "libraries": [...], ...}
    changes(before, now)   ["threads 1, now 2"]: what differs between two of them

Two runs with the same facts and settings agree bit for bit where `docs/howto/reproducibility.md` promises it; two with
other facts agree to rounding.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from brain.errors import UsageError

VARIABLES = (
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS", "MKL_NUM_THREADS", "MKL_DYNAMIC", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS",
    "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
)  # fmt: skip
"""Environment variables that choose kernels or threads; those that are set stand among the facts."""
PACKAGES = ("numpy", "scipy", "torch", "diffusers", "transformers")
SHORT = 40
"""Characters of a fact that are still said in a sentence."""


def arithmetic(device: str = "cpu") -> dict[str, Any]:
    """The facts, as JSON says them, without a path or a person's name.

    processor     its model; `instructions` what torch's own loops use of it, `numpy` what numpy's loops found
    onednn        whether convolutions may use it; `torch` the libraries that torch was built with
    threads       those that torch really uses; `cores` those this process may use, by affinity and control groups
    libraries     of linear algebra: whose it is, name, version, kernels, threads
    versions      of the packages that compute
    variables     of the environment that choose kernels or threads, as they are set, whether or not they took effect
    accelerator   of a device that is no processor: its name, versions, whether TF32 may be used, determinism
    """
    import numpy as np
    import scipy.linalg  # noqa: F401 - brings its own library, which is counted whether or not anything has used it yet
    import torch

    facts: dict[str, Any] = {
        "processor": _model(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "threads": torch.get_num_threads(),
        "cores": _cores(),
        "libraries": _libraries(),
        "torch": [line.strip(" -") for line in torch.__config__.show().splitlines() if "for Intel" in line],
        "numpy": np.show_config(mode="dicts")["SIMD Extensions"].get("found", []),  # the key is absent where none was
        "versions": {name: version(name) for name in PACKAGES},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
    }
    if torch.device(device).type == "cuda":
        facts["accelerator"] = {
            "name": torch.cuda.get_device_name(device),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "tf32_products": torch.backends.cuda.matmul.allow_tf32,
            "tf32_convolutions": torch.backends.cudnn.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "deterministic": torch.are_deterministic_algorithms_enabled(),
        }
    return facts


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two of `arithmetic` and may move a bit, a few words each, sorted.

    A fact that only one of them has is among them; how many cores there are, of which `threads` use some, is not.
    """
    other = sorted(name for name in {*before, *now} - {"cores"} if before.get(name) != now.get(name))
    said = {name: f"{name} {before.get(name)}, now {now.get(name)}" for name in other}
    return [words if len(words) < SHORT else name for name, words in said.items()]


def _libraries() -> list[dict[str, Any]]:
    from threadpoolctl import threadpool_info

    found = [
        {
            "of": next((name for name in ("numpy", "scipy") if name in Path(one["filepath"]).parts[-2]), "others"),
            "library": one["internal_api"],
            "version": one["version"],
            "kernels": one.get("architecture"),
            "threads": one["num_threads"],
        }
        for one in threadpool_info()
        if one["user_api"] == "blas"
    ]
    return sorted(found, key=str)


def _model() -> str:
    """The processor's model as the system calls it."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text(encoding="utf-8", errors="replace").splitlines() if known.is_file() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _cores() -> int:
    from joblib import cpu_count

    try:
        return int(cpu_count())
    except ValueError as error:
        came = os.environ.get("LOKY_MAX_CPU_COUNT")
        raise UsageError(f"LOKY_MAX_CPU_COUNT: expected a number of cores, found {came!r}; unset it") from error
