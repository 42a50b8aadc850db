"""Step 9: what a run with exact gradients says is looked at, opened gradients are computed again,
and no more is said than that shows."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from tests.shared import Shared
from tests.verify import exact_runs
from tests.verify.agreement import agree
from tests.verify.run_builder import KEY
from zk_autograd.core import cells as cells_format
from zk_autograd.core.backends import BACKENDS
from zk_autograd.core.canonical import decode, encode
from zk_autograd.core.cells import Cells, Shards
from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.graph import text as graph_text
from zk_autograd.core.merkle import leaf_hash, root
from zk_autograd.core.order import Order
from zk_autograd.core.progress import silent
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.core.records import Data, Exact, Log
from zk_autograd.core.segments import Segments
from zk_autograd.core.trust import Missing
from zk_autograd.evidence.data_secrets import DataSecrets
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.optim.exact import ExactGradient
from zk_autograd.prove.ezkl.backend import EzklBackend
from zk_autograd.prove.ezkl.circuit.catalogue import load
from zk_autograd.prove.ezkl.keys import Cache
from zk_autograd.prove.ezkl.verify import EzklSystem, installed_ezkl
from zk_autograd.prove.native.verify import NativeSystem
from zk_autograd.prove.verifiers import Systems
from zk_autograd.run.exact_files import ExactFiles
from zk_autograd.verify import annex_xi
from zk_autograd.verify.brief import brief
from zk_autograd.verify.challenge import Challenge
from zk_autograd.verify.drawing import drawn
from zk_autograd.verify.exact_data import check_shards
from zk_autograd.verify.opened import OpenedSteps
from zk_autograd.verify.outcome import Level, Source, Status, Step
from zk_autograd.verify.page.document import page
from zk_autograd.verify.policy import Policy, TreeHead
from zk_autograd.verify.replay import Replay
from zk_autograd.verify.replayed import ranges
from zk_autograd.verify.report import Report
from zk_autograd.verify.svr import properties
from zk_autograd.verify.verifier import Verifier

pytestmark = pytest.mark.torch

SCHEMA = Draft202012Validator(json.loads((files("zk_autograd.verify") / "report.schema.json").read_text("utf-8")))
L3 = Policy(keys=(KEY,), require=frozenset({Level.L3}))
Edited = Callable[[bytes], bytes]


@pytest.fixture(scope="session")
def exact_run(shared: Shared, native_prover: None) -> Path:
    """Three proved segments."""
    return shared.made("exact-run", lambda folder: exact_runs.train(folder / "run", "native")) / "run"


@pytest.fixture(scope="session")
def long_run(shared: Shared) -> Path:
    """Ten segments of the backend `none`, public data, values in place of classes."""
    return shared.made("exact-run-long", _long) / "run"


def _long(folder: Path) -> None:
    exact_runs.train(folder / "run", "none", exact_runs.gradient(public=True), steps=10 * exact_runs.SEGMENT)


@pytest.fixture(scope="session")
def cells(exact_run: Path) -> Cells:
    return exact_runs.cells(exact_run)


def judge(
    run: Path,
    openings: bytes | None = None,
    data: Cells | None = None,
    policy: Policy = L3,
    challenge: Challenge | None = None,
) -> Report:
    """As an auditor with these openings in clear."""
    replay = None
    if openings is not None:
        replay = Replay(lambda _: BytesIO(openings), None if data is None else lambda *_: data, challenge)
    with RunFolder(run) as reader:
        report = Verifier(policy, Systems()).verify(reader, replay=replay)
    agree(report)
    SCHEMA.validate(report.to_json())
    return report


def log_of(run: Path) -> Log:
    with RunFolder(run) as reader:
        return parse_log(reader.leaves())


def challenge_of(run: Path, sample: int = 2, beacon: str = "noon") -> Challenge:
    with RunFolder(run) as reader:
        return drawn(reader, L3, sample, beacon)


def said(report: Report) -> str:
    return str(report.failure)


# ---- levels ----


def test_a_run_of_which_every_segment_is_opened_reaches_l3(exact_run: Path, cells: Cells) -> None:
    report = judge(exact_run, exact_runs.opened(exact_run), cells)
    assert (report.verdict, report.exit_status) == ("L0, L1, L3", 0)
    (replayed,) = [claim.what for claim in report.claims if claim.source is Source.REPLAYED]
    assert replayed.startswith("the gradients of steps 1..20:")
    assert not any(claim.what == "the gradients" for claim in report.claims)
    assert not any("L1 does not say where a gradient came from" in limit for limit in report.limits)
    assert any("does not say that the data are genuine" in limit for limit in report.limits)
    assert properties(report) == ["ZK_AUTOGRAD_L0", "ZK_AUTOGRAD_L1", "ZK_AUTOGRAD_L3"]
    assert "nothing is attested\n" in brief(report)
    assert report.to_json()["replay"]["recomputed"] == [0, 1, 2]


def test_the_page_and_annex_xi_say_what_was_computed_again(exact_run: Path, cells: Cells) -> None:
    report = judge(exact_run, exact_runs.opened(exact_run), cells)
    shown = page(report, datetime.now(UTC))
    assert "The gradients of steps 1 to 20 were computed again from the data" in shown
    assert "Nothing here says where a gradient came from" not in shown
    facts = {fact.text: fact.source for heading in annex_xi.headings(report) for fact in heading.facts}
    assert facts["order 'order/v1', batches of 6"] is Source.REPLAYED
    part = judge(exact_run, exact_runs.opened(exact_run, [1]), cells)
    assert "Nothing here says where the gradients of the other segments came from" in page(part, datetime.now(UTC))
    facts = {fact.text: fact.source for heading in annex_xi.headings(part) for fact in heading.facts}
    assert facts["order 'order/v1', batches of 6"] is Source.CLAIMED


def test_without_openings_nothing_is_shown_of_the_gradients(exact_run: Path) -> None:
    report = judge(exact_run)
    assert (report.verdict, report.exit_status) == ("L0, L1", 3)
    assert report.findings[Step.DATA].status is Status.NOT_SHOWN
    assert "no openings were given" in report.missing[0]
    assert not any(claim.source is Source.REPLAYED for claim in report.claims)
    assert any("no gradient was computed again" in limit for limit in report.limits)


def test_segments_that_the_trainer_chose_show_themselves_alone(exact_run: Path, cells: Cells) -> None:
    report = judge(exact_run, exact_runs.opened(exact_run, [0, 2]), cells)
    assert (report.verdict, report.exit_status) == ("L0, L1", 3)
    assert "it was not you who drew them" in report.missing[0]
    assert "2 segments of 3 (0, 2)" in " ".join(report.findings[Step.DATA].sentences)
    assert any("L1 does not say where a gradient came from" in limit for limit in report.limits)
    claims = {claim.source: claim.what for claim in report.claims if "segment" in claim.what}
    assert claims[Source.REPLAYED].startswith("the gradients of 2 of 3 segments")
    assert claims[Source.CLAIMED] == "the gradients of the other 1 segment"


def test_drawn_segments_that_are_answered_reach_the_sampled_level(exact_run: Path, cells: Cells) -> None:
    challenge = challenge_of(exact_run)
    openings = exact_runs.opened(exact_run, challenge=challenge)
    report = judge(exact_run, openings, cells, challenge=challenge)
    assert (report.verdict, report.exit_status) == ("L0, L1, L3-sampled", 3)
    assert report.missing == (
        "L3 was not reached: 2 of 3 segments were computed again, and a sample reaches L3-sampled "
        "(one bad segment is missed 100.0 % of the time): open all, or give --accept-sample",
    )
    accepting = replace(L3, accept_sample=True)
    report = judge(exact_run, openings, cells, accepting, challenge)
    assert (report.verdict, report.exit_status) == ("L0, L1, L3-sampled", 0)
    assert any("a sample reaches L3-sampled, never L3" in limit for limit in report.limits)
    assert any("did not know the beacon" in limit for limit in report.limits)
    replay = report.to_json()["replay"]
    assert (replay["drawn"], replay["recomputed"], replay["seed_from"]) == ([0, 2], [0, 2], "beacon")
    # The same segments without the auditor's own challenge are the trainer's choice.
    assert judge(exact_run, openings, cells, accepting).verdict == "L0, L1"


def test_a_policy_says_how_many_segments_a_challenge_must_draw(exact_run: Path, cells: Cells) -> None:
    challenge = challenge_of(exact_run)  # two of three
    openings = exact_runs.opened(exact_run, challenge=challenge)
    enough, more = (replace(L3, accept_sample=True, segments=number) for number in (2, 3))
    assert judge(exact_run, openings, cells, enough, challenge).exit_status == 0
    report = judge(exact_run, openings, cells, more, challenge)
    assert (report.verdict, report.exit_status) == ("L0, L1, L3-sampled", 3)
    assert "no fewer than 3 segments of a challenge for all 3, and 2 were drawn" in report.missing[-1]
    whole = judge(exact_run, exact_runs.opened(exact_run), cells, more)
    assert (whole.verdict, whole.exit_status) == ("L0, L1, L3", 0)


def test_a_drawn_segment_that_is_not_opened_leaves_no_level(exact_run: Path, cells: Cells) -> None:
    openings = exact_runs.opened(exact_run, [0, 1])
    accepting = replace(L3, accept_sample=True)
    report = judge(exact_run, openings, cells, accepting, challenge_of(exact_run))
    assert (report.verdict, report.exit_status) == ("L0, L1", 3)
    assert report.missing == ("L3 was not reached: drawn, and not opened: 2",)
    assert "ask the trainer to open what you drew" in report.fix


def test_a_sample_of_proofs_is_enough_for_drawn_segments_alone(exact_run: Path, cells: Cells) -> None:
    sampled = replace(L3, sample=2, accept_sample=True)
    challenge = challenge_of(exact_run)
    report = judge(exact_run, exact_runs.opened(exact_run), cells, sampled, challenge)
    assert (report.verdict, report.exit_status) == ("L0, L1-sampled, L3-sampled", 0)
    html = page(report, datetime(2026, 11, 30, tzinfo=UTC))  # the two draws are each its own
    assert "for the segments that the auditor drew each gradient and each step was computed again" in html
    report = judge(exact_run, exact_runs.opened(exact_run), cells, sampled)
    assert (report.verdict, report.exit_status) == ("L0, L1-sampled", 3)


def test_without_proofs_no_level_is_reached(long_run: Path) -> None:
    accepting, challenge = replace(L3, accept_sample=True), challenge_of(long_run, 4)
    report = judge(long_run, exact_runs.opened(long_run), None, accepting, challenge)
    assert (report.verdict, report.exit_status) == ("L0", 3)
    assert any("L3 rests on L1" in why for why in report.missing)
    assert any(claim.source is Source.REPLAYED for claim in report.claims)
    report = judge(long_run, exact_runs.opened(long_run, challenge=challenge), None, accepting, challenge)
    assert report.verdict == "L0"
    assert any("step 7 showed no proof" in why for why in report.missing)


@pytest.mark.ezkl
@pytest.mark.long
def test_ezkl_s_commitments_open_as_well(tmp_path: Path, ezkl_cache: Cache, srs_digest: bytes) -> None:
    """Its gradients are committed to as one vector, its data by a tree."""

    def backend() -> EzklBackend:
        return EzklBackend(load("adam-n480-t4"), srs_digest, ezkl_cache)

    run = exact_runs.train(tmp_path / "run", backend(), steps=3)
    systems = {"ezkl": EzklSystem(ezkl_cache, installed_ezkl())}
    policy = replace(L3, srs=frozenset({srs_digest}))
    content = exact_runs.opened(run, own=backend())

    def verdict(data: Cells) -> str:
        replay = Replay(lambda _: BytesIO(content), lambda *_: data)
        with RunFolder(run) as reader:
            return Verifier(policy, systems).verify(reader, replay=replay).verdict

    assert verdict(exact_runs.cells(run)) == "L0, L1, L3"
    assert verdict(exact_runs.gradient(1).cells) == "FAILED"


def test_a_machine_without_the_prover_computes_nothing_again(
    exact_run: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NativeSystem, "checker", lambda *_: Missing("the prover is not built here"))
    report = judge(exact_run, exact_runs.opened(exact_run), cells)
    assert (report.verdict, report.exit_status) == ("L0", 3)
    assert "L3 was not reached: the prover is not built here" in report.missing
    assert report.replayed is None


# ---- what the auditor gives ----


def test_openings_of_another_view_are_refused_before_any_proof(exact_run: Path, cells: Cells) -> None:
    log = log_of(exact_run)
    head = replace(L3, head=TreeHead(_root(exact_run, 4), 4))
    with pytest.raises(UsageError, match=r"the openings were made for the root .*: judge that one with"):
        judge(exact_run, exact_runs.opened(exact_run, [0]), cells, head)
    assert len(log.segments) == 3


def test_a_challenge_of_another_view_is_refused(exact_run: Path, cells: Cells) -> None:
    openings, challenge = exact_runs.opened(exact_run), challenge_of(exact_run)
    other = replace(challenge, head=TreeHead(bytes(32), challenge.head.size))
    with pytest.raises(UsageError, match="the challenge was drawn for the root 0000"):
        judge(exact_run, openings, cells, challenge=other)
    with pytest.raises(UsageError, match="drawn among 4 segments, and this log has 3"):
        judge(exact_run, openings, cells, challenge=replace(challenge, count=4))


def test_a_challenge_from_a_beacon_is_refused_where_the_policy_allows_none(long_run: Path) -> None:
    """Be it that the draw was made without the policy."""
    strict, challenge = replace(L3, allow_beacon=False), challenge_of(long_run)
    openings = exact_runs.opened(long_run, challenge=challenge)
    assert judge(long_run, openings, challenge=challenge).failure is None
    with pytest.raises(UsageError, match=r"drawn from a beacon, which would loosen the policy's sample.beacon"):
        judge(long_run, openings, None, strict, challenge)
    assert judge(long_run, openings, None, strict, replace(challenge, beacon=False)).failure is None


def test_private_data_have_to_be_given(exact_run: Path) -> None:
    with pytest.raises(UsageError, match="private: name yours with --data"):
        judge(exact_run, exact_runs.opened(exact_run))


def test_a_run_of_floats_takes_no_openings() -> None:
    golden = Path("tests/data/runs/native-finished")
    with pytest.raises(UsageError, match="not exact"):
        judge(golden, b"", policy=Policy())


def _changed_row(cells: Cells) -> Cells:
    changed = cells.copy()
    changed[17, 2] += 1
    return changed


def _labels(cells: Cells) -> Cells:
    changed = cells.copy()
    changed[3, exact_runs.FEATURES :] = 0
    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            _changed_row,
            "the data that were given are not what the header commits to, with the secrets that were opened",
        ),
        (lambda cells: cells[:-1], "the data that were given are not of the header's size"),
        (lambda cells: cells[:, :-1], "the data that were given are not of the header's size"),
        (_labels, "the targets of example 3 of the data are not those of one class"),
    ],
    ids=["a cell changed", "an example less", "a cell less", "no label"],
)
def test_other_data_fail(exact_run: Path, cells: Cells, change: Callable[[Cells], Cells], words: str) -> None:
    report = judge(exact_run, exact_runs.opened(exact_run), change(cells))
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert words in said(report)


def test_public_data_need_not_be_given_but_are_compared(long_run: Path) -> None:
    openings, own = exact_runs.opened(long_run, [3]), exact_runs.cells(long_run)
    report = judge(long_run, openings)
    assert report.failure is None
    claim = "the gradients of 1 of 10 segments: the declared graph's, on the run's public data, in order"
    assert claim in {claim.what for claim in report.claims if claim.source is Source.REPLAYED}
    assert judge(long_run, openings, own).failure is None
    assert "not the run's own data/cells" in said(judge(long_run, openings, _changed_row(own)))


# ---- openings ----


def test_an_edited_byte_anywhere_is_seen(exact_run: Path, cells: Cells) -> None:
    openings = exact_runs.opened(exact_run, [1])
    log = log_of(exact_run)
    size, salt, steps = log.header.size, log.header.prover.form.salt_bytes, exact_runs.SEGMENT
    body = len(openings) - (7 * salt + 24 * size + 4 * steps * size)
    before, after, gradient = 0, 3 * salt, 6 * salt
    state, rows = 7 * salt, 7 * salt + 24 * size
    for place, words in (
        (before, "the W of block 0 that was opened is not the one before segment 1"),
        (state + 16 * size, "the V of block 0 that was opened is not the one before segment 1"),
        (gradient, "the gradients of block 0 that were opened are not those of segment 1"),
        (rows + 4 * size, "the gradients of block 0 that were opened are not those of segment 1"),
        (after, "the opened steps of segment 1 don't lead to the W of block 0 after it"),
    ):
        edited = bytearray(openings)
        edited[body + place] ^= 1
        report = judge(exact_run, bytes(edited), cells)
        assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
        assert report.failure is not None
        assert report.failure.record == 3
        assert words in said(report)


def test_a_gradient_that_differs_is_named(exact_run: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which nothing else is looked at: the first element of a step."""
    openings, size = exact_runs.opened(exact_run, [1]), log_of(exact_run).header.size
    rows = np.frombuffer(openings[-4 * exact_runs.SEGMENT * size :], "<i4").reshape(-1, size).copy()
    expected = int(rows[2, 21])
    rows[2, 21:23] += 5
    edited = openings[: -rows.nbytes] + rows.tobytes()
    monkeypatch.setattr(OpenedSteps, "_require_gradients", lambda *_: None)
    report = judge(exact_run, edited, cells)
    assert "the gradient of step 11 is not what the graph gives on the data: '0.bias', element 1" in said(report)
    assert report.failure is not None
    assert (report.failure.expected, report.failure.found) == (str(expected), str(expected + 5))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda data: data[:-1], "not as long as the segments of this log are"),
        (lambda data: data + b"\0", "not as long as the segments of this log are"),
        (lambda data: data[:10], "cut short"),
        (lambda data: b"x" + data[1:], "not a file of openings"),
    ],
    ids=["a byte less", "a byte more", "ten bytes", "another file"],
)
def test_a_malformed_file_fails(exact_run: Path, cells: Cells, edit: Edited, words: str) -> None:
    report = judge(exact_run, edit(exact_runs.opened(exact_run, [0])), cells)
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert words in said(report)


def test_openings_without_the_data_s_secrets_fail(
    exact_run: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exact_runs, "data_secrets", lambda *_: None)
    assert "don't have what opens the commitment" in said(judge(exact_run, exact_runs.opened(exact_run), cells))
    monkeypatch.setattr(exact_runs, "data_secrets", lambda *_: DataSecrets(()))
    assert "another number of secrets" in said(judge(exact_run, exact_runs.opened(exact_run), cells))


# ---- what the run itself says ----


@pytest.fixture
def copy(exact_run: Path, tmp_path: Path) -> Path:
    return copytree(exact_run, tmp_path / "copy")


def test_an_edited_graph_fails(copy: Path) -> None:
    text = (copy / "graph.txt").read_text("ascii")
    (copy / "graph.txt").write_text(text.replace("relu 5", "relu 6"), "ascii")
    report = judge(copy)
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert "graph.txt is not the graph of the header" in said(report)
    (copy / "graph.txt").unlink()
    assert judge(copy).failure is not None


def test_edited_public_data_fail(long_run: Path, tmp_path: Path) -> None:
    run = copytree(long_run, tmp_path / "copy")
    data = bytearray((run / "data/cells").read_bytes())
    data[-1] ^= 1
    (run / "data/cells").write_bytes(data)
    report = judge(run)
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert "data/cells are not the data of the header" in said(report)
    (run / "data/cells").write_bytes(data[:-1])
    assert "data/cells are not the data of the header" in said(judge(run))
    (run / "data/cells").unlink()
    report = judge(run)
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert "cells can't be read: No such file" in said(report)


def test_public_data_are_not_held_in_memory_without_openings(long_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of zeros may be sparse: it costs its writer nothing, whatever its size."""
    read = RunFolder.read

    def bounded(self: RunFolder, path: str, limit: int) -> bytes:
        assert path != "data/cells"
        return read(self, path, limit)

    monkeypatch.setattr(RunFolder, "read", bounded)
    assert any("data/cells are the header's" in text for text in judge(long_run).findings[Step.DATA].sentences)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda cells: cells[:-1], "expected 50 examples of 7 cells, found 49 of 7"),
        (lambda cells: np.concatenate([cells, cells[:1]]), "expected 50 examples of 7 cells, found 51 of 7"),
        (_labels, "the targets of example 3 of the data are not those of one class"),
    ],
    ids=["an example less", "an example more", "no label"],
)
def test_public_data_that_are_none_of_the_header_s_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Callable[[Cells], Cells], words: str
) -> None:
    """Their SHA-256 is the header's."""
    monkeypatch.setattr(ExactFiles, "require_fit", lambda *_: None)
    own = Publishing(exact_runs.graph_of(exact_runs.model()), exact_runs.data(), exact_runs.BATCH, 7, public=True)
    own.edit = edit
    report = judge(exact_runs.train(tmp_path / "run", "none", own, steps=1))
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert words in said(report)


@pytest.mark.parametrize(("most", "words"), [(512, "None"), (511, "too large to recompute the commitments")])
def test_work_on_a_segment_s_gradients_has_a_bound(
    long_run: Path, monkeypatch: pytest.MonkeyPatch, most: int, words: str
) -> None:
    """Two blocks of 32, eight steps. Nobody proves them: of one salt and zeros they cost a trainer
    one block, and whoever computes them again all."""
    monkeypatch.setitem(BACKENDS, "none", replace(BACKENDS["none"], max_gradients=most))
    assert words in said(judge(long_run))


class Publishing(ExactGradient):
    """Publishes other cells than it computes with."""

    edit: Callable[[Cells], Cells] = staticmethod(lambda cells: cells)

    def committed(self, backend: Any, *, by_beacon: bool) -> tuple[Data, Exact, ExactFiles]:
        data, exact, files = super().committed(backend, by_beacon=by_beacon)
        other = self.edit(files.cells)
        digest = sha256(cells_format.encoded(other, files.features)).digest()
        return data, replace(exact, cells=digest), replace(files, cells=other)


class Describing(ExactGradient):
    """Says something else of the graph or the data than it computes with."""

    edit: Callable[[str], str] = staticmethod(lambda text: text)
    stride = 7

    def committed(self, backend: Any, *, by_beacon: bool) -> tuple[Data, Exact, ExactFiles]:
        data, exact, files = super().committed(backend, by_beacon=by_beacon)
        text = self.edit(files.graph.decode("ascii")).encode("ascii")
        extra = np.zeros((len(files.cells), self.stride - files.cells.shape[1]), np.int32)
        wide = np.concatenate([files.cells, extra], axis=1)
        said = replace(exact, graph=graph_text.digest(text), stride=self.stride)
        if exact.cells:
            said = replace(said, cells=sha256(cells_format.encoded(wide, files.features)).digest())
        return data, said, replace(files, graph=text, cells=wide)


def _bias_first(text: str) -> str:
    """The first layer's bias before its weight: other offsets, and all else as it was."""
    weight, bias = re.findall(r"^(?:weight|bias) .*$", text, re.M)[:2]
    return (
        text.replace(weight, "X")
        .replace(bias, re.sub(r"\d+$", "0", bias))
        .replace("X", "")
        .replace("\n\n", "\n")
        .replace(re.sub(r"\d+$", "0", bias), re.sub(r"\d+$", "0", bias) + "\n" + re.sub(r"\d+$", "5", weight))
    )


@pytest.mark.parametrize(
    ("edit", "stride", "words"),
    [
        (lambda text: text.replace("pad 1\n", "pad 2\n").replace("pad 15", "pad 16"), 7, "expected a power of two"),
        (lambda text: text.replace("graph/v1", "graph/v2"), 7, "not of a known format"),
        (_bias_first, 7, "'0.weight' has another shape than in the header"),
        (lambda text: text, 8, "another number of cells than the header says"),
    ],
    ids=["refused units", "another format", "tensors exchanged", "another stride"],
)
def test_a_graph_that_does_not_fit_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edit: Callable[[str], str], stride: int, words: str
) -> None:
    """Its SHA-256 is the header's."""
    monkeypatch.setattr(ExactFiles, "require_fit", lambda *_: None)
    own = Describing(exact_runs.graph_of(exact_runs.model()), exact_runs.data(), exact_runs.BATCH, 7, public=True)
    own.edit, own.stride = edit, stride
    report = judge(exact_runs.train(tmp_path / "run", "none", own, steps=1))
    assert (report.exit_status, report.failure and report.failure.step) == (1, Step.DATA)
    assert words in said(report)


def test_a_segment_of_two_shards_fails(exact_run: Path) -> None:
    """Of batches of 6 of shards of 25 examples: each gives 4."""
    log = log_of(exact_run)
    order = Order(Shards(50, 300, 13), exact_runs.BATCH, 7)
    assert order.batches == (4, 4)
    base = log.segments[0]
    for last, fits in ((4, True), (5, False)):
        segments = Segments(log.header, [replace(base, last=last, loss=(), saturated=(), lr=base.lr[:last])])
        if fits:
            check_shards(replace(log, segments=segments), order, silent)
            continue
        with pytest.raises(VerificationError, match="several shards"):
            check_shards(replace(log, segments=segments), order, silent)
    shard = order.shard(5)
    again = next(t for t in range(9, 10_000, 8) if order.shard(t) == shard)  # the same shard, epochs later
    segments = Segments(log.header, [replace(base, first=again - 1, last=again, loss=(), saturated=(), lr=base.lr[:2])])
    with pytest.raises(VerificationError, match="several epochs"):
        check_shards(replace(log, segments=segments), order, silent)


def _root(run: Path, size: int) -> bytes:
    with RunFolder(run) as reader:
        return root([leaf_hash(leaf) for leaf in reader.leaves()[:size]])


# ---- a draw ----


def test_a_challenge_is_drawn_from_the_log_s_head(long_run: Path) -> None:
    challenge = challenge_of(long_run, 4)
    assert Challenge.parse(challenge.encode()) == challenge
    assert (len(challenge.segments), challenge.segments[0], challenge.segments[-1]) == (4, 0, 9)
    assert challenge.head == TreeHead(_root(long_run, 13), 13)
    assert challenge_of(long_run, 4, "one").segments != challenge_of(long_run, 4, "two").segments
    assert challenge.missed == 1 - 2 / 8
    whole = challenge_of(long_run, 100)
    assert whole.segments == tuple(range(10))
    assert (whole.missed, whole.surely_found) == (Fraction(0), 1)


@pytest.mark.parametrize(("count", "sample"), [(2**40, 2**40), (2**40, 2**39), (10, 1)])
def test_a_challenge_lists_as_many_segments_as_it_says(long_run: Path, count: int, sample: int) -> None:
    """It is refused before they are drawn."""
    said = decode(challenge_of(long_run, 4).encode(), max_bytes=10_000)
    assert isinstance(said, dict)
    with pytest.raises(UsageError, match="not a challenge"):
        Challenge.parse(encode({**said, "count": count, "sample": sample}))


@pytest.mark.parametrize(
    ("policy", "sample", "beacon", "words"),
    [
        (Policy(), 2, None, "name the trainer's key"),
        (L3, 1, None, "at least 2"),
        (L3, 2, "", "a beacon is a text"),
        (replace(L3, allow_beacon=False), 2, "noon", "would loosen the policy's sample.beacon"),
    ],
    ids=["no key", "one segment", "no text", "no beacon allowed"],
)
def test_what_can_t_be_drawn(long_run: Path, policy: Policy, sample: int, beacon: str | None, words: str) -> None:
    with RunFolder(long_run) as reader, pytest.raises(UsageError, match=words):
        drawn(reader, policy, sample, beacon)


def test_ranges_in_words() -> None:
    assert ranges([0, 1, 2, 5, 8, 9]) == "0..2, 5, 8..9"
    assert ranges(range(0, 40, 2), most=2) == "0, 2 and 18 more"
