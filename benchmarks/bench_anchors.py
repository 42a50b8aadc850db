"""What anchoring a checkpoint costs, by each kind against its real component on this machine: the
time until there is a receipt, its bytes, and the time to judge it offline.

    python -m benchmarks.bench_anchors [--json] [--folder DIR] [--kind KIND ...]

Each time is a median over checkpoints of one register, of growing sizes; of the first, which opens
connections and probes, separately. Their peer is the anchor `file` in the same run. The components
are those of the tests (`make test-deps`, for s3 `make test-deps-go`, too): two witnesses,
OpenSSL's time-stamp authority, swtpm, DynamoDB Local, versitygw, and anvil, which makes a block
whenever it is asked to: so of a network's distance, a cloud's queue and a chain's block time
nothing is in the figures. What isn't here is left out, with its reason on standard error.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.figures import Figure, conditions, emit
from tests.anchor import components
from tests.witness.witnesses import Register, made, policy, running, vkeys
from zk_autograd.anchor.kinds import KINDS
from zk_autograd.core.anchors import Anchor, Receipt, SignedCheckpoint

CHECKPOINTS = 12
STRIDE = 7
"""Entries between two checkpoints."""

COSTS: list[Figure] = []
"""What a kind costs beside time, told when it is closed."""

Opened = tuple[Anchor, Callable[[Receipt], Any]]
"""An anchor, and what its receipts are judged under."""


@contextmanager
def file(folder: Path, register: Register) -> Iterator[Opened]:
    from zk_autograd.anchor.file.publish import FileAnchor

    yield FileAnchor(folder / "anchors.jsonl"), lambda _: None


@contextmanager
def witness(folder: Path, register: Register) -> Iterator[Opened]:
    """Two witnesses, each in a thread, of which both have to sign."""
    from zk_autograd.anchor.witness.publish import open_anchor
    from zk_autograd.core.tlog_policy import parse

    with ExitStack() as stack:
        named = []
        for number in range(2):
            here = made(folder / f"w{number}", register, name=f"witness.example/{number}")
            named.append((vkeys(here)[1], stack.enter_context(running(here)).url))
        place = folder / "policy"
        place.write_bytes(policy(named, 2, register))
        yield open_anchor(str(place)), lambda _: parse(place.read_bytes())


@contextmanager
def rfc3161(folder: Path, register: Register) -> Iterator[Opened]:
    from tests.anchor.rfc3161.authority import OpenSsl, holder, served
    from zk_autograd.anchor.rfc3161.publish import open_anchor
    from zk_autograd.anchor.rfc3161.receipt import Trust

    root = holder("a root", ca=True)
    with served(OpenSsl(folder / "authority", holder("an authority", root))) as url:
        yield open_anchor(url), lambda _: Trust((root.certificate,))


@contextmanager
def tpm(folder: Path, register: Register) -> Iterator[Opened]:
    from tests.anchor.tpm.emulator import Emulator, require_swtpm

    require_swtpm()
    from tests.anchor.tpm.test_publish import trust_of
    from zk_autograd.anchor.tpm.publish import open_anchor

    with tempfile.TemporaryDirectory() as short:  # a socket's path has 108 bytes
        emulator = Emulator(Path(short))
        try:
            yield open_anchor(emulator.tcti), lambda _: trust_of(emulator.tcti, register.origin)
        finally:
            emulator.stop()


@contextmanager
def s3(folder: Path, register: Register) -> Iterator[Opened]:
    from zk_autograd.anchor import aws
    from zk_autograd.anchor.s3.publish import S3Anchor

    key, secret = (components.AWS_ENVIRONMENT[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"))
    with components.versitygw(folder, key, secret) as port:
        url = f"http://127.0.0.1:{port}"
        client = aws.client("s3", url)
        client.create_bucket(Bucket="anchors", ObjectLockEnabledForBucket=True)
        yield S3Anchor("anchors", "", url, 1, client=client), lambda _: None


@contextmanager
def dynamodb(folder: Path, register: Register) -> Iterator[Opened]:
    from zk_autograd.anchor import aws
    from zk_autograd.anchor.dynamodb.publish import DynamoDbAnchor

    with components.dynamodb_local() as port:
        url = f"http://127.0.0.1:{port}"
        client = aws.client("dynamodb", url)
        names = {"register": "S", "number": "N"}
        client.create_table(
            TableName="anchors",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in names.items()],
            KeySchema=[
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield DynamoDbAnchor("anchors", url, client=client), lambda _: None


@contextmanager
def evm(folder: Path, register: Register) -> Iterator[Opened]:
    from tests.anchor.evm.chain import CHAIN_ID, anvil
    from tests.anchor.evm.test_receipt import headers
    from zk_autograd.anchor.evm.contract import contract
    from zk_autograd.anchor.evm.trust import Trust

    with anvil(folder / "anvil") as chain:
        anchor = chain.anchor()

        def trust(receipt: Receipt) -> Trust:
            blocks = frozenset([headers(receipt)[-1].hash])
            return Trust(CHAIN_ID, blocks, contract().address, anchor.publisher, depth=1)

        yield anchor, trust
        node: Any = chain.node
        blocks = range(int(node.call("eth_blockNumber"), 16) + 1)
        used = [int(node.call("eth_getBlockByNumber", hex(number), False)["gasUsed"], 16) for number in blocks]
        deployed, *anchored = [gas for gas in used if gas]
        COSTS.extend((Figure("evm.gas_deploy", deployed, "gas"), Figure("evm.gas", max(anchored), "gas, at most")))


OPENERS: dict[str, Callable[[Path, Register], AbstractContextManager[Opened]]] = {
    "file": file,
    "witness": witness,
    "rfc3161": rfc3161,
    "tpm": tpm,
    "dynamodb": dynamodb,
    "s3": s3,
    "evm": evm,
}


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds, and what came of it."""
    start = time.perf_counter()
    found = act()
    return 1000 * (time.perf_counter() - start), found


def measure(kind: str, folder: Path, peer: float | None) -> Iterator[Figure]:
    """The figures of one kind; `peer`: milliseconds that the anchor `file` took."""
    register, published, judged, size = Register(), [], [], 0
    verifier = KINDS[kind].verifier()
    with OPENERS[kind](folder, register) as (anchor, trust):
        for number in range(CHECKPOINTS):
            checkpoint: SignedCheckpoint = register.checkpoint(1 + STRIDE * number)
            took, receipts = timed(lambda: anchor.publish(checkpoint, register))  # noqa: B023 - called at once
            published.append(took)
            size = sum(len(receipt.encode()) for receipt in receipts)
            for receipt in receipts:
                under = trust(receipt)
                took, claim = timed(lambda: verifier.verify(receipt, checkpoint, under))  # noqa: B023
                judged.append(took)
    middle = statistics.median(published[1:])
    ratio = None if peer is None else middle / peer
    yield Figure(f"{kind}.publish", middle, "ms", "file" if ratio else "", ratio)
    yield Figure(f"{kind}.publish_first", published[0], "ms")
    yield Figure(f"{kind}.receipt", size, f"bytes, {claim.standing.value}")
    yield Figure(f"{kind}.judge", statistics.median(judged), "ms")
    yield from COSTS
    COSTS.clear()


def figures(folder: Path, kinds: Sequence[str]) -> Iterator[Figure]:
    """All figures; `file` comes first."""
    yield conditions()
    peer: float | None = None
    for kind in OPENERS:
        if kind not in kinds and kind != "file":
            continue
        here = folder / kind
        here.mkdir()
        try:
            for figure in measure(kind, here, peer):
                if figure.name == "file.publish":
                    peer = figure.value
                yield figure
        except (pytest.skip.Exception, ImportError) as error:
            print(f"{kind}: left out: {error}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--kind", nargs="+", choices=list(OPENERS), default=list(OPENERS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix=".bench-anchors-", dir=arguments.folder) as folder:
        os.environ |= components.AWS_ENVIRONMENT | {"XDG_STATE_HOME": str(Path(folder).resolve() / "state")}
        emit(figures(Path(folder), arguments.kind), as_json=arguments.json)


if __name__ == "__main__":
    main()
