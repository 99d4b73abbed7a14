"""How a command ends whatever stops it: signals, no memory, the system's errors, output that nobody reads."""

from __future__ import annotations

import errno
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import evaluation.__main__ as judging
from app import cli
from app.cli import main
from brain.console import progress as progress_module
from brain.console.bounds import LAST_SEED
from brain.console.commands import Stopped, command, interruptible
from brain.console.progress import duration, progress
from brain.console.terminal import Plain, plain
from brain.errors import UsageError
from brain.machine.devices import check_device, devices
from brain.types import Stimuli
from decode.stages.fit.spaces import PART, encoded
from encoders.settings import Plan
from encoders.spaces import CATALOGUE
from evaluation.report.evaluate import Judging

ENDS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
SLEEPER = """
import sys, time, pathlib
from brain.console.commands import command

def work():
    part = pathlib.Path(sys.argv[1])
    try:
        part.touch()
        time.sleep(60)
    finally:
        time.sleep(0.2)
        part.unlink()

sys.exit(command("sleeper", work, resumes=len(sys.argv) > 2))
"""


def started(
    words: list[str], begun: Callable[[], bool], *, watch: list[int] | None = None, **more: object
) -> subprocess.Popen[str]:
    """A process of our Python that has `begun`; its number is put into `watch`."""
    process = subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # tests that were themselves started in the background would hand their ignored SIGINT down
        **{"preexec_fn": lambda: [signal.signal(one, signal.SIG_DFL) for one in ENDS], **more},
    )
    if watch is not None:
        watch.append(process.pid)
    until = time.monotonic() + 60
    while process.poll() is None and not begun() and time.monotonic() < until:
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("resumes", [[], ["resumes"]])
@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_a_signal_ends_with_one_sentence_its_code_and_nothing_half_written(
    number: signal.Signals, resumes: list[str], tmp_path: Path
) -> None:
    part = tmp_path / "part"
    process = started(["-c", SLEEPER, str(part), *resumes], part.exists)
    process.send_signal(number)
    if number != signal.SIGINT:  # such as a terminal that closes, which says so twice
        time.sleep(0.05)
        process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == ENDS[number]
    again = "; the same command again goes on where it stopped" if resumes else ""
    assert err == f"sleeper: stopped by {number.name}{again}\n"
    assert not part.exists()


def test_a_signal_that_the_shell_has_ignored_stays_so(tmp_path: Path) -> None:
    """As after nohup: the terminal goes and the work stays."""
    part = tmp_path / "part"
    process = started(
        ["-c", SLEEPER, str(part)], part.exists, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)
    )
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert process.poll() is None and part.exists()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143 and not part.exists()


def test_a_stopped_study_of_a_real_process_goes_on(planted: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["study", str(planted), "--recipe", "pixels-ridge", "--folds", "3", "--bootstrap", "100",
             "--permutations", "10", "--out", str(run)]  # fmt: skip
    process = started(["-m", "app.cli", *words], lambda: (run / "conditions").is_dir())
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert err.splitlines()[-1].startswith("afterimage: stopped by SIGTERM; ") and "Traceback" not in err
    assert not (run / "report/report.html").exists()
    assert main(words) == 0
    assert (run / "report/report.html").is_file()


def listening(process: int) -> bool:
    """Whether the process hears SIGTERM, as the system says."""
    caught = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{process}/status").read_text(), re.M)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def importing(process: int) -> bool:
    """Whether the process is in the midst of importing torch, or past it."""
    return "libtorch" in Path(f"/proc/{process}/maps").read_text()


@pytest.mark.parametrize(
    ("module", "name", "number", "moment"),
    [
        ("encoders.pretrain", "pretrain", signal.SIGTERM, importing),
        ("encoders.pretrain", "pretrain", signal.SIGINT, listening),
        ("pipelines.finetune", "finetune", signal.SIGHUP, importing),
        ("pipelines.finetune", "finetune", signal.SIGTERM, listening),
        ("evaluation", "evaluation", signal.SIGINT, listening), ("app.cli", "afterimage", signal.SIGTERM, listening),
    ],
)  # fmt: skip
def test_a_signal_while_torch_is_imported_is_a_sentence_too(
    module: str, name: str, number: signal.Signals, moment: Callable[[int], bool], tmp_path: Path
) -> None:
    words = [str(tmp_path)] if module == "evaluation" else [str(tmp_path), "--out", str(tmp_path / "out")]
    born: list[int] = []
    process = started(
        ["-m", module, *(["fit"] if module == "app.cli" else []), *words],
        lambda: bool(born) and moment(born[0]),
        watch=born,
    )
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (ENDS[number], "")
    again = "" if module == "evaluation" else "; the same command again goes on where it stopped"
    assert err == f"{name}: stopped by {number.name}{again}\n"


@pytest.mark.parametrize("module", ["encoders.pretrain", "pipelines.finetune", "evaluation", "app.cli"])
def test_help_imports_nothing_heavy(module: str) -> None:
    """And so no command of this kind is deaf to a signal while it reads its flags."""
    ran = f"runpy.run_module({module!r}, None, '__main__', alter_sys=True)"
    code = f"import runpy, sys; sys.argv = ['x', '--help']; {ran}"
    found = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert found.returncode == 0 and "--help" in found.stdout
    assert not re.search(r"\| +(torch|scipy|transformers|diffusers|accelerate)$", found.stderr, re.M)


def test_a_signal_that_falls_into_a_callback_is_heard_all_the_same() -> None:
    class Gone:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            sum(range(1000))  # the handler runs here, and what it raises is lost

    gone = Gone()
    with pytest.raises(Stopped) as stopped, interruptible():
        del gone
        time.sleep(30)
    assert stopped.value.number == signal.SIGTERM and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.fixture
def heard() -> Iterator[None]:
    """SIGHUP as it is without nohup, under which a suite may run."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
def test_handlers_are_given_back_and_a_stop_is_an_interrupt() -> None:
    before = [signal.getsignal(number) for number in ENDS]
    with pytest.raises(KeyboardInterrupt) as stop, interruptible():
        os.kill(os.getpid(), signal.SIGHUP)
        time.sleep(5)
    assert isinstance(stop.value, Stopped) and stop.value.number == signal.SIGHUP
    assert [signal.getsignal(number) for number in ENDS] == before


def raising(fault: BaseException) -> Callable[[], int]:
    """Work that ends so."""

    def work() -> int:
        raise fault

    return work


def ended(fault: BaseException, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Exit code and sentence of a command whose work ends with this."""
    code = command("afterimage", raising(fault))
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1 and said.err.startswith("afterimage: ")
    return code, said.err


def of_numpy() -> BaseException:
    with pytest.raises(MemoryError) as fault:
        np.empty((1 << 50, 16), np.float32)
    return fault.value


def of_torch() -> BaseException:
    with pytest.raises(RuntimeError) as fault:
        torch.empty(1 << 60, dtype=torch.uint8)
    return fault.value


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (of_numpy, "64.0 PiB for an array with shape (1125899906842624, 16)"),
        (of_torch, "1152921504606846976 bytes"),
        (MemoryError, "no more is said of it"),
        (lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), "20.00 GiB"),
        (lambda: OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory"),
    ],
    ids=["numpy", "torch", "bare", "cuda", "system"],
)
def test_no_memory_says_what_was_needed_and_what_to_do(
    fault: Callable[[], BaseException], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, sentence = ended(fault(), capsys)
    assert code == 4 and words in sentence and "fewer sessions" in sentence and "--" not in sentence


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, 4), (errno.EDQUOT, 4), (errno.EACCES, 4), (errno.EROFS, 4), (errno.ENAMETOOLONG, 3),
        (errno.ELOOP, 3), (errno.EISDIR, 3), (errno.ENOTDIR, 3), (errno.EMFILE, 3), (errno.EIO, 3),
    ],
    ids=lambda number: errno.errorcode.get(number, ""),
)  # fmt: skip
def test_what_the_system_refuses_is_a_sentence(number: int, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    found, sentence = ended(OSError(number, os.strerror(number), "there"), capsys)
    assert found == code and sentence.startswith("afterimage: there: expected ") and os.strerror(number) in sentence


def test_names_that_are_no_names_are_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for work in (Path("a\0b").read_bytes, lambda: "caf\udce9".encode()):
        with pytest.raises(ValueError) as fault:
            work()
        code, sentence = ended(fault.value, capsys)
        assert code == 3 and "name" in sentence
    long = "a" * 300
    assert main(["study", long, "--out", str(tmp_path / "run")]) == 3
    assert "File name too long" in capsys.readouterr().err
    assert main(["inspect", "caf\udce9"]) == 2
    assert capsys.readouterr().err == (
        "afterimage: command line: expected names in UTF-8, found caf\\xe9; rename the file or folder\n"
    )
    assert judging.main([long]) == 3
    assert "File name too long" in capsys.readouterr().err


def test_faults_of_ours_keep_their_tracebacks() -> None:
    no_text = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    for fault in (ValueError("no"), RuntimeError("no"), OSError("without a number"), no_text):
        with pytest.raises(type(fault)):
            command("afterimage", raising(fault))


@pytest.mark.parametrize("words", [["stacks", "list"], ["study", "--help"], ["--help"]], ids=lambda words: words[0])
def test_output_that_nobody_reads_ends_in_silence(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "app.cli", *words], stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_output_without_room_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "app.cli", "--help"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 4
    assert done.stderr.startswith("afterimage: standard output: expected ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"), ("a\rb\x07\x00", "a\\x0db\\x07\\x00"), ("\x9b31m\x7f", "\\x9b31m\\x7f"),
        ("gpj.\u202ecod", "gpj.\\u202ecod"), ("a\u2066b\u2028c", "a\\u2066b\\u2028c"),
        ("ein Täubchen\t鳩\n", "ein Täubchen\t鳩\n"),
    ],
)  # fmt: skip
def test_controls_of_foreign_names_are_written_out(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_nothing_that_a_command_prints_moves_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(tmp_path / "a\x1b[31m\rb\u202e")]) == 3
    assert "a\\x1b[31m\\x0db\\u202e: " in capsys.readouterr().err

    def work() -> None:
        print("name", "a\x1b]0;title\x07")
        print("note\x9b", file=sys.stderr)

    assert command("afterimage", work) == 0
    assert capsys.readouterr() == ("name a\\x1b]0;title\\x07\n", "note\\x9b\n")
    before = sys.stdout, sys.stderr
    command("afterimage", lambda: 0)
    assert (sys.stdout, sys.stderr) == before


def test_a_bar_may_move_what_a_name_in_it_may_not() -> None:
    stream = io.StringIO()
    out = Plain(stream, coloured=True)
    for text in ("\r", "\n\n", "\x1b[A\x1b[A", "\r a\x1b[Ab: 3/4"):
        out.write(text)
    assert stream.getvalue() == "\r\n\n\x1b[A\x1b[A\r a\\x1b[Ab: 3/4"


def test_what_a_terminal_cannot_show_is_written_out() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="latin-1")
    Plain(stream, coloured=False).write("Täubchen 鳩 \udce9")
    stream.flush()
    assert raw.getvalue() == "Täubchen \\u9ce9 \\udce9".encode("latin-1")


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time by which displays go."""
    clock = Clock()
    monkeypatch.setattr("tqdm.std.time", clock)
    return clock


def test_long_work_without_a_terminal_says_plain_lines_now_and_then(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress(total=100, desc="drawing", unit="sample") as bar:
        for _ in range(100):
            clock.now += 0.5
            bar.update()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "drawing: 4 of 100 samples, about 48 s left"
    assert lines[1] == "drawing: 24 of 100 samples, about 38 s left"
    assert lines[-1] == "drawing: 100 of 100 samples" and len(lines) == 6


def test_every_step_of_a_loop_is_counted_once(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in progress(range(40), desc="judging", unit="stimulus"):
        clock.now += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("judging: 2 of 40 stimuli, ") and lines[-1] == "judging: 40 of 40 stimuli"


def test_what_is_over_at_once_says_nothing_and_a_resumed_count_does_not_flatter(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(progress(range(1000), desc="fitting", unit="mapping")) == list(range(1000))
    assert capsys.readouterr().err == ""
    bar = progress(total=1000, initial=900, desc="training", unit="step")
    clock.now += 5.0
    bar.set_postfix(loss="0.5")
    bar.update(10)
    clock.now += 3.0
    bar.update(20)
    bar.close()  # broken off: what ended it has the last word
    assert capsys.readouterr().err == "training: 910 of 1000 steps, loss=0.5, about 45 s left\n"


def test_an_unknown_length_is_counted(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress(desc="miniature", unit="picture") as bar:
        clock.now += 3.0
        bar.update()
    assert capsys.readouterr().err == "miniature: 1 picture\n"
    assert [duration(seconds) for seconds in (0.2, 89, 200, 9000)] == ["1 s", "89 s", "3 min", "2.5 h"]


def test_true_conditions_are_counted_as_a_whole(
    clock: Clock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are made a part at a time, and a part says nothing of its own."""
    ids = tuple(f"s{one:02d}" for one in range(PART + 5))

    def opener(name: str) -> Image.Image:
        clock.now += 1.0
        return Image.new("RGB", (4, 4), (int(name[1:]), 0, 0))

    stimuli = Stimuli(ids=ids, modality="image", opener=opener)
    pixels = CATALOGUE["pixels"].open(Path(), model="rgb-4x4", revision="", device="cpu")
    encoded(tmp_path / "pixels.safetensors", pixels, stimuli=stimuli, ids=ids)
    told = capsys.readouterr().err.splitlines()
    assert told == [f"encoding for pixels: {done} of {PART + 5} stimuli{left}"
                    for done, left in ((PART, ", about 5 s left"), (PART + 5, ""))]  # fmt: skip
    pixels.encode(stimuli, ids, batch=16)
    assert f"pixels: 16 of {PART + 5} stimuli" in capsys.readouterr().err


def test_after_a_silence_a_loop_says_at_once_what_begins(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as many loops that are each over sooner than a first line is due."""
    raw = io.StringIO()
    stream = Plain(raw, coloured=True)
    monkeypatch.setattr(sys, "stderr", stream)
    stream.silent_since = clock.now
    for name in ("planning", "drawing", "writing"):
        for _ in progress(range(3), desc=name, unit="scene"):
            clock.now += 0.5
    assert raw.getvalue() == "drawing: 1 of 3 scenes, about 1 s left\n"
    stream.silent_since = clock.now - 3.0
    for _ in progress(range(2), desc="the cortex watches", unit="batch"):
        assert raw.getvalue().splitlines()[1:] == ["the cortex watches: 0 of 2 batches"]


def test_a_step_that_lasts_is_said_while_it_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress_module, "FIRST", 0.1)
    monkeypatch.setattr(progress_module, "BEAT", 0.05)

    def work() -> None:
        for _ in progress(range(1), desc="making brains watch", unit="subject"):
            time.sleep(0.8)

    assert command("afterimage", work) == 0
    assert capsys.readouterr().err.splitlines() == [
        "making brains watch: 0 of 1 subject", "making brains watch: 1 of 1 subject"
    ]  # fmt: skip
    assert "progress" not in [one.name for one in threading.enumerate()]


def test_a_terminal_has_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", Plain(stream, coloured=True))
    list(progress(range(3), desc="a\x1b[31m", unit="step"))
    assert "\r" in stream.getvalue() and "3/3" in stream.getvalue() and "\x1b" not in stream.getvalue()
    assert not isinstance(progress(range(3), desc="a"), progress_module.Lines)


@pytest.mark.parametrize("device", ["gpu", "banana", "", "CUDA", "cuda:-1", "cuda:x", "meta", "cuda:99", "cpu:3"])
@pytest.mark.parametrize("command", ["study", "fit"])
def test_a_device_that_is_not_there_is_said_before_anything_else(
    command: str, device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([command, str(tmp_path / "nowhere"), "--out", str(run), "--device", device]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("afterimage: --device: expected ") and "cpu" in sentence and not run.exists()


def test_devices_that_are_there_are_taken() -> None:
    for device in devices():
        check_device(device)
        if ":" not in device:
            check_device(f"{device}:0")  # the first of a kind by its number
    if "cuda" not in devices():
        with pytest.raises(UsageError, match=r"--device: expected one that torch sees here .*, found cuda; "):
            check_device("cuda")


@pytest.mark.parametrize(
    ("flag", "value"), [("--batch", "-2"), ("--seed", "-1"), ("--seed", str(2**63)), ("--seed", str(2**70))]
)
@pytest.mark.parametrize("command", ["study", "fit", "decode", "synthesize"])
def test_numbers_out_of_bounds_are_said_before_anything_else(
    command: str, flag: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")] if command in ("study", "fit") else []
    assert main([command, str(tmp_path / "nowhere"), *out, flag, value]) == 2
    assert f"{flag}: expected 0" in capsys.readouterr().err


def test_seeds_and_counts_of_the_modules_have_the_same_bounds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for flags in (["--seed", "-1"], ["--bootstrap", "3"], ["--permutations", "-1"]):
        assert judging.main([str(tmp_path), *flags]) == 2
        assert capsys.readouterr().err.startswith(f"evaluation: {flags[0]}: expected ")
    with pytest.raises(UsageError, match="--seed: expected 0 to 9223372036854775807, found -1"):
        Plan(seed=-1)
    with pytest.raises(UsageError, match="--rate: expected 0 or more, found nan"):
        Plan(rate=float("nan"))
    assert Plan(seed=LAST_SEED).seed == Judging(seed=LAST_SEED).seed
    assert cli.main(["pack", str(tmp_path / "a.h5"), "--responses", "r.npy", "--size", "-3"]) == 2
    assert "--size: expected 0 or more, found -3" in capsys.readouterr().err


def test_a_study_says_its_stages_and_counts_what_was_not_computed(
    planted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["study", str(planted), "--recipe", "pixels-ridge", "--folds", "3", "--bootstrap", "100",
             "--permutations", "10", "--out", str(tmp_path / "run")]  # fmt: skip
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    stages = [line for line in lines if line.startswith("stage ")]
    assert stages == ["stage 1 of 3: fit", "stage 2 of 3: decode", "stage 3 of 3: evaluate"]
    lacking = [line for line in lines if "not computed" in line]
    assert len(lacking) == 1 and lacking[0].endswith(" not computed, see the report")
    assert lines[-1] == str(tmp_path / "run/report/report.html")


def test_the_beat_leaves_a_bar_alone_that_is_not_made_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """tqdm knows a bar from its `__new__` on; between that and the end of its `__init__` it has no state to show."""
    monkeypatch.setattr(progress_module, "BEAT", 0.01)
    with progress_module.beating():
        bar = progress_module.Lines.__new__(progress_module.Lines)
        time.sleep(0.1)
        assert any(thread.name == "progress" for thread in threading.enumerate())
    bar.disable = True  # which is all that its end asks for
    progress_module.Lines._instances.remove(bar)
