"""Step 9: gradients that were opened are computed again."""

from io import BytesIO

import pytest

from tests.verify import exact_runs
from zk_autograd.core.keys import PublicKey
from zk_autograd.core.record_bytes import parse_log
from zk_autograd.evidence.folder import RunFolder
from zk_autograd.prove.verifiers import Systems
from zk_autograd.verify.outcome import Level
from zk_autograd.verify.policy import Policy
from zk_autograd.verify.replay import Replay
from zk_autograd.verify.verifier import Verifier


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    return exact_runs.train(tmp_path_factory.mktemp("x") / "run", "native")


def judge(run, openings, cells=None, **k):
    with RunFolder(run) as files:
        keys = tuple(map(PublicKey.parse, parse_log(files.leaves()).header.keys))
        replay = (
            None
            if openings is None
            else Replay(
                lambda d: BytesIO(openings),
                lambda g, s: exact_runs.gradient().cells if cells is None else cells,
                **k,
            )
        )
        return Verifier(Policy(keys=keys), Systems()).verify(files, replay=replay)


def test_all(run):
    r = judge(run, None)
    print(r.text())
    r = judge(run, exact_runs.opened(run))
    print(r.text())
    assert Level.L3 in r.levels
    r = judge(run, exact_runs.opened(run, [0, 2]))
    print(r.text())
