"""A run that a server holds, read as one that lies here: what is fetched, and how often."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.evidence.bundles import SMALL, contents, packed
from tests.evidence.servers import POLICY, Served, judged, served, tls
from tests.verify.run_builder import KEY, honest, stand_ins
from tests.verify.run_builder import POLICY as L1
from zk_autograd import verify_run
from zk_autograd.cli.output import Output
from zk_autograd.cli.verify import main
from zk_autograd.core.errors import UnreadableError, UsageError, VerificationError
from zk_autograd.core.progress import Progress
from zk_autograd.evidence.bundle import Bundle
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.evidence.opening import open_run
from zk_autograd.evidence.pace import LIMITS
from zk_autograd.evidence.remote import PAGE, open_url
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run.files import Files
from zk_autograd.run.packing import pack
from zk_autograd.verify.outcome import Status, Step
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.uncovered import UNLISTED
from zk_autograd.verify.verifier import Verifier

GOLDEN = Path(__file__).parents[1] / "data/runs/native-finished"
GOLDEN_KEY = "zk-autograd-test+e90c78e4+AZ0r+vfOrGTnJ6hdbCr0uu0cJlDlp8do5ACZHUDmqt2t"


def held(folder: Path, backend: str = "none") -> Path:
    """A folder with a run, `run/`, and a bundle of it, `run.bundle`."""
    run = honest(backend).write(folder / "run")
    pack(run, folder / "run.bundle", Files(), lambda what, done, total: None)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return held(tmp_path)


@pytest.fixture(params=[True, False], ids=["ranges", "whole"])
def bundled(request: pytest.FixtureRequest, place: Path) -> Iterator[Served]:
    with served(place, ranges=request.param) as server:
        yield server


def test_a_folder_is_judged_as_it_is_here(place: Path) -> None:
    with RunFolder(place / "run") as files:
        here = Verifier(POLICY, Systems()).verify(files)
    with served(place) as server, open_url(f"{server.url}/run/") as files:
        there = Verifier(POLICY, Systems()).verify(files)
    assert (there.exit_status, there.verdict, there.summary) == (0, here.verdict, here.summary)
    for step in Step:
        if step is not Step.MODEL:
            assert there.findings[step] == here.findings[step]
    assert set(here.findings[Step.MODEL].sentences) | {UNLISTED} == set(there.findings[Step.MODEL].sentences)
    assert (there.findings[Step.MODEL].status, here.findings[Step.MODEL].status) == (Status.NOT_SHOWN, Status.PASSED)


def test_a_bundle_is_judged_as_it_is_here(place: Path, bundled: Served) -> None:
    with open_run(place / "run.bundle") as files:
        here = Verifier(POLICY, Systems()).verify(files)
    with open_url(f"{bundled.url}/run.bundle") as files:
        there = Verifier(POLICY, Systems()).verify(files)
    assert there.to_json() == here.to_json()
    assert there.exit_status == 0


def test_each_file_is_fetched_once_over_one_connection(place: Path) -> None:
    with served(place) as server:
        assert judged(f"{server.url}/run/")[0] == 0
    names = ["log/checkpoint", "log/records.jsonl"]
    names += [f"model/{name}" for name in ("weights.i64.safetensors", "weights.f32.safetensors", "opening.json")]
    # Not model.sig, which no key was pinned for: a server that refuses to answer for a file that it
    # doesn't have, as some do, would leave the run unjudged.
    assert server.asked == [("GET", f"/run/{name}", "") for name in names]
    assert server.sent == sum((place / "run" / name).stat().st_size for name in names)
    assert server.connections == 1


def test_what_no_record_names_is_not_seen_and_the_report_says_so(place: Path) -> None:
    (place / "run/model.safetensors").write_bytes(b"a backdoor")
    with served(place) as server, open_url(f"{server.url}/run/") as files:
        report = Verifier(POLICY, Systems()).verify(files)
        with pytest.raises(UnreadableError, match="can't be listed"):
            files.entries("")
    value = report.to_json()
    assert (report.exit_status, value["uncovered"], value["uncovered_more"]) == (0, None, False)
    assert UNLISTED in report.limits
    assert UNLISTED in report.findings[Step.MODEL].sentences
    assert "can't be listed" in report.text()
    names = sorted(path.relative_to(place / "run").as_posix() for path in (place / "run").glob("*/*"))
    packed_up = {name: (place / "run" / name).read_bytes() for name in names} | {"model/z.bin": b"a backdoor"}
    (place / "run.bundle").write_bytes(packed(packed_up))
    with served(place) as server, open_url(f"{server.url}/run.bundle") as files:
        report = Verifier(POLICY, Systems()).verify(files)
    assert (report.exit_status, [file.name for file in report.uncovered or ()]) == (3, ["model/z.bin"])
    assert UNLISTED not in report.limits


def test_an_unfinished_run_is_judged(tmp_path: Path) -> None:
    run = honest("none")
    run.close, run.model = None, {}
    run.write(tmp_path / "run")
    (tmp_path / "run/environment.json").write_bytes(b"{}")
    with served(tmp_path) as server:
        assert judged(f"{server.url}/run/") == (0, 0, "")
    assert server.paths == ["/run/log/checkpoint", "/run/log/records.jsonl"]


def test_only_what_the_sample_needs_is_fetched(tmp_path: Path) -> None:
    held(tmp_path, "ezkl")
    sampled = Policy(L1.keys, L1.srs, sample=2)
    with served(tmp_path) as server:
        for policy, proofs in ((sampled, 2), (L1, 6)):
            server.asked.clear()
            with open_url(f"{server.url}/run/") as files:
                report = Verifier(policy, stand_ins()).verify(files)
            assert report.failure is report.unreadable is None, report.text()
            asked = [path for path in server.paths if path.startswith("/run/proofs/")]
            assert len(asked) == proofs
            assert ("the server saw which proofs were asked for" in report.text().replace("\n    ", " ")) == (
                proofs == 2
            )
    assert sorted(asked) == [f"/run/proofs/{segment}-{block}" for segment in range(3) for block in range(2)]
    with served(tmp_path) as server, open_url(f"{server.url}/run.bundle") as files:
        assert "the server saw" in Verifier(sampled, stand_ins()).verify(files).text()
    with RunFolder(tmp_path / "run") as files:
        assert "the server saw" not in Verifier(sampled, stand_ins()).verify(files).text()


def test_of_a_bundle_only_headers_and_what_is_read_are_fetched(tmp_path: Path) -> None:
    large = {f"proofs/{i}-0": bytes([i]) * (20 * PAGE) for i in range(9)}
    (tmp_path / "b").write_bytes(packed(SMALL | large))
    with served(tmp_path) as server, open_url(f"{server.url}/b") as files:
        assert files.has_log()
        scanned = server.sent
        assert scanned <= (2 * len(large) + 4) * PAGE
        assert files.proof(4, 0) == large["proofs/4-0"]
        assert files.proof(4, 0) == large["proofs/4-0"]
        assert server.sent <= scanned + 20 * PAGE
        assert len(server.asked) <= len(large) + 4
        assert all(path == "/b" for path in server.paths)
        assert server.connections == 1


def test_every_file_of_a_bundle_is_read(tmp_path: Path) -> None:
    files = dict(sorted({**SMALL, "proofs/7-0": bytes(range(256)) * 700, "train_log.jsonl": b"x" * (5 * PAGE)}.items()))
    (tmp_path / "b").write_bytes(packed(files))
    for ranges in (True, False):
        with served(tmp_path, ranges=ranges) as server, open_url(f"{server.url}/b") as reader:
            assert isinstance(reader, Bundle)
            assert contents(reader) == files
            assert contents(reader) == files
        assert server.sent <= (tmp_path / "b").stat().st_size
        assert ranges or len(server.asked) == 1


def test_what_was_judged_is_what_was_fetched(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(place) as server, open_url(f"{server.url}/run/") as files:
        first = files.digest("model/opening.json", 10**6)
        (place / "run/model/opening.json").write_bytes(b"another")
        assert files.digest("model/opening.json", 10**6) == first
        assert files.model_file("opening.json") != b"another"
        with pytest.raises(VerificationError, match="too large"):
            files.opened("model/opening.json", 3)
        with pytest.raises(VerificationError, match="no such file"):
            files.proof(0, 0)
        (place / "run/proofs/0-0").write_bytes(b"too late")
        with pytest.raises(VerificationError, match="no such file"):
            files.proof(0, 0)
    assert server.paths == ["/run/model/opening.json", "/run/proofs/0-0"]


def test_several_threads_share_a_reader(tmp_path: Path) -> None:
    proofs = {f"proofs/{i}-0": bytes([i]) * (3 * PAGE + i) for i in range(20)}
    (tmp_path / "b").write_bytes(packed(dict(sorted((SMALL | proofs).items()))))
    (tmp_path / "run/proofs").mkdir(parents=True)
    for name, data in proofs.items():
        (tmp_path / "run" / name).write_bytes(data)
    with served(tmp_path) as server:
        for url in (f"{server.url}/run/", f"{server.url}/b"):
            server.asked.clear()
            with open_url(url) as files, ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda i: files.proof(i, 0), [*range(20)] * 3))
            assert found == [proofs[f"proofs/{i}-0"] for i in range(20)] * 3
            assert len(set(server.asked)) == len(server.asked)


def test_names_that_are_not_public_are_never_asked_for(place: Path) -> None:
    with served(place) as server, open_url(f"{server.url}/run/") as files:
        for path in ("private/header", "../run.bundle", "model/../log/checkpoint", "/etc/passwd", "proofs/0-0?x"):
            with pytest.raises(VerificationError, match="is not the name of a public file"):
                files.read(path, 100)
    assert server.asked == []


def test_nothing_is_read_after_closing(place: Path) -> None:
    with served(place) as server:
        for url in (f"{server.url}/run/", f"{server.url}/run.bundle"):
            reader = open_url(url)
            assert reader.has_log()
            reader.close()
            reader.close()
            with pytest.raises(UnreadableError, match="can't be read"):
                reader.checkpoint()


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/nothing/", "is not a run: it has no log"),
        ("/", "is not a run: it has no log"),
        ("/nothing", "answers 404; the URL of a run's folder ends in a slash"),
        ("/run", "answers 404; the URL of a run's folder ends in a slash"),
        ("/empty", "it is empty"),
        ("/run/log/records.jsonl", "it is not a tar archive"),
        ("/run/model/opening.json", "is too short"),
    ],
)
def test_what_is_no_run_is_a_usage_error(place: Path, bundled: Served, path: str, said: str) -> None:
    (place / "empty").write_bytes(b"")
    with pytest.raises(UsageError, match=said):
        open_run(bundled.url + path)
    assert main([bundled.url + path]) == 2


def test_a_folder_with_only_one_file_of_its_log_is_judged(place: Path) -> None:
    for name, other in (("checkpoint", "records.jsonl"), ("records.jsonl", "checkpoint")):
        content = (place / "run/log" / name).read_bytes()
        (place / "run/log" / name).unlink()
        with served(place) as server:
            assert judged(f"{server.url}/run/")[:2] == (1, 1)
            assert f"/run/log/{other}" in server.paths
        (place / "run/log" / name).write_bytes(content)


def test_over_tls(place: Path, tmp_path: Path) -> None:
    for name, status in (("127.0.0.1", 0), ("other.example", 4)):
        with served(place, tls=(made := tls(tmp_path / "tls", name))) as server:
            for path in ("/run/", "/run.bundle"):
                found = judged(server.url + path, context=made.client)
                assert found[:2] == (status, 0), found
                assert status == 0 or "the server's certificate is not accepted" in found[2]
                assert judged(server.url + path)[:2] == (4, 0)  # the system doesn't know this authority
        assert status == 0 or server.asked == []


def test_an_authority_of_the_auditors_own(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tls(tmp_path / "tls", "localhost")
    flags = ["--key", KEY.encode(), "--require", "L0"]
    with served(place, tls=made) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        assert main([f"{url}/run/", *flags]) == 4
        assert "certificate is not accepted" in capsys.readouterr().err
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        assert main([f"{url}/run/", *flags]) == 0
        assert main([f"{honest('none').root().hex()}@6", "--from", f"{url}/run.bundle", *flags]) == 0
        assert "verdict: L0\n" in capsys.readouterr().out
        assert verify_run(f"{url}/run/", [KEY], require=["L0"]).exit_status == 0


def test_no_proxy_of_the_environment_is_used(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with served(place) as proxy, served(place) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert judged(f"{server.url}/run/")[0] == 0
    assert (proxy.connections, server.connections) == (0, 1)


def test_the_command_takes_a_url(capsys: pytest.CaptureFixture[str]) -> None:
    with served(GOLDEN) as server:
        assert main([f"{server.url}/", "--key", GOLDEN_KEY, "--json"]) == 0
        value = json.loads(capsys.readouterr().out)
        assert (value["verdict"], value["uncovered"]) == ("L0, L1", None)
        root = f"{value['run']['root']}@{value['run']['size']}"
        assert main([root, "--from", f"{server.url}/", "--key", GOLDEN_KEY]) == 0
        said = capsys.readouterr().out
        assert f"evidence   {server.url}/ (named with --from)" in said
        assert root in said
        assert verify_run(f"{server.url}/", [GOLDEN_KEY], root=root).verdict == "L0, L1"
        assert main([f"{'0' * 64}@4", "--from", f"{server.url}/", "--key", GOLDEN_KEY]) == 1


def test_a_url_with_an_at_is_no_root(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "run").rename(place / "run@6")
    with served(place) as server:
        assert main([f"{server.url}/run@6/", "--key", KEY.encode(), "--require", "L0"]) == 0
    assert main(["https://hunter2@host/run/"]) == 2
    shown = capsys.readouterr().err
    assert "holds a user name or a password" in shown
    assert "hunter2" not in shown


def test_the_command_tells_progress(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    @contextmanager
    def watched(output: Output) -> Iterator[Progress]:
        yield lambda what, done, total: told.append(what)

    monkeypatch.setattr(Output, "progress", watched)
    with served(place) as server:
        assert main([f"{server.url}/run/", "--key", KEY.encode(), "--require", "L0"]) == 0
        assert told.count("fetched, in KiB") >= 5


def test_a_published_file_whose_evidence_is_on_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = tmp_path / "downloaded.safetensors"
    weights.write_bytes((GOLDEN / "model/weights.f32.safetensors").read_bytes())
    with served(GOLDEN) as server:
        flags = ["--from", f"{server.url}/", "--key", GOLDEN_KEY]
        assert main([str(weights), *flags]) == 0
        assert "weights.f32.safetensors" in capsys.readouterr().out
        weights.write_bytes(weights.read_bytes()[:-1])
        assert main([str(weights), *flags, "--json"]) == 1
        assert json.loads(capsys.readouterr().out)["failure"]["step"] == 10
        assert main([f"{server.url}/", *flags]) == 2
        assert verify_run(f"{server.url}/", [GOLDEN_KEY]).exit_status == 0


@pytest.mark.parametrize(
    "url", ["http://example.com/x/", "file:///etc/passwd", "https://key@host/", "https://host/x?y", "ftp://h/"]
)
def test_a_url_that_is_not_taken_is_a_usage_error(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url]) == 2
    assert main([f"{'0' * 64}@4", "--from", url]) == 2
    assert "error: " in capsys.readouterr().err


def test_progress_is_told(place: Path) -> None:
    (place / "run/train_log.jsonl").write_bytes(bytes(200_000))
    told: list[tuple[str, int, int]] = []
    with served(place) as server, open_url(f"{server.url}/run/", lambda *step: told.append(step)) as files:
        assert len(files.artefact("train_log.jsonl")) == 200_000
    assert {what for what, _, _ in told} == {"fetched, in KiB"}
    assert all(done <= total for _, done, total in told)
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1][1] >= 195
    assert len(told) > 1


def test_the_document_has_these_bounds() -> None:
    text = (Path(__file__).parents[2] / "docs/verification.md").read_text(encoding="utf-8")
    section = text.split("\n## From a URL\n")[1].split("\n## ", maxsplit=1)[0]
    said = [row.strip() for row in re.findall(r"^\| [^|]+ \| ([^|]+) \|$", section, re.MULTILINE)]
    assert said[:5] == [
        f"{LIMITS.total >> 30} GiB",
        f"{LIMITS.connect} seconds each",
        f"{LIMITS.idle} seconds",
        f"{LIMITS.patience} seconds, and one more for every {LIMITS.rate >> 10} KiB of its body",
        f"{LIMITS.seconds / 3600:g} hours",
    ]
    assert f"ranges of {PAGE >> 10} KiB" in section
    assert UNLISTED in re.sub(r"\s+", " ", section)
