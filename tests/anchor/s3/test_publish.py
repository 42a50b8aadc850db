"""Publishing into an S3 bucket: one chain whoever writes at once, and a receipt of what was read
back; servers that aren't what they say are refused before anything is entrusted to them."""

import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.anchor.components import AWS_ENVIRONMENT, rclone
from tests.anchor.proxy import DROP, Act, Reply, Request
from tests.anchor.s3.conftest import Server, keeps_locks, s3_error
from tests.anchor.tree import ORIGIN, Tree
from zk_autograd.anchor import aws
from zk_autograd.anchor.kept import encode_kept
from zk_autograd.anchor.s3 import bucket as bucket_module
from zk_autograd.anchor.s3.bucket import Bucket
from zk_autograd.anchor.s3.publish import S3Anchor, open_anchor
from zk_autograd.anchor.s3.receipt import confirms, object_key, verify
from zk_autograd.core.anchors import Kept, SignedCheckpoint, Standing
from zk_autograd.core.errors import AnchorBehind, AnchorDown, AnchorError, AnchorForked, UsageError

pytestmark = pytest.mark.slow


def test_receipt_is_what_the_bucket_says(server: Server) -> None:
    tree = Tree(3)
    before = int(time.time())
    (receipt,) = server.anchor("runs/mine").publish(tree.checkpoint(), tree)
    body = receipt.body
    place = {"Bucket": server.bucket, "Key": body["key"], "VersionId": body["version"]}
    head = server.client.head_object(**place)
    stored = server.client.get_object(**place)["Body"].read()
    assert body["sha256"] == sha256(stored).hexdigest()
    assert body["key"] == f"runs/mine/{ORIGIN.rpartition('/')[2]}/{0:020}"
    assert (body["mode"], head["ObjectLockMode"]) == ("COMPLIANCE", "COMPLIANCE")
    assert body["retain_until"] == int(head["ObjectLockRetainUntilDate"].timestamp()) >= before + 600
    assert body["etag"] == head["ETag"].strip('"')
    assert verify(receipt, tree.checkpoint(), None).standing is Standing.WORD
    (kept,) = server.anchor("runs/mine").read(ORIGIN)
    assert (kept.note, kept.entries) == (tree.checkpoint().note, tuple(tree.leaves))
    assert confirms(kept, receipt)


def test_what_is_published_cannot_be_deleted_or_replaced(server: Server) -> None:
    tree = Tree(1)
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    place = {"Bucket": server.bucket, "Key": receipt.body["key"], "VersionId": receipt.body["version"]}
    with pytest.raises(server.client.exceptions.ClientError):
        server.client.delete_object(**place)
    with pytest.raises(server.client.exceptions.ClientError, match="PreconditionFailed"):
        server.client.put_object(Bucket=server.bucket, Key=receipt.body["key"], Body=b"", IfNoneMatch="*")


def test_publishing_again_gives_the_receipt_again(server: Server) -> None:
    tree = Tree(4)
    first = server.anchor().publish(tree.checkpoint(), tree)
    assert server.anchor().publish(tree.checkpoint(), tree) == first
    assert len(server.versions()) == 1


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
    assert len(server.versions()) == 1


def test_of_sixteen_branches_at_once_one_survives(server: Server) -> None:
    trees = [Tree(2 + index % 3, f"branch {index}") for index in range(16)]
    anchors = [server.anchor() for _ in trees]
    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(_outcome, anchors, trees))
    assert ended.count("receipt") == 1
    assert set(ended) == {"receipt", "AnchorForked"} or set(ended) == {"receipt", "AnchorForked", "AnchorBehind"}
    assert len(server.versions()) == 1


def test_of_sixteen_writers_of_one_register_no_entry_is_lost_or_doubled(server: Server) -> None:
    tree = Tree(64)
    sizes = [*random.Random(1).sample(range(1, 65), 15), 64]
    with ThreadPoolExecutor(16) as pool:
        ended = list(pool.map(lambda size: _outcome(server.anchor(), tree, size), sizes))
    assert set(ended) <= {"receipt", "AnchorBehind"}
    assert ended[-1] == "receipt"
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves
    assert ended.count("receipt") == len(kept) == len(server.versions())


def _outcome(anchor: S3Anchor, tree: Tree, size: int | None = None) -> str:
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

    for size in sorted({*draw.sample(range(1, 10_000), 7), 10_000}):
        server.proxy.after = after
        for _ in range(200):
            try:
                anchor.publish(tree.checkpoint(size), tree)
            except AnchorDown:
                continue
            break
        else:
            raise AssertionError("it never came through")
    server.calm()
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves
    assert [one.finding for one in kept] == [""] * 8


def test_a_write_whose_answer_is_lost_is_found(server: Server) -> None:
    tree, anchor = Tree(2), server.anchor()
    anchor.publish(tree.checkpoint(1), tree)
    server.proxy.after = lambda request, reply: (
        DROP if request.method == "PUT" and "/probe/" not in request.path else None
    )
    with pytest.raises(AnchorDown, match="can't be reached"):
        anchor.publish(tree.checkpoint(), tree)
    assert len(server.versions()) == 2
    server.proxy.after = lambda request, reply: None
    (receipt,) = anchor.publish(tree.checkpoint(), tree)
    assert receipt.body["key"] == server.versions()[1]
    assert len(server.versions()) == 2


def test_the_librarys_own_retry_is_not_taken_for_anothers_write(server: Server) -> None:
    tree, anchor = Tree(2), server.anchor()
    lost: list[int] = []

    def after(request: Request, reply: Reply) -> Act:
        if request.method == "PUT" and "/probe/" not in request.path and not lost:
            lost.append(reply.status)
            return DROP
        return None

    server.proxy.after = after
    (receipt,) = anchor.publish(tree.checkpoint(), tree)
    assert lost == [200]
    assert server.versions() == [receipt.body["key"]]


def test_killed_between_write_and_receipt(server: Server) -> None:
    tree = Tree(3)
    script = (
        "import sys; from tests.anchor.tree import Tree; from zk_autograd.anchor.s3.publish import S3Anchor\n"
        "tree = Tree(3); S3Anchor(sys.argv[1], endpoint=sys.argv[2], retain_s=600).publish(tree.checkpoint(), tree)"
    )
    written: list[int] = []

    def after(request: Request, reply: Reply) -> Act:
        if request.method == "PUT" and "/probe/" not in request.path:
            written.append(reply.status)
            os.kill(child.pid, signal.SIGKILL)
        return None

    server.proxy.after = after
    root = Path(__file__).parents[3]
    child = subprocess.Popen([sys.executable, "-c", script, server.bucket, server.proxy.url], cwd=root)
    assert child.wait(timeout=60) == -signal.SIGKILL
    assert written == [200]
    server.proxy.after = lambda request, reply: None
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    assert server.versions() == [receipt.body["key"]]


# A bucket's owner who takes something back.


def test_a_delete_marker_hides_nothing(server: Server) -> None:
    """Hidden from a listing, the newest publication would make room for another branch."""
    tree = Tree(2)
    server.anchor().publish(tree.checkpoint(1), tree)
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    server.client.delete_object(Bucket=server.bucket, Key=receipt.body["key"])
    other = Tree(2, "other", shared=1)
    with pytest.raises(AnchorError, match="can't be relied on: it was deleted: a delete marker lies over it"):
        server.anchor().publish(other.checkpoint(), other)
    one, two = server.anchor().read(ORIGIN)
    assert (one.finding, two.finding) == ("", "it was deleted: a delete marker lies over it")
    assert two.note == tree.checkpoint().note


def test_an_older_publication_that_was_deleted_stops_whoever_looks(server: Server) -> None:
    tree = Tree(3)
    (receipt,) = server.anchor().publish(tree.checkpoint(1), tree)
    server.anchor().publish(tree.checkpoint(2), tree)
    server.client.delete_object(Bucket=server.bucket, Key=receipt.body["key"])
    with pytest.raises(AnchorError, match="of number 0, it was deleted"):
        server.anchor().publish(tree.checkpoint(), tree)


def test_a_publication_that_was_written_over_shows_both(server: Server) -> None:
    """Selective showing: whoever reads the newest version alone sees the other branch."""
    tree, other = Tree(2), Tree(2, "other")
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    (elsewhere,) = server.anchor("elsewhere").publish(other.checkpoint(), other)
    place = {"Bucket": server.bucket, "Key": elsewhere.body["key"]}
    body = server.client.get_object(**place)["Body"].read()
    server.client.put_object(Bucket=server.bucket, Key=receipt.body["key"], Body=body)
    kept = server.anchor().read(ORIGIN)
    assert {one.note for one in kept} == {tree.checkpoint().note, other.checkpoint().note}
    assert all(one.finding == "it was written over: it has several versions" for one in kept)
    with pytest.raises(AnchorError, match="written over"):
        server.anchor().publish(tree.checkpoint(), tree)


def test_what_is_deleted_after_its_lock_is_missed(server: Server) -> None:
    tree, anchor = Tree(4), server.anchor(retain_s=1)
    for size in (1, 2, 3):
        (receipt,) = anchor.publish(tree.checkpoint(size), tree)
    folder = receipt.body["key"].rpartition("/")[0]  # type: ignore[union-attr]
    versions = server.client.list_object_versions(Bucket=server.bucket, Prefix=folder)["Versions"]
    time.sleep(2.1)
    server.client.delete_object(Bucket=server.bucket, Key=versions[1]["Key"], VersionId=versions[1]["VersionId"])
    assert [one.finding for one in server.anchor().read(ORIGIN)] == [
        "",
        "before number 2, 1 publication can't be found",
    ]
    with pytest.raises(AnchorError, match="publications were deleted"):
        server.anchor().publish(tree.checkpoint(), tree)
    server.client.delete_object(Bucket=server.bucket, Key=versions[2]["Key"], VersionId=versions[2]["VersionId"])
    with pytest.raises(AnchorError, match="publications were deleted"):
        anchor.publish(tree.checkpoint(), tree)  # it remembers the newest


def test_something_else_among_the_publications_is_named(server: Server) -> None:
    tree = Tree(1)
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    folder = str(receipt.body["key"]).rpartition("/")[0]
    server.client.put_object(Bucket=server.bucket, Key=f"{folder}/{1:020}", Body=b"{}")
    with pytest.raises(AnchorError, match=r"number 1 in .* is no publication"):
        server.anchor().read(ORIGIN)
    server.client.put_object(Bucket=server.bucket, Key=f"{folder}/notes.txt", Body=b"hello")
    for attempt in (lambda: server.anchor().read(ORIGIN), lambda: server.anchor().publish(tree.checkpoint(), tree)):
        with pytest.raises(AnchorError, match=r"something else among the publications: .*notes\.txt"):
            attempt()


def test_pages_are_followed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "PAGE", 2)
    tree, anchor = Tree(7), server.anchor()
    for size in range(1, 8):
        anchor.publish(tree.checkpoint(size), tree)
    kept = server.anchor().read(ORIGIN)
    assert [len(one.entries) for one in kept] == [1] * 7
    assert server.anchor().publish(tree.checkpoint(), tree)[0].body == kept[-1].place


@pytest.mark.long
def test_more_than_a_real_page(server: Server) -> None:
    tree, bucket = Tree(1_005), Bucket(server.client, server.bucket, "", 600, time.time)
    for size in range(1, 1_005):  # as `publish` writes them
        body = encode_kept(Kept(tree.checkpoint(size).note, size - 1, (tree.leaves[size - 1],)))
        bucket.put(object_key("", ORIGIN, size - 1), body, int(time.time()) + 600)
    (receipt,) = server.anchor().publish(tree.checkpoint(), tree)
    kept = server.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves
    assert receipt.body == kept[-1].place


# Servers that aren't what they say. Whoever anchored there would believe in a chain that the
# server lets anyone rewrite.


def _without(*names: str) -> Callable[[Request], Act]:
    """A server to which these headers say nothing."""

    def before(request: Request) -> Act:
        request.headers = {key: value for key, value in request.headers.items() if key.lower() not in names}
        return keeps_locks(request)

    return before


def test_a_server_that_ignores_conditions_is_refused(malleable: Server) -> None:
    malleable.proxy.before = _without("if-none-match")
    _refused_unpublished(malleable, "ignores If-None-Match")


def test_a_server_that_ignores_locks_is_refused(malleable: Server) -> None:
    malleable.proxy.before = _without("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date")
    _refused_unpublished(malleable, "ignores Object Lock")


def test_moto_is_refused_since_it_lets_a_lock_be_shortened(malleable: Server) -> None:
    malleable.proxy.calm()
    _refused_unpublished(malleable, "lets the lock of an object be shortened")


def test_a_server_that_lets_locked_objects_be_deleted_is_refused(malleable: Server) -> None:
    malleable.proxy.before = lambda request: Reply(204) if request.method == "DELETE" else keeps_locks(request)
    _refused_unpublished(malleable, "lets a locked object be deleted")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-mode", ""),
        ("x-amz-object-lock-retain-until-date", "2001-01-01T00:00:00Z"),
    ],
)
def test_a_lock_of_another_kind_is_refused(malleable: Server, name: str, value: str) -> None:
    def after(request: Request, reply: Reply) -> Act:
        if request.method == "HEAD":
            reply.headers = {key: value if key.lower() == name else old for key, old in reply.headers.items()}
        return reply

    malleable.proxy.after = after
    _refused_unpublished(malleable, "ignores Object Lock")


def test_a_bucket_without_object_lock_is_refused(malleable: Server) -> None:
    malleable.client.create_bucket(Bucket="plain")
    tree = Tree(1)
    with pytest.raises(AnchorError):
        S3Anchor("plain", endpoint=malleable.proxy.url).publish(tree.checkpoint(), tree)
    assert "Contents" not in malleable.client.list_objects_v2(Bucket="plain") or not _published(malleable, "plain")


def test_a_server_that_turns_bad_later_is_found_out_at_the_next_publication(malleable: Server) -> None:
    """It lists nothing, and lets the object that is there be written over."""
    tree, other, anchor = Tree(2), Tree(2, "other"), malleable.anchor()
    malleable.anchor().publish(tree.checkpoint(), tree)
    anchor.publish(tree.checkpoint(), tree)  # probed
    late = malleable.anchor()
    late._probed = True
    strip = _without("if-none-match")
    hidden: list[Request] = []

    def before(request: Request) -> Act:
        if "versions" in request.path and not hidden:
            hidden.append(request)
            return Reply(200, {}, b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>")
        return strip(request)

    malleable.proxy.before = before
    with pytest.raises(AnchorError, match="has 2 versions right after its PUT"):
        late.publish(other.checkpoint(), other)
    assert hidden


def test_a_server_that_gives_other_bytes_back_is_refused(malleable: Server) -> None:
    def after(request: Request, reply: Reply) -> Act:
        if request.method == "GET" and "versionId" in request.path:
            reply.headers = {key: value for key, value in reply.headers.items() if "checksum" not in key.lower()}
            reply.body = reply.body[:-1] + b"?"
        return reply

    malleable.proxy.after = after
    _refused_unpublished(malleable, "gives back other bytes")


@pytest.mark.parametrize(
    ("method", "said"),
    [("PUT", "another version than it said"), ("GET", "gave another version"), ("HEAD", "gave another")],
)
def test_a_server_that_mixes_versions_up_is_refused(malleable: Server, method: str, said: str) -> None:
    """It would show the auditor one version, and the trainer another."""
    tree, anchor = Tree(1), malleable.anchor()
    anchor._probed = True

    def after(request: Request, reply: Reply) -> Act:
        if request.method == method:
            reply.headers = {
                name: "another" if name.lower() == "x-amz-version-id" else value
                for name, value in reply.headers.items()
            }
        return reply

    malleable.proxy.after = after
    with pytest.raises(AnchorError, match=said):
        anchor.publish(tree.checkpoint(), tree)


def test_an_object_without_a_lock_is_a_finding(server: Server) -> None:
    """The owner put it there by hand, and can take it away again."""
    tree = Tree(1)
    body = encode_kept(Kept(tree.checkpoint().note, 0, tuple(tree.leaves)))
    server.client.put_object(Bucket=server.bucket, Key=object_key("", ORIGIN, 0), Body=body)
    (kept,) = server.anchor().read(ORIGIN)
    assert kept.note == tree.checkpoint().note
    assert kept.finding.startswith("no Object Lock in COMPLIANCE mode is shown for it")
    with pytest.raises(AnchorError, match="can't be relied on: no Object Lock"):
        server.anchor().publish(tree.checkpoint(), tree)  # whose receipt would be no receipt


def test_an_object_that_is_too_large_is_not_read(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "MAX_BODY", 100)
    server.client.put_object(Bucket=server.bucket, Key=object_key("", ORIGIN, 0), Body=b"a" * 101)
    with pytest.raises(AnchorError, match="more than 100 bytes"):
        server.anchor().read(ORIGIN)


def test_a_listing_without_an_end_is_left(malleable: Server) -> None:
    page = (
        b"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>"
        b"<NextVersionIdMarker>v</NextVersionIdMarker></ListVersionsResult>"
    )
    malleable.proxy.before = lambda request: Reply(200, {}, page)
    with pytest.raises(AnchorError, match="lists without an end"):
        malleable.anchor().read(ORIGIN)
    assert len(malleable.proxy.requests) < 5


@pytest.mark.long
def test_rclone_is_refused(tmp_path: Path, aws_credentials: None) -> None:
    tree = Tree(1)
    with rclone(tmp_path, AWS_ENVIRONMENT["AWS_ACCESS_KEY_ID"], AWS_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]) as port:
        url = f"http://127.0.0.1:{port}"
        aws.client("s3", url).create_bucket(Bucket="anchor")
        with pytest.raises(AnchorError, match=r"keeps no versions|ignores If-None-Match"):
            S3Anchor("anchor", endpoint=url).publish(tree.checkpoint(), tree)


def _refused_unpublished(server: Server, reason: str) -> None:
    tree = Tree(1)
    with pytest.raises(AnchorError, match=reason) as caught:
        server.anchor().publish(tree.checkpoint(), tree)
    assert type(caught.value) is AnchorError
    assert not _published(server, server.bucket)


def _published(server: Server, bucket: str) -> bool:
    """Whether anything but a probe was put."""
    puts = [request for request in server.proxy.requests if request.method == "PUT" and request.path.count("/") > 1]
    return any("/probe/" not in request.path for request in puts if bucket in request.path)


# Faults.


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (503, "SlowDown", "overloaded"),
        (500, "InternalError", "overloaded"),
        (429, "TooManyRequests", "overloaded"),
        (400, "RequestTimeout", "overloaded"),
        (403, "RequestTimeTooSkewed", "clock wrong"),
    ],
)
def test_what_passes_is_worth_trying_again(malleable: Server, status: int, code: str, said: str) -> None:
    tree = Tree(1)
    malleable.proxy.before = lambda request: s3_error(status, code)
    with pytest.raises(AnchorDown, match=said):
        malleable.impatient().publish(tree.checkpoint(), tree)
    assert len(malleable.proxy.requests) == 1
    malleable.calm()
    assert malleable.anchor().publish(tree.checkpoint(), tree)


@pytest.mark.parametrize("code", ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"])
def test_what_does_not_pass_is_refused(malleable: Server, code: str) -> None:
    tree = Tree(1)
    malleable.proxy.before = lambda request: s3_error(403, code)
    with pytest.raises(AnchorError, match=f"refuses: '{code}'") as caught:
        malleable.anchor().publish(tree.checkpoint(), tree)
    assert not isinstance(caught.value, AnchorDown)


@pytest.mark.long
def test_a_clock_that_is_wrong_is_named(versity: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    versity.calm()
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda remove_tzinfo=True: later.replace(tzinfo=None))
    with pytest.raises(AnchorDown, match="finds this machine's clock wrong"):
        versity.impatient().read(ORIGIN)


def test_a_bucket_that_is_not_there(server: Server) -> None:
    tree = Tree(1)
    with pytest.raises(AnchorError, match=r"NoSuchBucket.*make the bucket first"):
        S3Anchor("nowhere-at-all", endpoint=server.proxy.url).publish(tree.checkpoint(), tree)


def test_a_server_that_never_answers(malleable: Server) -> None:
    def before(request: Request) -> Act:
        time.sleep(0.8)
        return DROP

    malleable.proxy.before = before
    with pytest.raises(AnchorDown, match="didn't answer in time"):
        malleable.impatient().publish(Tree(1).checkpoint(), Tree(1))


def test_nobody_listens(aws_credentials: None) -> None:
    with pytest.raises(AnchorDown, match="can't be reached"):
        S3Anchor("anchor", endpoint="http://127.0.0.1:9").read(ORIGIN)


def test_half_answers_and_nonsense_never_leak(malleable: Server) -> None:
    """Every answer of a publication in its turn: cut, emptied, or replaced by something else."""
    tree, client = Tree(2), aws.client("s3", malleable.proxy.url, 5, 1)
    malleable.anchor().publish(tree.checkpoint(1), tree)
    malleable.proxy.requests.clear()
    malleable.anchor().read(ORIGIN)
    draw = random.Random(3)
    spoilers: list[Callable[[Reply], Act]] = [
        lambda reply: Reply(reply.status, reply.headers, reply.body, cut=len(reply.body) // 2),
        lambda reply: Reply(200, reply.headers, reply.body[: len(reply.body) // 2]),
        lambda reply: Reply(200, {}, b"<html>a captive portal</html>"),
        lambda reply: Reply(200, {}, draw.randbytes(80)),
        lambda reply: Reply(200, {name: "\u00e9?" for name in reply.headers}, reply.body),
        lambda reply: Reply(302, {"Location": "http://127.0.0.1:9/"}),
        lambda reply: Reply(418),
        lambda reply: Reply(200, {**reply.headers, "Last-Modified": "never", "ETag": ""}, reply.body),
        lambda reply: Reply(
            200,
            {**reply.headers, "x-amz-object-lock-retain-until-date": "9" * 40},
            re.sub(rb"<(VersionId|Key)>[^<]*<", rb"<\1><", reply.body),
        ),
    ]
    for spoil in spoilers:
        for turn in range(6):
            seen = 0

            def after(request: Request, reply: Reply, spoil: Any = spoil, turn: int = turn) -> Act:
                nonlocal seen
                seen += 1
                made: Act = spoil(reply) if seen == turn + 1 else None
                return made

            malleable.proxy.after = after
            anchor = S3Anchor(malleable.bucket, "", "", 600, client=client)
            anchor._probed = True
            for attempt in (partial(anchor.read, ORIGIN), partial(anchor.publish, tree.checkpoint(), tree)):
                seen = 0
                try:
                    attempt()
                except AnchorError as error:
                    assert "\n" not in str(error)
    malleable.calm()
    assert malleable.anchor().publish(tree.checkpoint(), tree)
    kept = malleable.anchor().read(ORIGIN)
    assert [leaf for one in kept for leaf in one.entries] == tree.leaves


def test_no_secret_in_log_error_or_receipt(malleable: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tree = Tree(1)
    (receipt,) = malleable.anchor().publish(tree.checkpoint(), tree)
    malleable.proxy.before = lambda request: s3_error(403, "SignatureDoesNotMatch")
    with pytest.raises(AnchorError) as caught:
        malleable.anchor().read(ORIGIN)
    said = caplog.text + str(caught.value) + receipt.encode().decode()
    for secret in ("the-secret-of-tests", "Signature=", "Credential="):
        assert secret not in said


def test_credentials_are_needed(malleable: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AnchorError, match="needs credentials: set AWS_ACCESS_KEY_ID"):
        S3Anchor(malleable.bucket, endpoint=malleable.proxy.url).read(ORIGIN)


@pytest.mark.parametrize(
    ("rest", "spec"),
    [
        ("bucket", "s3:bucket"),
        ("my.bucket/a/b", "s3:my.bucket/a/b"),
        ("bucket,retain=365", "s3:bucket"),
        ("bucket/p,retain=30@https://s3.example:9000", "s3:bucket/p,retain=30@https://s3.example:9000"),
    ],
)
def test_specifications(rest: str, spec: str) -> None:
    assert open_anchor(rest).spec == spec


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "B",
        "bucket/",
        "bucket//x",
        "bucket/../x y",
        "bucket,retain=0",
        "bucket,retain=40000",
        "bucket,retain=x",
        "bucket,forever=1",
        "bucket@",
        "bucket@ftp://x",
        "bucket@https://user:word@host",
        "bucket@https://[",
        "bucket@https://host:x",
    ],
)
def test_bad_specifications_name_what_is_wrong_and_no_password(rest: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_anchor(rest)
    assert "word@" not in str(caught.value)


def test_only_registers_are_anchored(malleable: Server) -> None:
    head = Tree(1).checkpoint().head
    stranger = SignedCheckpoint(b"", type(head)("example.org/log", 1, head.root))
    with pytest.raises(UsageError, match="only a register's checkpoint"):
        malleable.anchor().publish(stranger, Tree(1))
    with pytest.raises(UsageError, match="only a register's origin"):
        malleable.anchor().read("../../etc")
    with pytest.raises(UsageError, match="empty register"):
        malleable.anchor().publish(Tree(0).checkpoint(), Tree(0))
