"""Long work as a generator: all that is told in order, the result last; stopped, closed or broken, it ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from brain.errors import InputError
from decode.stages.draw.steps import Step, Stopped, Tell, Worker


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker()
    yield found
    found.close()


def counted(tell: Tell, *, to: int = 5, ended: list[int] | None = None) -> str:
    done = 0
    try:
        for done in range(1, to + 1):
            tell(Step(what="counting", step=done, steps=to))
    finally:
        if ended is not None:
            ended.append(done)
    return "counted"


def test_what_is_told_comes_in_order_and_the_result_last(worker: Worker) -> None:
    found = list(worker.stepwise(counted, stop=threading.Event()))
    assert [one.step for one in found[:-1] if isinstance(one, Step)] == [1, 2, 3, 4, 5] and found[-1] == "counted"


def test_a_set_stop_ends_the_work_and_is_said(worker: Worker) -> None:
    stop, ended = threading.Event(), list[int]()
    stream = worker.stepwise(lambda tell: endless(tell, ended), stop=stop)
    assert isinstance(next(stream), Step)
    stop.set()
    with pytest.raises(Stopped):
        list(stream)
    assert ended and ended[0] >= 1


def endless(tell: Tell, ended: list[int]) -> str:
    step = 0
    try:
        while True:
            step += 1
            tell(Step(what="waiting", step=step, steps=0))
            time.sleep(0.001)
    finally:
        ended.append(step)


def test_a_closed_generator_ends_the_work_and_the_next_begins(worker: Worker) -> None:
    ended: list[int] = []
    stream = worker.stepwise(lambda tell: endless(tell, ended), stop=threading.Event())
    next(stream)
    stream.close()
    assert list(worker.stepwise(counted, stop=threading.Event()))[-1] == "counted"  # the thread was free
    assert ended


def test_work_that_was_given_up_before_it_began_never_begins(worker: Worker) -> None:
    first, second = worker.stepwise(counted, stop=threading.Event()), threading.Event()
    second.set()
    ended: list[int] = []
    with pytest.raises(Stopped):
        list(worker.stepwise(lambda tell: counted(tell, ended=ended), stop=second))
    assert ended == [] and list(first)[-1] == "counted"


def test_what_the_work_raises_is_raised_where_it_is_followed(worker: Worker) -> None:
    def broken(tell: Tell) -> str:
        tell(Step(what="reading", step=1, steps=2))
        raise InputError("FILE: expected X, found Y; next step")

    stream = worker.stepwise(broken, stop=threading.Event())
    assert isinstance(next(stream), Step)
    with pytest.raises(InputError, match="expected X"):
        next(stream)
    assert list(worker.stepwise(counted, stop=threading.Event()))[-1] == "counted"


def test_one_piece_of_work_at_a_time_in_one_thread_with_torch_s_own_threads(worker: Worker) -> None:
    threads: list[tuple[int, int]] = []
    together: list[int] = []
    busy = threading.Lock()

    def alone(tell: Tell) -> str:
        assert busy.acquire(blocking=False)
        together.append(1)
        threads.append((threading.get_ident(), torch.get_num_threads()))
        time.sleep(0.01)
        tell(Step(what="alone", step=1, steps=1))
        busy.release()
        return "done"

    def follow() -> None:
        list(worker.stepwise(alone, stop=threading.Event()))

    followers = [threading.Thread(target=follow) for _ in range(4)]
    for one in followers:
        one.start()
    for one in followers:
        one.join()
    assert len(together) == 4 and set(threads) == {(threads[0][0], torch.get_num_threads())}
