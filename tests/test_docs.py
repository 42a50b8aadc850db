"""What the README and the documents say is so: examples run, links and paths lead somewhere, flags
and fields exist, console output is what the commands print, and lines end where they should."""

import json
import re
import shlex
import shutil
import textwrap
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from docs.evidence_chain import THEMES, draw
from zk_autograd.cli.verify import main as verify
from zk_autograd.evidence.layout import is_public
from zk_autograd.verify.outcome import Source, Status, Step

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (DOCS / "architecture.md").read_text(encoding="utf-8")
VERIFICATION = (DOCS / "verification.md").read_text(encoding="utf-8")
FORMATS = (DOCS / "formats.md").read_text(encoding="utf-8")
PAGES = (
    ROOT / "README.md",
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("decisions/*.md")),
    ROOT / "attacks/README.md",
    ROOT / "enclave/README.md",
    ROOT / "examples/README.md",
)
RUN = ROOT / "tests/data/runs/native-finished"
KEY_FILE = ROOT / "tests/data/runs/test.key.pub"
WIDTH = 100

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> Iterator[str]:
    """A page's lines without its code blocks."""
    fenced = False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            yield line


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = (line.lstrip("#").strip() for line in prose(page) if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one."""
    return text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def consoles(text: str) -> list[str]:
    """The indented blocks of a text."""
    blocks = re.findall(r"(?:^(?:    .*)?\n)+", text, re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") for block in blocks if block.strip()]


# ---- form ----------------------------------------------------------------------------------------


def test_the_readme_is_a_page() -> None:
    assert len(README.splitlines()) <= 100


@pages
def test_lines_end_where_they_should(page: Path) -> None:
    """But those of tables and code, and a word that is longer."""
    if page.parent in (ROOT, DOCS, DOCS / "decisions"):
        assert not [line for line in prose(page) if len(line) > WIDTH and line[0] != "|" and " " in line.strip()]


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"(?:\]\(|(?:src|srcset)=\")([^)\"]+)[)\"]", "\n".join(prose(page))):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_document_is_linked_from_the_readme() -> None:
    assert {page.name for page in DOCS.glob("*.md")} == set(re.findall(r"docs/([a-z-]+\.md)", README))


_PLACES = (ROOT, ROOT / "src", ROOT / "src/zk_autograd")
_ROOMS = {path.parent.name for path in (ROOT / "src/zk_autograd").glob("*/__init__.py")}
_FOLDERS = "|".join(
    (*_ROOMS, "zk_autograd", "src", "crates", "tests", "attacks", "benchmarks", "examples", "circuits", "docs")
)


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    text = "\n".join(prose(page))
    for name in re.findall(rf"`((?:{_FOLDERS})(?:/[\w./-]*)?)`", text):
        assert is_public(name) or any((place / name).exists() for place in _PLACES), name
    for module in re.findall(r"python -m ([a-z_.]+)", page.read_text(encoding="utf-8")):
        path = module.replace(".", "/")
        assert any((place / f"{path}{end}").exists() for place in _PLACES for end in (".py", "/__main__.py")), module


def test_the_architecture_has_every_room_and_the_arrows_that_are_checked() -> None:
    assert set(re.findall(r"^\| `(\w+)/` \|", section(ARCHITECTURE, "Rooms"), re.MULTILINE)) == _ROOMS
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    (drawn,) = consoles(section(ARCHITECTURE, "Arrows"))
    built = [re.sub(r" \| \(\w+\)| : version", "", layer) for layer in layers]
    assert drawn.splitlines() == built


def test_the_picture_is_the_scripts() -> None:
    for name, theme in THEMES.items():
        assert (DOCS / f"evidence-chain-{name}.svg").read_text(encoding="utf-8") == draw(theme)


# ---- commands ------------------------------------------------------------------------------------


@pages
def test_every_flag_is_one_of_its_command(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = re.findall(r"^    (?:\$ )?(zk-[a-z]+ .*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    for line in lines:
        program, *words = shlex.split(line.split("[")[0], comments=True)
        main = import_module(f"zk_autograd.cli.{program.removeprefix('zk-')}").main
        grouped = program in ("zk-anchor", "zk-circuit", "zk-enclave", "zk-key", "zk-register", "zk-run", "zk-witness")
        sub = [w for w in words[:1] if grouped or w in ("reproduce", "compare", "init-policy", "monitor")]
        with pytest.raises(SystemExit):
            main([*sub, "--help"])
        text = capsys.readouterr().out
        for flag in (w for w in words if w.startswith("--")):
            assert flag in text, line
    assert lines or page not in (ROOT / "README.md", DOCS / "training.md", DOCS / "verification.md")


def test_the_report_has_the_steps_statuses_and_fields_that_verification_lists(
    capsys: pytest.CaptureFixture[str],
) -> None:
    titles = re.findall(r"^## ([0-9]+) (.*)$", VERIFICATION, re.MULTILINE)
    assert titles == [(str(step.value), step.title) for step in Step]
    statuses = section(VERIFICATION, "The eleven steps")
    assert {status.value for status in Status} == set(re.findall(r"\*\*([a-z ]+)\*\*", statuses))
    sources = section(VERIFICATION, "Where each claim comes from")
    assert re.findall(r"^\| ([a-z ]+) \|", sources, re.MULTILINE)[1:] == [source.value for source in Source]
    fields = section(VERIFICATION, "The report as JSON")
    verify([str(RUN), "--json"])
    listed = [
        name for line in re.findall(r"^\* (`.*?):", fields, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    ]
    assert sorted(listed) == sorted(json.loads(capsys.readouterr().out))
    assert all(f'"{source.value}"' in " ".join(fields.split()) for source in Source)


def test_the_call_in_python_judges(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", VERIFICATION, re.DOTALL)
    here = example.replace("runs/20261121T193244Z", str(RUN)).replace("runs/trainer/log.key.pub", str(KEY_FILE))
    exec(here, {})
    assert capsys.readouterr().out == "L0, L1 0\n"


def test_a_run_without_a_key_is_judged_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (shown,) = consoles(section(VERIFICATION, "Without a key"))
    assert verify([str(RUN)]) == 3
    begin, rest = shown.split("\n...\n")
    end, status = rest.split("\n$ echo $?\n")
    command, verdict = begin.split("\n")
    assert command.startswith("$ zk-verify ") and status == "3"
    printed = capsys.readouterr().out.rstrip("\n")
    assert printed.startswith(verdict + "\n") and printed.endswith(end)


@pytest.mark.usefixtures("native_prover", "home")
def test_a_policy_is_used_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "policy.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    Path("policy.toml").write_text(example)
    shutil.copytree(RUN, "run")
    shown = [block for block in consoles(page) if block.startswith("$ zk-verify ")]
    assert len(shown) == 3
    for block in shown:
        command, *told = block.split("\n")
        status = verify(shlex.split(command)[2:])
        output, errors = capsys.readouterr()
        expected = [*(output + errors).splitlines(), *(["$ echo $?", str(status)] if status else [])]
        assert told == expected


def test_two_views_are_compared_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`monday` is the beginning of `tuesday`, `elsewhere` another log; `run` is each in turn."""
    from attacks.tools.forge import Forgery
    from zk_autograd.credentials.keyfile import load

    key = tmp_path / "key"
    key.write_bytes((RUN.parent / "test.key").read_bytes())
    key.chmod(0o600)
    run = Forgery.read(RUN, *load(key))
    run.write(tmp_path / "monday", leaves=run.leaves()[:3])
    run.write(tmp_path / "tuesday")
    run.edit(0, loss=("0.1",) * len(run.segments[0].loss))
    run.write(tmp_path / "elsewhere")
    (tmp_path / "trainer.pub").write_bytes((RUN.parent / "test.key.pub").read_bytes())
    monkeypatch.chdir(tmp_path)
    views = ["monday", "tuesday", "elsewhere"]
    compared, monitored = consoles(section(VERIFICATION, "Two views of one log"))
    time = re.compile(r"(?m)^[0-9-]{10}T[0-9:]{8}Z ")
    for shown in re.split(r"(?m)^\$ zk-verify ", compared + "\n" + monitored)[1:]:
        command, _, output = shown.partition("\n")
        if command.startswith("monitor"):
            Path("run").unlink(missing_ok=True)
            Path("run").symlink_to(views.pop(0))
        verify(shlex.split(command))
        assert time.sub("", capsys.readouterr().out).rstrip() == time.sub("", output).rstrip()
    assert Path("fork-evidence").read_text(encoding="utf-8").rstrip() in consoles(section(FORMATS, "Fork evidence"))
    assert f"[{Path('fork-evidence').stat().st_size} bytes]" in VERIFICATION
    assert verify(["fork-evidence", "--key", "trainer.pub"]) == 1


def test_the_auditors_page_is_what_the_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command that is shown with its output, in a folder with what a checkout holds."""
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    (tmp_path / "LICENSE").symlink_to(ROOT / "LICENSE")
    monkeypatch.chdir(tmp_path)
    shown = [block for block in consoles((DOCS / "auditing.md").read_text(encoding="utf-8")) if block.startswith("$ ")]
    assert len(shown) >= 5
    for block in shown:
        command, *rest = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        line, _, output = command.partition("\n")
        program, *words = shlex.split(line)
        assert program == "zk-verify"
        status = verify(words)
        printed = capsys.readouterr()
        assert (printed.out + printed.err).rstrip("\n") == output.rstrip("\n"), line
        assert rest == ([f"echo $?\n{int(status)}"] if status else []), line


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
    assert len([line for line in example.splitlines() if line]) == 6
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
    (r"(?m)^trainer: .*$", ""),
    (r"runs/(\d{8}T\d{6}Z|trainer)", "PLACE"),
    (r"(?<=is begun in )\S+(?=: keep)", "FOLDER"),
    (r"(?<=zk-autograd/register/)[0-9a-f]{64}", "ORIGIN"),
    (r"[0-9a-f]{64}@", "ROOT@"),
    (r"(?<=checkpoint's:)\s+[0-9a-f]{64}", " ROOT"),
    (r"zk-autograd-trainer\+[0-9a-f]{8}", "KEY"),
    (r"(?m)^run( +)[0-9a-f]{32}:", r"run\1ID:"),
    (r"[0-9,]+ (bytes|of them private)", r"SIZE \1"),
    (r"[0-9.]+ s\b", "TIME"),
    (r"(?<=accuracy  )[0-9.]+", "PART"),
)
"""What differs from run to run; the rest of the output in the documents is what the commands print,
to the letter."""


def _what_stays(text: str) -> list[str]:
    for pattern, name in _VARIES:
        text = re.sub(pattern, name, text)
    return [line for line in text.splitlines() if line.strip()]


def _stand_in(pieces: list[str], told: list[str]) -> bool:
    """Whether all lines of the pieces, which "..." parted, stand in what was told, in their order
    and each piece in one."""
    start = 0
    for piece in map(_what_stays, pieces):
        found = (i for i in range(start, len(told)) if told[i : i + len(piece)] == piece)
        if (at := next(found, None)) is None:
            return False
        start = at + len(piece)
    return True


@pytest.mark.torch
@pytest.mark.slow
@pytest.mark.usefixtures("native_prover", "home")
def test_the_output_is_what_the_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    from zk_autograd.cli.key import main as key
    from zk_autograd.cli.train import main as train

    (shown,) = consoles(section(VERIFICATION, "What you see"))
    run, key_file = "runs/20261121T000000Z", "runs/trainer/log.key"
    Path("runs/trainer").mkdir(parents=True)

    assert key(["new", "--key-file", key_file]) == 0
    made = capsys.readouterr()
    assert train(["--steps", "100", "--key-file", key_file, "--out", run]) == 0
    trained = capsys.readouterr()
    flags = [run, "--require", "L1", "--key", made.out.strip()]
    assert verify(flags) == 0
    told = made.err + made.out + trained.err + trained.out + capsys.readouterr().out
    assert _what_stays(shown) == _what_stays(told)
    accuracy = float(re.findall(r"accuracy  ([0-9.]+) %", told)[0])
    assert (
        abs(accuracy - float(re.findall(r"accuracy  ([0-9.]+) %", shown)[0])) < 1.5
    )  # other processors round otherwise

    (whole,) = consoles(section(VERIFICATION, "The whole report"))
    assert verify([*flags, "--long"]) == 0
    judged = capsys.readouterr().out
    command, whole = whole.split("\n", 1)
    assert command == f"$ zk-verify {' '.join(flags)} --long".replace(run, "runs/20261121T193244Z")
    assert _what_stays(whole) == _what_stays(judged)

    (shown,) = consoles(section(README, "Verify"))
    command, _, shown = shown.partition("\n")
    assert command == "$ zk-verify runs/digits/model/weights.f32.safetensors --key log.key.pub"
    assert verify([f"{run}/model/weights.f32.safetensors", "--key", made.out.strip()]) == 0
    judged = capsys.readouterr().out.replace(run, "runs/digits")
    pieces = re.split(r"^\.\.\.$", shown, flags=re.MULTILINE)
    assert _stand_in(pieces, _what_stays(judged))
    assert judged.startswith(pieces[0]) and judged.endswith(pieces[-1].lstrip("\n") + "\n")


def test_a_model_signature_is_reported_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By keys of this test, instead of those shown."""
    from zk_autograd.cli.key import main as key
    from zk_autograd.cli.run import main as run

    def stays(text: str) -> list[str]:
        text = re.sub(
            r"(?<=the model by )[0-9a-f]{16}|(?<=expected   )[0-9a-f]{64}|(?<=found      ')[0-9a-f]{64}", "KEY", text
        )
        return re.sub(r"(?m)^[A-Za-z0-9+/=]{56,64}$", "PEM", text).splitlines()

    monkeypatch.chdir(tmp_path)
    pinned = (RUN.parent / "test.key.pub").read_text(encoding="utf-8").strip()
    shutil.copytree(RUN, "runs/trained")
    for command in (["new-model-key", "--key-file", "other.key"], ["new-model-key", "--key-file", "model.key"]):
        assert key(command) == 0
    made = capsys.readouterr()
    assert run(["sign", "runs/trained", "--key-file", "model.key"]) == 0
    signed, provenance = capsys.readouterr().out, ["provenance", "runs/trained", "--out", "provenance.json"]
    assert run(provenance) == 0
    written = capsys.readouterr().out
    ours, stated = consoles(section((DOCS / "training.md").read_text(encoding="utf-8"), "Signing the model"))
    told = [*stays(made.err)[1:], *stays(made.out)[4:], *stays(signed)]
    assert [line for line in stays(ours) if line[0] != "$"] == [*told, "Verification succeeded"]
    assert stated.splitlines()[1:] == written.splitlines()

    shown = consoles(section(VERIFICATION, "A model signature"))[-1]
    good, bad = re.findall(r"(?m)^\$ zk-verify .*\n((?:[^$].*\n?)+)", shown)
    for text, public, status in ((good, "model.key.pub", 0), (bad, "other.key.pub", 1)):
        assert verify(["runs/trained", "--key", pinned, "--model-key", public]) == status
        expected = stays(text.removesuffix("...\n"))
        assert stays(capsys.readouterr().out)[: len(expected)] == expected
