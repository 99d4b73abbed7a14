"""Each library reads files in exactly one module of ours, which knows all that it raises and what to ask before."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOMS = ("app", "brain", "decode", "encoders", "evaluation", "pipelines")
ROADS: dict[str, str | set[str]] = {
    # reads, writes, names the type
    "h5py.File": {"brain/files/hdf5.py", "brain/writing/opener.py", "brain/data/pack.py"},
    "PIL.Image.open": "brain/files/pictures.py",
    "nibabel.load": "nowhere",
    "nibabel.loadsave.load": "nowhere",
    "nibabel.nifti2.Nifti2Image": "brain/files/nifti.py",
    "gzip.GzipFile": {"brain/files/nifti.py", "brain/writing/opener.py"},
    "gzip.open": "nowhere",
    # the run that the demo packs, and the wheel that a Space starts from
    "zipfile.ZipFile": {"brain/files/npz.py", "app/demo/uploads/archive.py", "app/space/app.py"},
    "numpy.lib.format.read_magic": "brain/files/npz.py",
    # caches of training
    "numpy.load": {"pipelines/miniature/recipe_image/data.py", "pipelines/miniature/recipe_sound/data.py"},
    "numpy.loadtxt": "nowhere",
    "numpy.genfromtxt": "nowhere",
    "pandas.read_csv": "nowhere",
    "scipy.io.loadmat": "brain/files/mat.py",
    "soundfile.SoundFile": "brain/files/waveforms.py",
    "soundfile.info": "brain/files/waveforms.py",
    "soundfile.read": "nowhere",
    "csv.reader": "brain/files/tables.py",
    "csv.DictReader": "nowhere",
    "json.load": "nowhere",
    "safetensors.safe_open": "brain/files/tensors.py",
    "safetensors.deserialize": "brain/files/tensors.py",
    "safetensors.torch.load": "brain/files/tensors.py",
    "safetensors.torch.load_file": "brain/files/tensors.py",
    "safetensors.torch.load_model": "brain/files/tensors.py",
    "safetensors.numpy.load": "brain/files/tensors.py",
    "safetensors.numpy.load_file": "brain/files/tensors.py",
    "torch.load": "brain/files/tensors.py",
    "pickle.load": "nowhere",
    "pickle.loads": "nowhere",
    "torch.hub.load": "nowhere",
}
"""What a library reads a file with -> the module that may name it, one for reading; "nowhere" is no module."""


def named(source: str) -> Iterator[tuple[str, int]]:
    """Every dotted name of a module that leads to an import, spelled out from there, and its line."""
    tree = ast.parse(source)
    stands: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                first = one.name.partition(".")[0]
                stands[one.asname or first] = one.name if one.asname else first
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for one in node.names:
                stands[one.asname or one.name] = f"{node.module}.{one.name}"
                yield f"{node.module}.{one.name}", node.lineno
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            if first in stands:
                yield f"{stands[first]}.{rest}", node.lineno


@pytest.fixture(scope="module")
def found(checkout: Path) -> dict[str, set[str]]:
    """Name of `ROADS` -> the modules that name it."""
    places: dict[str, set[str]] = {name: set() for name in ROADS}
    for room in ROOMS:
        for path in sorted((checkout / room).rglob("*.py")):
            for name, _ in named(path.read_text(encoding="utf-8")):
                if name in places:
                    places[name].add(path.relative_to(checkout).as_posix())
    return places


@pytest.mark.parametrize("name", ROADS)
def test_a_library_reads_in_one_module(name: str, found: dict[str, set[str]]) -> None:
    road = ROADS[name]
    assert found[name] <= ({road} if isinstance(road, str) else road)


TEXT = {
    "brain/files/paths.py",  # the road
    "brain/machine/capacity.py", "brain/machine/arithmetic.py", "evaluation/report/costs.py",  # the kernel's own
    "evaluation/report/pages/environment.py", "evaluation/export/human.py",  # the package's own files
    "brain/machine/installation.py",  # the installer's; other text is a ValueError, which is caught
}  # fmt: skip


def test_text_is_decoded_in_one_module(checkout: Path) -> None:
    """`Path.read_text` ends in a traceback where a file is not UTF-8."""
    calls = set()
    for room in ROOMS:
        for path in (checkout / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and node.attr == "read_text":
                    calls.add(path.relative_to(checkout).as_posix())
    assert calls <= TEXT


@pytest.mark.parametrize(
    "library",
    ["safetensors.torch.load_file", "safetensors.numpy.load_file", "torch.load", "PIL.Image.open", "scipy.io.loadmat",
     "soundfile.SoundFile", "csv.reader", "nibabel.nifti2.Nifti2Image"],
)  # fmt: skip
def test_the_roads_are_walked(library: str, found: dict[str, set[str]]) -> None:
    assert found[library] == {ROADS[library]}


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(x)",
        "import torch as t\nt.load(x)",
        "from torch import load",
        "def f():\n    from torch import load as read\n    read(x)",
        "import torch.nn\nread = torch.load",
    ],
)
def test_a_name_is_found_however_it_is_imported(source: str) -> None:
    assert "torch.load" in {name for name, _ in named(source)}


def test_classes_that_transformers_chooses_are_never_offered_foreign_code(checkout: Path) -> None:
    """Whoever names an Auto class passes trust_remote_code=False, always: None would ask on the terminal."""
    places = []
    for room in ROOMS:
        for path in sorted((checkout / room).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if "Auto" not in source or not any(name.startswith("transformers.Auto") for name, _ in named(source)):
                continue
            tree = ast.parse(source)
            called = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
            calls = [one for one in called if ast.unparse(one.func).rpartition(".")[2] in ("from_pretrained", "frozen")]
            places += [path.name] * bool(calls)
            for call in calls:
                given = {one.arg: ast.unparse(one.value) for one in call.keywords}
                assert given.get("trust_remote_code") == "False", f"{path}:{call.lineno}"
    assert places == ["classifier.py", "classifier.py", "hearing.py"]
