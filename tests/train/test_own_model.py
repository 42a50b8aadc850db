"""Models of a user's own: what a factory must be, and one sentence for each way in which it
isn't."""

import py_compile
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.util import cache_from_source
from pathlib import Path

import pytest
import torch

from zk_autograd.core.errors import UsageError
from zk_autograd.train import models, own_model
from zk_autograd.train.names import Factory

Module = Callable[[str], Factory]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    """Writes mine.py to the current folder, and names its `net`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(source: str) -> Factory:
        sys.modules.pop("mine", None)
        (tmp_path / "mine.py").write_text("import torch\nfrom torch import nn\n" + source)
        return Factory("mine", "net")

    yield write
    sys.modules.pop("mine", None)


GOOD = (
    "def net(columns, classes):\n    return nn.Sequential(nn.Linear(columns, 5), nn.Dropout(), nn.Linear(5, classes))\n"
)


def test_weights_are_what_the_factory_made_from_the_generator(module: Module) -> None:
    source = module(GOOD)
    torch.manual_seed(3)
    model = models.build(source, 4, 3, seed=9)
    torch.manual_seed(3)
    same = torch.nn.Linear(4, 5)
    assert torch.equal(model.get_parameter("0.weight"), same.weight)


def test_model_code_is_the_digest_of_the_modules_file(module: Module, tmp_path: Path) -> None:
    source = module(GOOD)
    assert models.code_digest(source) == sha256((tmp_path / "mine.py").read_bytes()).digest()


def test_what_is_run_is_the_text_and_not_what_was_compiled_before(module: Module, tmp_path: Path) -> None:
    source = module(GOOD.replace("5", "7"))
    planted = Path(cache_from_source(str(tmp_path / "mine.py")))
    py_compile.compile("mine.py", str(planted), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    module(GOOD)
    assert models.build(source, 4, 3, seed=9).get_parameter("0.weight").shape == (5, 4)
    assert sys.pycache_prefix is None


@pytest.mark.parametrize("name", ["colorsys", "queue"])
def test_a_file_that_lies_there_by_chance_passes_for_no_other_module(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / f"{name}.py").write_text("raise SystemError('imported by chance')\n")
    (tmp_path / "beside.py").write_text("SIZE = 5\n")  # what is nowhere else is found there, as ever
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    source = module(f"import {name}\nfrom beside import SIZE\n" + GOOD.replace("5", "SIZE"))
    assert models.build(source, 4, 3, seed=9).get_parameter("0.weight").shape == (5, 4)
    assert str(tmp_path) not in str(sys.modules[name].__file__)


def test_the_module_that_is_named_is_the_one_in_the_current_folder(
    module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(GOOD)
    (tmp_path / "mine.py").rename(tmp_path / "colorsys.py")
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    source = Factory("colorsys", "net")
    assert models.build(source, 4, 3, seed=9).get_parameter("0.weight").shape == (5, 4)
    assert models.code_digest(source) == sha256((tmp_path / "colorsys.py").read_bytes()).digest()
    monkeypatch.delitem(sys.modules, "colorsys")


def test_trial_leaves_generator_and_buffers_as_they_were(module: Module) -> None:
    source = module(
        "class Net(nn.Module):\n    def __init__(self, columns, classes):\n        super().__init__()\n"
        "        self.norm, self.out = nn.BatchNorm1d(columns), nn.Linear(columns, classes)\n"
        "    def forward(self, x):\n        return self.out(self.norm(x)) + 0 * torch.rand(1)\nnet = Net\n"
    )
    torch.manual_seed(3)
    model = own_model.built(source, 4, 3)
    drawn = torch.rand(4)
    torch.manual_seed(3)
    torch.nn.Linear(4, 3)
    assert torch.equal(drawn, torch.rand(4))
    assert model.get_buffer("norm.num_batches_tracked") == 0


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("other = 1\n", "--model mine:net: mine has no net"),
        ("def nett(columns, classes): ...\n", "mine has no net; it has nett"),
        ("net = 3\n", "mine:net is a int, not a callable; it must take (columns, classes) and return a torch.nn.Module"),
        ("def net(:\n", "mine can't be imported: SyntaxError: invalid syntax"),
        ("import nowhere_to_be_found\n", "mine can't be imported: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("1 / 0\n", "mine can't be imported: ZeroDivisionError: division by zero"),
        ("raise SystemExit(4)\n", "mine can't be imported: SystemExit: 4"),
        ("def net(): ...\n", "mine:net failed: TypeError: net() takes 0 positional arguments but 2 were given; it must take"),
        ("def net(c, k):\n    raise ValueError('two\\nlines')\n", "mine:net failed: ValueError: two lines"),
        ("def net(c, k):\n    return None\n", "mine:net returned a NoneType; it must take"),
        ("def net(c, k):\n    return nn.Linear\n", "mine:net returned a type"),
        ("def net(c, k):\n    return nn.Linear(c + 1, k)\n", "failed on two rows of 4 columns: RuntimeError: "),
        ("def net(c, k):\n    return nn.Linear(c, k + 1)\n", "returns torch.float32 of shape (2, 4) for two rows; it must return float32 of shape (2, 3)"),
        ("def net(c, k):\n    return nn.Linear(c, k).double()\n", "failed on two rows of 4 columns: RuntimeError"),
        ("class net(nn.Module):\n    def __init__(self, c, k):\n        super().__init__()\n        self.k = k\n    def forward(self, x):\n"
         "        return x.new_zeros(len(x), self.k)\n", "returned a model without parameters to train"),
        ("def net(c, k):\n    return nn.LSTM(c, k)\n", "returns a tuple; it must return a tensor"),
        ("class net(nn.Linear):\n    def forward(self, x):\n        return super().forward(x).double()\n", "returns torch.float64 of shape (2, 3)"),
        ("class net(nn.Linear):\n    def __init__(self, c, k):\n        super().__init__(c, k)\n"
         "        self.more = nn.Parameter(torch.zeros(1).half())\n", "a model whose more is torch.float16; only float32"),
    ],
)  # fmt: skip
def test_factory_that_makes_no_model_is_refused_in_a_sentence(source: str, message: str, module: Module) -> None:
    named = module(source)
    with pytest.raises(UsageError) as caught:
        models.build(named, 4, 3, 0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_module_is_told_from_one_that_misses_another(module: Module) -> None:
    module("")
    for name in ("nothing_of_that_name", "nothing_of_that_name.models", "torch.nothing_there"):
        with pytest.raises(UsageError, match=f"there is no module {name} in the current folder or on PYTHONPATH"):
            models.build(Factory(name, "net"), 4, 3, 0)


def test_module_without_a_file_says_so() -> None:
    with pytest.raises(UsageError, match="sys has no file that can be read"):
        models.code_digest(Factory("sys", "exit"))
