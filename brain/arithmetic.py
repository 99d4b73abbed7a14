"""What computed: the facts of a machine that decide the last bits of a number, for cards.

    arithmetic()      {"instructions": "AVX512", "threads": 2, "cores": 2, "libraries": [...], "variables": {...}}

Two runs with the same facts, versions and settings agree bit for bit where `docs/reproducibility.md` promises it; two
with other facts agree to rounding.
"""

from __future__ import annotations

import os
from typing import Any

VARIABLES = (
    "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "MKL_CBWR",
    "OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES", "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
)  # fmt: skip
"""Environment variables that choose kernels; those that are set stand among the facts."""


def arithmetic(device: str = "cpu") -> dict[str, Any]:
    """The facts, as JSON says them, without a path or a person's name.

    instructions  the instruction set that torch's own kernels use; `onednn` whether convolutions may use oneDNN's
    threads       those that torch really uses; `cores` those this process may use, by affinity and control groups
    libraries     of linear algebra, numpy's and scipy's own: name, version, kernels, threads
    numpy         the instruction sets that numpy's own loops found
    variables     of the environment that choose kernels and are set
    accelerator   of a device that is no processor: its name, versions, whether TF32 may be used, determinism
    """
    import numpy as np
    import scipy.linalg  # noqa: F401 - brings its own library, which is counted whether or not anything has used it yet
    import torch
    from joblib import cpu_count
    from threadpoolctl import threadpool_info

    loaded = {
        (one["internal_api"], one["version"], one.get("architecture"), one["num_threads"])
        for one in threadpool_info()
        if one["user_api"] == "blas"
    }
    facts: dict[str, Any] = {
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "onednn": torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call]
        "threads": torch.get_num_threads(),
        "cores": cpu_count(),
        "libraries": [
            {"library": library, "version": version, "kernels": kernels, "threads": threads}
            for library, version, kernels, threads in sorted(loaded, key=str)
        ],
        "numpy": np.show_config(mode="dicts")["SIMD Extensions"].get("found", []),
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
