"""What the README says is so: its example runs, its links lead somewhere, its commands have the flags it uses."""

import re
import shlex
import textwrap
from importlib import import_module
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    root = Path(__file__).parent.parent
    for page in (root / "README.md", *root.glob("docs/*.md"), root / "attacks/README.md"):
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("https://") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_flag_is_one_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.strip() for line in README.splitlines() if re.match(r"    zk-[a-z]+ ", line)]
    assert len(lines) >= 4
    for line in lines:
        program, *words = shlex.split(line, comments=True)
        main = import_module(f"zk_autograd.cli.{program.removeprefix('zk-')}").main
        sub = [w for w in words[:1] if program in ("zk-circuit", "zk-key", "zk-run") or w == "reproduce"]
        with pytest.raises(SystemExit):
            main([*sub, "--help"])
        text = capsys.readouterr().out
        for flag in (w for w in words if w.startswith("--")):
            assert flag in text, line


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a key, in an empty folder."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.torch
@pytest.mark.usefixtures("native_prover", "home")
def test_the_example_runs() -> None:
    torch = pytest.importorskip("torch")
    from zk_autograd.cli.key import main as key
    from zk_autograd.optim.trajectory import CoarseEps

    assert key(["new"]) == 0
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    before = model.weight.detach().clone()
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 0, 1])) for _ in range(2)]
    with pytest.warns(CoarseEps, match="eps of parameter group 0 is 0.0000001"):
        exec(compile(example, "README.md", "exec"), {"torch": torch, "model": model, "batches": batches})
    assert len(Path("runs/mine/log/records.jsonl").read_bytes().splitlines()) == 4
    assert Path("runs/mine/proofs/0-0").exists()
    assert not torch.equal(model.weight, before)


_VARIES = (
    (r"(?m)^\.venv/bin/.*$", ""),  # what make echoes
    (r"runs/(\d{8}T\d{6}Z|trainer)", "PLACE"),
    (r"[0-9a-f]{64}@", "ROOT@"),
    (r"(?<=checkpoint's:)\s+[0-9a-f]{64}", " ROOT"),
    (r"zk-autograd-trainer\+[0-9a-f]{8}\+\S+", "KEY"),
    (r"(?m)^run [0-9a-f]{32}:", "run ID:"),
    (r"[0-9,]+ (bytes|of them private)", r"SIZE \1"),
    (r"[0-9.]+ s\b", "TIME"),
    (r"(?<=accuracy  )[0-9.]+", "PART"),
)
"""What differs from run to run; the rest of the README's output is what the commands print, to the letter."""


def _what_stays(text: str) -> list[str]:
    for pattern, name in _VARIES:
        text = re.sub(pattern, name, text)
    return text.split()


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.usefixtures("native_prover", "home")
def test_the_output_is_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from zk_autograd.cli.key import main as key
    from zk_autograd.cli.train import main as train
    from zk_autograd.cli.verify import main as verify

    shown = textwrap.dedent("    " + README.split("    trainer: making the log key")[1].split("\n\n##")[0])
    shown = shown.split("before the run\n", 1)[1]
    run, key_file = "runs/20261121T000000Z", "runs/trainer/log.key"
    Path("runs/trainer").mkdir(parents=True)

    assert key(["new", "--key-file", key_file]) == 0
    made = capsys.readouterr()
    assert train(["--steps", "100", "--key-file", key_file, "--out", run]) == 0
    trained = capsys.readouterr()
    assert verify([run, "--require", "L1", "--key", made.out.strip()]) == 0
    told = made.err + made.out + trained.err + trained.out + capsys.readouterr().out
    assert _what_stays(shown) == _what_stays(told)
    accuracy = float(re.findall(r"accuracy  ([0-9.]+) %", told)[0])
    assert (
        abs(accuracy - float(re.findall(r"accuracy  ([0-9.]+) %", shown)[0])) < 1.5
    )  # other processors round otherwise
