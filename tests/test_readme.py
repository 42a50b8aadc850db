"""What the README says is so: its example runs, its links lead somewhere, its commands have the flags it uses."""

import re
import shlex
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
        sub = [w for w in words[:1] if program in ("zk-circuit", "zk-key")]
        with pytest.raises(SystemExit):
            main([*sub, "--help"])
        text = capsys.readouterr().out
        for flag in (w for w in words if w.startswith("--")):
            assert flag in text, line


@pytest.mark.torch
def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    from zk_autograd.cli.key import main as key
    from zk_autograd.optim.trajectory import CoarseEps

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert key(["new"]) == 0
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert 'prover="ezkl"' in example
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 2)
    before = model.weight.detach().clone()
    batches = [(torch.randn(4, 3), torch.tensor([0, 1, 0, 1])) for _ in range(2)]
    # Without proofs: those cost the tests of the backend enough.
    names = {"torch": torch, "model": model, "batches": batches}
    with pytest.warns(CoarseEps, match="eps of parameter group 0 is 0.0000001"):
        exec(compile(example.replace('prover="ezkl"', 'prover="none"'), "README.md", "exec"), names)
    assert len((tmp_path / "runs/mine/log/records.jsonl").read_bytes().splitlines()) == 4
    assert not torch.equal(model.weight, before)
