"""Clients of S3 and DynamoDB: what is said where they can't be had, and what no log shows."""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zk_autograd.anchor import aws
from zk_autograd.anchor.kinds import open_anchor
from zk_autograd.core.errors import AnchorDown, AnchorError, UsageError


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(UsageError, match=r"pip install 'zk-autograd\[aws\]'"):
        aws.client("s3", "")


def test_naming_an_anchor_needs_no_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert open_anchor("s3:bucket").spec == "s3:bucket"
    assert open_anchor("dynamodb:table").spec == "dynamodb:table"


def test_a_region_is_needed_at_aws_alone() -> None:
    with pytest.raises(AnchorError, match="needs a region: set AWS_DEFAULT_REGION"):
        aws.client("dynamodb", "")
    assert aws.client("dynamodb", "http://127.0.0.1:9").meta.region_name == "us-east-1"


def test_a_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AnchorError, match="needs credentials"):
        aws.client("s3", "http://127.0.0.1:9")


def test_a_configuration_that_is_broken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "config"
    broken.write_bytes(b"[profile\xff\n= =")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    with pytest.raises(AnchorError, match="AWS_CONFIG_FILE isn't in its form"):
        aws.client("s3", "http://127.0.0.1:9")


def test_the_library_logs_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    for name in ("boto3", "botocore", "urllib3"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.NOTSET)
    aws.client("s3", "http://127.0.0.1:9")
    assert logging.getLogger("botocore.auth").getEffectiveLevel() >= logging.INFO
    assert logging.getLogger("urllib3.connectionpool").getEffectiveLevel() >= logging.INFO


@pytest.mark.parametrize("response", [{}, {"Error": None}, {"Error": {"Code": 7}, "ResponseMetadata": {}}])
def test_an_error_without_a_code_is_worth_trying_again(response: dict[str, object]) -> None:
    from botocore.exceptions import ClientError

    def method() -> None:
        raise ClientError(response if response.get("Error") else {**response, "Error": {}}, "Put")

    with pytest.raises(AnchorDown, match="overloaded or broken"):
        aws.call("the service", method)


def test_an_interrupt_passes() -> None:
    def method() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        aws.call("the service", method)


@contextmanager
def endpoint(first: bytes, piece: bytes, pause: float) -> Iterator[str]:
    """A server that begins every answer so, and then sends the piece again and again."""
    done = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(2**16)
            connection.sendall(first)
            while not done.wait(pause):
                connection.sendall(piece)

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not done.is_set():
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"


@pytest.mark.parametrize("head", [b"Content-Length: 400000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize("status", [b"200 OK", b"400 No"])
@pytest.mark.usefixtures("credentials")
def test_an_answer_without_end_is_not_kept(head: bytes, status: bytes) -> None:
    """Attack: a listing of 400 MB took more than four times that of memory."""
    piece = b"100000\r\n" + b"x" * 2**20 + b"\r\n" if b"chunked" in head else b"x" * 2**20
    with endpoint(OK.replace(b"200 OK", status) + head, piece, 0) as url:
        client = aws.client("s3", url, read_s=5, attempts=1)
        with pytest.raises(AnchorDown, match=f"more than {aws.MOST_BYTES} bytes"):
            aws.call("the bucket", client.list_object_versions, Bucket="my-bucket")


@pytest.mark.parametrize(
    ("first", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"X: ", b"a"),
        (OK + b"Content-Length: 100000\r\n\r\n", b"<"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    ],
    ids=["continue", "header", "body", "chunk size"],
)
@pytest.mark.usefixtures("credentials")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib3 leaves a socket open
def test_an_answer_that_drips_is_given_up(first: bytes, piece: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint(first, piece, 0.02) as url:
        client = aws.client("s3", url, attempts=1)
        monkeypatch.setattr(aws, "CALL_S", 0.5)
        began = time.monotonic()
        with pytest.raises(AnchorDown, match=r"took longer than 0\.5 seconds"):
            aws.call("the bucket", client.list_object_versions, Bucket="my-bucket")
        assert time.monotonic() - began < 5


def test_calls_that_never_end_are_not_heaped_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "CALL_S", 0.02)
    monkeypatch.setattr(aws, "_hanging", [])
    done = threading.Event()
    try:
        for _ in range(aws.MOST_HANGING):
            with pytest.raises(AnchorDown, match="took longer"):
                aws.call("it", done.wait)
        with pytest.raises(AnchorDown, match="still waits for answers"):
            aws.call("it", done.wait)
    finally:
        done.set()
    time.sleep(0.2)
    assert aws.call("it", lambda: 5) == 5
