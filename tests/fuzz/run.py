"""`python -m tests.fuzz.run [KIND ...] [--count 300] [--seed 1]`: damaged inputs, each read in a child of its own.

    same         read, and nothing that was damaged shows        differs    read with other numbers: no checksum told
    refused      one sentence                                    traceback, hang, killed       faults of ours

The same seed gives the same damage. What fails is kept under build/fuzz; the exit code is 1 where anything did.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from brain.errors import AfterimageError
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import KINDS, Read

SECONDS, MEMORY = 20, 3 * 2**30
"""What one reading may take, beyond what the process has mapped before."""
FAULTS = ("traceback", "hang", "killed")
KEPT = Path("build/fuzz")


def attempt(read: Read, root: Path, log: Path) -> tuple[str, str]:
    """The outcome of reading `root` in a child with limits, and the digest or the sentence that came out."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os._exit(_read(read, root, log))
    end = time.monotonic() + SECONDS
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hang", f"more than {SECONDS} s"
        time.sleep(0.005)
    said = log.read_text(errors="replace") if log.exists() else ""
    if os.WIFSIGNALED(status):
        return "killed", f"signal {os.WTERMSIG(status)}"
    return {0: "same", 3: "refused"}.get(os.WEXITSTATUS(status), "traceback"), said


def _read(read: Read, root: Path, log: Path) -> int:
    """In the child: 0 and a digest in `log`, 3 and a sentence, or 1 and a traceback."""
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, mapped + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        log.write_text(read(root))
        return 0
    except AfterimageError as error:
        log.write_text(str(error), errors="replace")
        return 3
    except BaseException:
        log.write_text(traceback.format_exc(), errors="replace")
        return 1


def fuzz(kind: str, *, count: int, seed: int, work: Path) -> list[tuple[str, str, str]]:
    """(outcome, what was done, what was said) of `count` damaged inputs of a kind; faults are kept."""
    write, read = KINDS[kind]
    whole, root, log = work / "whole", work / "root", work / "log"
    whole.mkdir(parents=True)
    write(whole)
    shutil.copytree(whole, root)
    read(root)  # whatever is imported late is imported here, once
    shutil.rmtree(root)
    shutil.copytree(whole, root)
    outcome, truth = attempt(read, root, log)
    if outcome != "same":
        raise RuntimeError(f"{kind}: the undamaged input is {outcome}: {truth}")
    results = []
    for number in range(count):
        chance = random.Random(f"{kind}/{seed}/{number}")
        shutil.rmtree(root)
        log.unlink(missing_ok=True)
        shutil.copytree(whole, root)
        by_format: dict[str, list[Path]] = {}
        for file in sorted(file for file in root.rglob("*") if file.is_file() and file.name != ".lock"):
            by_format.setdefault(file.suffix, []).append(file)
        files = by_format[chance.choice(sorted(by_format))]
        path = chance.choice(files)
        done = f"{path.relative_to(root)} {mutate(path, files, chance)}"
        outcome, said = attempt(read, root, log)
        if outcome == "same" and said != truth:
            outcome = "differs"
        if outcome in FAULTS:
            _keep(root, KEPT / f"{kind}-{seed}-{number}", f"{done}\n{outcome}\n{said}\n")
        results.append((outcome, done, said))
    return results


def _keep(root: Path, kept: Path, said: str) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    (kept / "said.txt").write_text(said)
    for path in (path for path in root.rglob("*") if path.is_file() and not path.is_symlink()):
        target = kept / "root" / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def main() -> int:
    """The command line: a table of outcomes, then every fault in a line."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("kinds", nargs="*", choices=[*KINDS, []], metavar="KIND", help=", ".join(KINDS))
    flags.add_argument("--count", type=int, default=300)
    flags.add_argument("--seed", type=int, default=1)
    asked = flags.parse_args()
    columns = ("same", "differs", "refused", *FAULTS)
    print(f"{'kind':<18}" + "".join(f"{name:>10}" for name in columns))
    faults = []
    for kind in asked.kinds or KINDS:
        with tempfile.TemporaryDirectory() as work:
            found = fuzz(kind, count=asked.count, seed=asked.seed, work=Path(work))
        counts = Counter(outcome for outcome, _, _ in found)
        print(f"{kind:<18}" + "".join(f"{counts[name]:>10}" for name in columns), flush=True)
        wrong = [(done, said.strip().splitlines()) for outcome, done, said in found if outcome in FAULTS]
        faults += [f"{kind}: {done}: {(lines or ['no word'])[-1][:200]}" for done, lines in wrong]
    print("\n".join(faults) if faults else "no faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
