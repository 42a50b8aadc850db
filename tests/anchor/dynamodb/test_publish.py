"""Publishing into a DynamoDB table, against DynamoDB Local: one chain whoever writes at once, and
nothing lost or doubled by a bad network."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from tests.anchor.dynamodb.conftest import Server
from tests.anchor.proxy import DROP, Act, Reply, Request
from tests.anchor.tree import ORIGIN, Tree
from zk_autograd.anchor.dynamodb.publish import DynamoDbAnchor, open_anchor
from zk_autograd.anchor.dynamodb.receipt import confirms, verify
from zk_autograd.anchor.dynamodb.table import PART
from zk_autograd.core.anchors import Standing
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError

pytestmark = pytest.mark.slow


def test_receipt_is_what_the_table_holds(server: Server) -> None:
    tree = Tree(3)
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    (item,) = server.items()
    assert item["register"] == {"S": ORIGIN}
    assert item["number"] == {"N": "0"}
    digest = sha256(item["body"]["B"]).hexdigest()
    assert receipt.body == {"table": server.table, "number": 0, "sha256": digest}
    assert verify(receipt, tree.checkpoint(), None).standing is Standing.WORD
    (kept,) = server.anchor().read(ORIGIN)
    assert (kept.note, kept.entries) == (tree.checkpoint().note, tuple(tree.leaves))
    assert confirms(kept, receipt)


def test_every_put_is_conditional_and_every_read_consistent(server: Server) -> None:
    tree = Tree(4_000)
    server.anchor().publish(tree.checkpoint(1), tree)
    server.anchor().publish(tree.checkpoint(), tree)
    server.anchor().read(ORIGIN)
    sent = [(request.target, json.loads(request.body)) for request in server.proxy.requests]
    assert {target for target, _ in sent} == {"PutItem", "GetItem", "Query"}
    for target, fields in sent:
        if target == "PutItem":
            assert fields["ConditionExpression"] == "attribute_not_exists(#register)"
        else:
            assert fields["ConsistentRead"] is True


def test_publishing_again_gives_the_receipt_again(server: Server) -> None:
    tree = Tree(4)
    first = server.anchor().publish(tree.checkpoint(), tree)
    assert server.anchor().publish(tree.checkpoint(), tree) == first
    assert len(server.items()) == 1


def test_a_register_that_was_rolled_back_is_behind_or_forked(server: Server) -> None:
    tree, anchor = Tree(5), server.anchor()
    anchor.publish(tree.checkpoint(), tree)
    with pytest.raises(AnchorBehind, match="of 5 entries, ours has 3"):
        anchor.publish(tree.checkpoint(3), tree)
    for size in (5, 6, 9):  # what a register that was restored at 3 entries goes on to
        other = Tree(size, "other", shared=3)
        with pytest.raises(AnchorForked, match=f"{tree.checkpoint().head.root.hex()}@5") as caught:
            anchor.publish(other.checkpoint(), other)
        assert caught.value.note == tree.checkpoint().note
    assert len(server.items()) == 1


def test_of_sixteen_branches_at_once_one_survives(server: Server) -> None:
    trees = [Tree(2 + index % 3, f"branch {index}") for index in range(16)]
    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(lambda tree: _outcome(server.anchor(), tree), trees))
    assert ended.count("receipt") == 1
    assert set(ended) - {"AnchorBehind"} == {"receipt", "AnchorForked"}
    assert len(server.items()) == 1


def test_of_sixteen_writers_of_one_register_no_entry_is_lost_or_doubled(server: Server) -> None:
    tree = Tree(64)
    sizes = [*random.Random(1).sample(range(1, 65), 15), 64]
    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(lambda size: _outcome(server.anchor(), tree, size), sizes))
    assert set(ended) <= {"receipt", "AnchorBehind"}
    assert ended[-1] == "receipt"
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves
    assert ended.count("receipt") == len(kept)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100))
def test_of_sixteen_branches_at_once_one_survives_each_time(server: Server, seed: int) -> None:
    trees = [Tree(1 + (seed + index) % 3, f"branch {index}") for index in range(16)]
    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(lambda tree: _outcome(server.anchor(), tree), trees))
    assert ended.count("receipt") == 1
    assert len(server.items()) == 1


def _outcome(anchor: DynamoDbAnchor, tree: Tree, size: int | None = None) -> str:
    try:
        anchor.publish(tree.checkpoint(size), tree)
    except AnchorError as error:
        return type(error).__name__
    return "receipt"


def test_ten_thousand_entries_through_a_bad_network(server: Server) -> None:
    tree, draw = Tree(10_000), random.Random(2)
    anchor = server.impatient()

    def after(request: Request, reply: Reply) -> Act:
        return DROP if draw.random() < 0.2 else None

    server.proxy.after = after
    for size in (1, 2, 1_700, 1_701, 4_000, 9_999, 10_000):
        for _ in range(200):
            try:
                anchor.publish(tree.checkpoint(size), tree)
            except AnchorDown:
                continue
            break
        else:
            raise AssertionError("it never came through")
    server.proxy.calm()
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves
    assert [one.finding for one in kept] == [""] * 7
    assert any(len(one.entries) * 200 > PART for one in kept)


def test_a_write_whose_answer_is_lost_is_found(server: Server) -> None:
    tree = Tree(2)
    server.proxy.after = lambda request, reply: DROP if request.target == "PutItem" else None
    with pytest.raises(AnchorDown, match="can't be reached"):
        server.impatient().publish(tree.checkpoint(), tree)
    assert len(server.items()) == 1
    server.proxy.calm()
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    assert receipt.body["number"] == 0
    assert len(server.items()) == 1


def test_the_librarys_own_retry_is_not_taken_for_anothers_write(server: Server) -> None:
    tree = Tree(2)
    lost: list[int] = []

    def after(request: Request, reply: Reply) -> Act:
        if request.target == "PutItem" and not lost:
            lost.append(reply.status)
            return DROP
        return None

    server.proxy.after = after
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    assert (lost, receipt.body["number"], len(server.items())) == ([200], 0, 1)


def test_killed_between_write_and_receipt(server: Server) -> None:
    tree = Tree(3)
    script = (
        "import sys; from tests.anchor.tree import Tree\n"
        "from zk_autograd.anchor.dynamodb.publish import DynamoDbAnchor\n"
        "tree = Tree(3); DynamoDbAnchor(sys.argv[1], sys.argv[2]).publish(tree.checkpoint(), tree)"
    )
    written: list[int] = []

    def after(request: Request, reply: Reply) -> Act:
        if request.target == "PutItem":
            written.append(reply.status)
            os.kill(child.pid, signal.SIGKILL)
        return None

    server.proxy.after = after
    root = Path(__file__).parents[3]
    child = subprocess.Popen([sys.executable, "-c", script, server.table, server.proxy.url], cwd=root)
    assert child.wait(timeout=60) == -signal.SIGKILL
    assert written == [200]
    server.proxy.calm()
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    assert (receipt.body["number"], len(server.items())) == (0, 1)


# A table's owner who takes something back.


def test_what_was_deleted_is_missed(server: Server) -> None:
    tree = Tree(3)
    for size in (1, 2, 3):
        server.anchor().publish(tree.checkpoint(size), tree)
    server.client.delete_item(TableName=server.table, Key={"register": {"S": ORIGIN}, "number": {"N": "1"}})
    assert [one.finding for one in server.anchor().read(ORIGIN)] == [
        "",
        "before number 2, 1 publication can't be found",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("body", {"B": b"{}"}, "was altered"),
        ("body", {"S": "text"}, "has no body"),
        ("sha256", {"S": sha256(b"{}").hexdigest()}, "was altered"),
        ("parts", {"N": "2"}, "lacks part 0"),
        ("parts", {"N": "-1"}, "out of range"),
        ("parts", {"N": "1E9"}, "out of range"),
        ("parts", {"S": "1"}, "has no parts"),
    ],
)
def test_an_item_that_was_altered_is_refused(server: Server, name: str, value: dict[str, object], said: str) -> None:
    tree = Tree(1)
    server.anchor().publish(tree.checkpoint(), tree)
    (item,) = server.items()
    server.client.put_item(TableName=server.table, Item={**item, name: value})
    for attempt in (
        partial(server.anchor().read, ORIGIN),
        partial(server.anchor().publish, tree.checkpoint(), tree),
    ):
        with pytest.raises(AnchorError, match=said):
            attempt()


def test_an_item_of_something_else_is_refused(server: Server) -> None:
    body = b'{"a":1}'
    item = {
        "register": {"S": ORIGIN},
        "number": {"N": "0"},
        "parts": {"N": "1"},
        "sha256": {"S": sha256(body).hexdigest()},
        "body": {"B": body},
    }
    server.client.put_item(TableName=server.table, Item=item)
    with pytest.raises(AnchorError, match="number 0 in the DynamoDB table .* is no publication"):  # noqa: RUF043
        server.anchor().publish(Tree(1).checkpoint(), Tree(1))


def test_a_service_that_ignores_conditions_is_found_out(server: Server) -> None:
    """It acknowledges a put of a number that is taken: another branch would replace what is."""
    tree, other = Tree(2), Tree(2, "other")
    server.anchor().publish(tree.checkpoint(), tree)
    server.proxy.before = _first("Query", Reply(200, {}, b'{"Items":[],"Count":0}'), _acknowledges_puts)
    with pytest.raises(AnchorError, match="ignores conditions"):
        server.anchor().publish(other.checkpoint(), other)


def _first(target: str, reply: Reply, then: Callable[[Request], Act]) -> Callable[[Request], Act]:
    asked: list[Request] = []

    def before(request: Request) -> Act:
        if request.target == target and not asked:
            asked.append(request)
            return reply
        return then(request)

    return before


def _acknowledges_puts(request: Request) -> Act:
    return Reply(200, {}, b"{}") if request.target == "PutItem" else None


def test_a_service_that_loses_what_it_took_is_found_out(server: Server) -> None:
    server.proxy.before = _acknowledges_puts
    with pytest.raises(AnchorError, match="lost number 0 right after it took it"):
        server.anchor().publish(Tree(1).checkpoint(), Tree(1))


# Faults.


def _error(status: int, code: str) -> Reply:
    return Reply(status, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps({"__type": f"a#{code}"}).encode())


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ProvisionedThroughputExceededException"),
        (400, "ThrottlingException"),
        (400, "RequestLimitExceeded"),
        (400, "LimitExceededException"),
        (500, "InternalServerError"),
        (503, "ServiceUnavailable"),
    ],
)
def test_what_passes_is_worth_trying_again(server: Server, status: int, code: str) -> None:
    tree = Tree(1)
    server.proxy.before = lambda request: _error(status, code)
    with pytest.raises(AnchorDown, match=f"overloaded or broken: '{code}'"):
        server.impatient().publish(tree.checkpoint(), tree)
    server.proxy.before = lambda request: _error(status, code) if request.target == "PutItem" else None
    with pytest.raises(AnchorDown, match=f"overloaded or broken: '{code}'"):
        server.impatient().publish(tree.checkpoint(), tree)
    server.proxy.calm()
    assert server.items() == []


def test_a_clock_that_is_wrong_is_named(server: Server) -> None:
    server.proxy.before = lambda request: _error(400, "RequestTimeTooSkewed")
    with pytest.raises(AnchorDown, match="finds this machine's clock wrong"):
        server.impatient().read(ORIGIN)


@pytest.mark.parametrize("code", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"])
def test_what_does_not_pass_is_refused(server: Server, code: str) -> None:
    server.proxy.before = lambda request: _error(400, code)
    with pytest.raises(AnchorError, match=f"refuses: '{code}'") as caught:
        server.impatient().publish(Tree(1).checkpoint(), Tree(1))
    assert not isinstance(caught.value, AnchorDown)


def test_a_table_that_is_not_there(server: Server) -> None:
    anchor = DynamoDbAnchor("nowhere", server.proxy.url, client=server.client)
    with pytest.raises(AnchorError, match="make the table first"):
        anchor.publish(Tree(1).checkpoint(), Tree(1))


def test_a_table_with_other_keys(server: Server) -> None:
    keys = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}]}
    schema = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    server.client.create_table(TableName="other-keys", **keys, **schema)
    anchor = DynamoDbAnchor("other-keys", server.proxy.url, client=server.client)
    with pytest.raises(AnchorError, match="ValidationException") as caught:
        anchor.publish(Tree(1).checkpoint(), Tree(1))
    assert not isinstance(caught.value, AnchorDown)
    server.client.delete_table(TableName="other-keys")


def test_a_service_that_never_answers(server: Server) -> None:
    def before(request: Request) -> Act:
        time.sleep(2.5)
        return DROP

    server.proxy.before = before
    with pytest.raises(AnchorDown, match="didn't answer in time"):
        server.impatient().read(ORIGIN)


def test_half_answers_and_nonsense_never_leak(server: Server) -> None:
    """Every answer of a publication in its turn: cut, emptied, or replaced by something else."""
    tree = Tree(2)
    server.anchor().publish(tree.checkpoint(1), tree)
    draw = random.Random(3)
    spoilers: list[Callable[[Reply], Act]] = [
        lambda reply: Reply(reply.status, reply.headers, reply.body, cut=len(reply.body) // 2),
        lambda reply: Reply(200, {}, reply.body[: len(reply.body) // 2]),
        lambda reply: Reply(200, {}, b"<html>a captive portal</html>"),
        lambda reply: Reply(200, {}, draw.randbytes(80)),
        lambda reply: Reply(200, {}, b'{"Items":[{"number":7}],"Item":{"number":{"N":"x"}}}'),
        lambda reply: Reply(200, {}, b'{"Items":{},"Item":[]}'),
        lambda reply: Reply(200, {}, b"[]"),
        lambda reply: Reply(200, {}, b"null"),
        lambda reply: Reply(418),
        lambda reply: Reply(200, {}, reply.body.replace(b'"B":"', b'"B":"!')),
    ]
    for spoil in spoilers:
        for turn in range(3):
            seen = 0

            def after(request: Request, reply: Reply, spoil: Callable[[Reply], Act] = spoil, turn: int = turn) -> Act:
                nonlocal seen
                seen += 1
                return spoil(reply) if seen == turn + 1 else None

            server.proxy.after = after
            anchor = server.impatient()
            for attempt in (partial(anchor.read, ORIGIN), partial(anchor.publish, tree.checkpoint(), tree)):
                seen = 0
                try:
                    attempt()
                except AnchorError as error:
                    assert "\n" not in str(error)
    server.proxy.calm()
    assert server.anchor().publish(tree.checkpoint(), tree)
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves


def test_a_listing_without_an_end_is_left(server: Server) -> None:
    server.proxy.before = lambda request: Reply(200, {}, b'{"Items":[],"LastEvaluatedKey":{"number":{"N":"1"}}}')
    with pytest.raises(AnchorError, match="lists without an end"):
        server.anchor().read(ORIGIN)
    assert len(server.proxy.requests) < 5


def test_pages_are_followed(server: Server) -> None:
    """A page of a query is at most 1 MB."""
    tree = Tree(9_000)
    for size in range(1_500, 9_001, 1_500):
        server.anchor().publish(tree.checkpoint(size), tree)
    server.proxy.calm()
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves
    assert sum(request.target == "Query" for request in server.proxy.requests) > 1


@pytest.mark.parametrize(
    ("rest", "spec"),
    [
        ("anchors", "dynamodb:anchors"),
        ("my.table-1@http://127.0.0.1:8000", "dynamodb:my.table-1@http://127.0.0.1:8000"),
    ],
)
def test_specifications(rest: str, spec: str) -> None:
    assert open_anchor(rest).spec == spec


@pytest.mark.parametrize("rest", ["", "ab", "a/b/c", "table@", "table@host", "table@http://user:word@host"])
def test_bad_specifications_name_what_is_wrong_and_no_password(rest: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_anchor(rest)
    assert "word@" not in str(caught.value)
