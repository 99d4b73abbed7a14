"""Two processes that pretrain, killed again and again: `python tests/pretraining_nursery.py DATA OUT KILLS`.

Everything is imported once, then forked, so that many launches cost one. Before each kill it waits for a step drawn at
random; both processes die by SIGKILL in the midst of whatever they do. The last launch runs to its end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path

import accelerate  # noqa: F401 - imported before the fork
import torch

import encoders.masked.pretraining  # noqa: F401 - the work
import encoders.pretrain

STEPS = 40
WORDS = ["--steps", str(STEPS), "--validate", "10", "--save", "3", "--batch", "9", "--warm", "5", "--patience", "0",
         "--patch", "4", "--width", "16", "--depth", "1", "--heads", "2", "--decoder-width", "8"]  # fmt: skip


def launch(data: str, out: str) -> list[int]:
    """Fork two processes of one gloo world; returns their ids."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            torch.set_num_threads(1)
            os._exit(encoders.pretrain.main([data, "--out", out, *WORDS]))
        children.append(child)
    return children


def step_of(out: str) -> int:
    """The last step that the log holds."""
    log = Path(out) / "log.jsonl"
    lines = log.read_text().splitlines() if log.is_file() else []
    whole = [line for line in lines if line.endswith("}")]
    return int(json.loads(whole[-1])["step"]) if whole else 0


def main(data: str, out: str, kills: int) -> int:
    """Kill `kills` times, then finish; returns the last launch's exit code."""
    draw = random.Random(7)
    for _ in range(kills):
        children = launch(data, out)
        aim = min(STEPS - 1, step_of(out) + draw.randint(3, 8))
        until = time.monotonic() + 60
        while step_of(out) < aim and time.monotonic() < until:
            time.sleep(0.002)
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        print("killed after step", step_of(out), flush=True)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in launch(data, out))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
