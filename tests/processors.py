"""The numeric tests as on other processors: a table over what this machine can switch, each row with its proof.

    make test-processors                        every row, the tests marked `numeric`
    python tests/processors.py --short          one row and tests/test_same_bits.py alone: part of `make test`
    python tests/processors.py --row "no vector units" -- -x tests/test_encoders_ridge.py

Libraries choose their kernels when they start, by the processor and by environment variables, most of which are
ignored in silence when they are misspelt. So a row sets variables, asks the libraries in a process of its own what they
chose, and runs the tests only if that is another choice than without them; else it says what it could not show. Digests
of small computations stand beside, and the names of those whose bits differ from the machine's own.

A row takes two to four minutes on two free cores; try one with one file first. Exit code: 0 every row that can be shown
is green, 1 tests failed in one or none was found, 2 usage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NO_TESTS = (4, 5)
"""pytest's exit codes for words it does not understand and for no test at all."""

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from brain.machine.arithmetic import VARIABLES  # noqa: E402 - the checkout is found first

SAME_BITS = "tests/test_same_bits.py"
NUMPY_BEYOND_AVX2 = "numpy beyond AVX2"
NUMPY_ALL = "numpy all"


@dataclass(frozen=True, kw_only=True)
class Row:
    """Variables, and what each must be seen to change: a key of `probe()` and, where it is known, its new value.

    A variable's value may be one of the names above: numpy's own list of the features it has found, or part of it.
    """

    name: str
    variables: dict[str, str]
    proof: dict[str, str | None] = field(default_factory=dict)


ROWS = (
    Row(
        name="an AVX2 machine",
        variables={
            "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_CBWR": "AVX2,STRICT",
            "OPENBLAS_CORETYPE": "Haswell", "NPY_DISABLE_CPU_FEATURES": NUMPY_BEYOND_AVX2,
        },
        proof={"torch": "AVX2", "onednn": None, "mkl": "AVX2,STRICT", "openblas": "Haswell", "numpy": None},
    ),
    Row(
        name="no vector units",
        variables={
            "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE",
            "OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": NUMPY_ALL,
        },
        proof={"torch": None, "onednn": None, "mkl": "COMPATIBLE", "openblas": "Nehalem", "numpy": ""},
    ),
    Row(name="torch AVX2", variables={"ATEN_CPU_CAPABILITY": "avx2"}, proof={"torch": "AVX2"}),
    Row(name="torch without vectors", variables={"ATEN_CPU_CAPABILITY": "default"}, proof={"torch": None}),
    Row(name="oneDNN AVX-512", variables={"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, proof={"onednn": None}),
    Row(name="oneDNN AVX2", variables={"ONEDNN_MAX_CPU_ISA": "AVX2"}, proof={"onednn": None}),
    Row(name="oneDNN SSE4.1", variables={"ONEDNN_MAX_CPU_ISA": "SSE41"}, proof={"onednn": None}),
    Row(name="MKL AVX2", variables={"MKL_CBWR": "AVX2,STRICT"}, proof={"mkl": "AVX2,STRICT"}),
    Row(name="MKL AVX2, not strict", variables={"MKL_CBWR": "AVX2"}, proof={"mkl": "AVX2"}),
    Row(name="MKL compatible", variables={"MKL_CBWR": "COMPATIBLE"}, proof={"mkl": "COMPATIBLE"}),
    Row(name="OpenBLAS Haswell", variables={"OPENBLAS_CORETYPE": "Haswell"}, proof={"openblas": "Haswell"}),
    Row(name="OpenBLAS Nehalem", variables={"OPENBLAS_CORETYPE": "Nehalem"}, proof={"openblas": "Nehalem"}),
    Row(name="numpy AVX2", variables={"NPY_DISABLE_CPU_FEATURES": NUMPY_BEYOND_AVX2}, proof={"numpy": None}),
    Row(name="numpy baseline", variables={"NPY_DISABLE_CPU_FEATURES": NUMPY_ALL}, proof={"numpy": ""}),
    Row(name="1 thread", variables={"OMP_NUM_THREADS": "1"}, proof={"threads": "1"}),
    Row(name="2 threads", variables={"OMP_NUM_THREADS": "2"}, proof={"threads": "2"}),
    # MKL, which torch asks, takes no more threads than there are cores unless it is told
    Row(name="4 threads", variables={"OMP_NUM_THREADS": "4", "MKL_DYNAMIC": "FALSE"}, proof={"threads": "4"}),
)  # fmt: skip
SHORT = "an AVX2 machine"


def probe() -> dict[str, Any]:
    """What the libraries of this process have chosen, and digests of what they compute."""
    import numpy as np
    import scipy.linalg
    import torch
    from threadpoolctl import threadpool_info

    import brain  # noqa: F401 - tells MKL what to be before its first product

    blas = sorted({str(one["architecture"]) for one in threadpool_info() if one["internal_api"] == "openblas"})
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal((257, 257)) for _ in range(2))
    square = x @ y
    a, b = torch.from_numpy(x), torch.from_numpy(y)
    picture = torch.from_numpy(rng.standard_normal((2, 16, 33, 33)).astype(np.float32))
    kernel = torch.from_numpy(rng.standard_normal((24, 16, 3, 3)).astype(np.float32))
    computed = {
        "softmax": lambda: picture.softmax(-1),
        "normalisation": lambda: torch.nn.functional.group_norm(picture, 4),
        "noise": lambda: torch.randn(64, generator=torch.Generator().manual_seed(0)),
        "convolution": lambda: torch.nn.functional.conv2d(picture, kernel),
        "bf16 product": lambda: (a.bfloat16() @ b.bfloat16()).float(),
        "float32 product": lambda: a.float() @ b.float(),
        "float64 product": lambda: a @ b,
        "torch eigh": lambda: torch.linalg.eigvalsh(a + a.T),
        "numpy product": lambda: x.astype(np.float32) @ y.astype(np.float32),
        "numpy product 64": lambda: square,
        "numpy exp": lambda: np.exp(x.astype(np.float32)),
        "numpy log 64": lambda: np.log(np.abs(x)),
        "numpy sum": lambda: x.astype(np.float32).sum(1),
        "scipy eigh": lambda: scipy.linalg.eigvalsh(x + x.T),
    }
    return {
        "torch": torch.backends.cpu.get_cpu_capability(),
        "openblas": " ".join(blas),
        "numpy": " ".join(numpy_features()),
        "threads": str(torch.get_num_threads()),
        "digests": {
            name: hashlib.sha256(np.ascontiguousarray(np.asarray(work())).tobytes()).hexdigest()[:8]
            for name, work in computed.items()
        },
    }


def numpy_features() -> list[str]:
    """The instruction sets that numpy has found beyond those it was built for, by its own names, lowest first."""
    import numpy as np

    return list(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))


def choices(variables: dict[str, str]) -> dict[str, Any]:
    """`probe` under these variables, with what oneDNN and MKL print of themselves."""
    told = {"ONEDNN_VERBOSE": "1", "MKL_VERBOSE": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--probe"], cwd=ROOT, env=environment({**variables, **told}), capture_output=True,
        text=True, timeout=300,
    )  # fmt: skip
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise SystemExit(f"{sys.executable}: expected torch, numpy and scipy under {variables}, found {last[0]}; "
                         "run it with .venv/bin/python after make test or make lint")  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    isa = re.search(r"cpu,isa:([^\n]*)", done.stdout)
    mode = re.search(r"CNR:(\S+)", done.stdout)
    return {**found, "onednn": isa[1] if isa else "", "mkl": mode[1] if mode else ""}


def environment(variables: dict[str, str]) -> dict[str, str]:
    """This process' environment with no switch but these: what lies about in the shell would show another machine."""
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    return {**kept, "OMP_NUM_THREADS": "1", **variables, "PYTHONPATH": str(ROOT)}


def settled(variables: dict[str, str], features: list[str]) -> dict[str, str]:
    """The variables with numpy's own names in the place of ours; a variable without any is left out."""
    beyond = [one for one in features if "512" in one or "X86_V4" in one]
    lists = {NUMPY_BEYOND_AVX2: " ".join(beyond), NUMPY_ALL: " ".join(features)}
    return {name: found for name, value in variables.items() if (found := lists.get(value, value))}


def unshown(row: Row, own: dict[str, Any], found: dict[str, Any]) -> str:
    """What this row was to change and did not, "" where it changed all of it."""
    missing = []
    if "threads" not in row.proof and found["digests"] == own["digests"]:
        missing.append("no probe has other bits")
    for key, value in row.proof.items():
        if found[key] == own[key] and (value is None or value != own[key]):
            missing.append(f"{key} stays {own[key] or 'as it is'}")
        elif value is not None and found[key] != value:
            missing.append(f"{key} is {found[key]}, not {value}")
    return ", ".join(missing)


def tests(variables: dict[str, str], words: list[str]) -> tuple[int, str]:
    """pytest under these variables: its exit code and its last line."""
    spread = "load" if words == [SAME_BITS] else "loadfile"  # one file would be left to one of the two processes
    parallel = ["--numprocesses", "2", "--dist", spread, "--no-loadscope-reorder"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--no-header", *parallel, *words]
    done = subprocess.run(command, cwd=ROOT, env=environment(variables), capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    last = done.stdout.strip().splitlines()[-1:] or [done.stderr[-300:]]
    return done.returncode, "\n".join([last[0].strip("= "), *(f"    {line}" for line in lines)])


def main(words: list[str]) -> int:
    """The command line."""
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="tests/processors.py", description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help=f"one row, {SHORT!r}, and {SAME_BITS} alone")
    parser.add_argument("--row", action="append", choices=[row.name for row in ROWS], help="this row, not all of them")
    parser.add_argument("--probe", action="store_true", help="print what the libraries of this process have chosen")
    parser.add_argument("pytest", nargs="*", help="words for pytest in the place of `-m numeric`")
    asked = parser.parse_args(words)
    if asked.short and asked.row:
        parser.error("--short has a row of its own; leave out --row or --short")
    if asked.probe:
        print(json.dumps(probe()))
        return 0
    chosen = [SHORT] if asked.short else asked.row or [row.name for row in ROWS]
    how = asked.pytest or ([SAME_BITS] if asked.short else ["-m", "numeric", "--ignore=tests/openclip"])
    own = choices({})
    facts = ", ".join(f"{key} {own[key]}" for key in ("torch", "onednn", "mkl", "openblas", "numpy", "threads"))
    print(f"this machine: {facts}", flush=True)
    codes = [run(row, own, how) for row in ROWS if row.name in chosen]
    shown = [code for code in codes if code is not None]
    print(f"{len(shown)} of {len(codes)} rows can be shown on this machine, {shown.count(0)} of them green", flush=True)
    return int(any(shown))


def run(row: Row, own: dict[str, Any], how: list[str]) -> int | None:
    """One row, printed; pytest's exit code, None where this machine cannot show it."""
    variables = settled(row.variables, own["numpy"].split())
    found = choices(variables)
    said = " ".join(f"{name}={value!r}" for name, value in variables.items())
    print(f"\n{row.name}: {said}", flush=True)
    if lacking := unshown(row, own, found):
        print(f"  not shown on this machine: {lacking}", flush=True)
        return None
    other = [name for name, digest in found["digests"].items() if digest != own["digests"][name]]
    proofs = [f"{key} {found[key] or 'nothing beyond its baseline'}" for key in row.proof]
    print(f"  proof: {', '.join(proofs)}")
    print(f"  other bits in: {', '.join(other) or 'none of the probes'}", flush=True)
    began = time.monotonic()
    code, last = tests(variables, how)
    if code in NO_TESTS:
        raise SystemExit(f"pytest {' '.join(how)}: expected tests, found none ({last}); name a file or drop the words")
    print(f"  {'green' if code == 0 else 'RED'} in {time.monotonic() - began:.0f} s: {last}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
