"""S3 servers: moto behind a proxy that keeps locks as S3 does, and versitygw as it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from tests.anchor.components import AWS_ENVIRONMENT, aws_credentials, moto_server, versitygw
from tests.anchor.proxy import Act, Proxy, Reply, Request, proxy
from zk_autograd.anchor import aws
from zk_autograd.anchor.s3.publish import S3Anchor

__all__ = ["aws_credentials"]

_NUMBERS = count()


@dataclass(slots=True)
class Server:
    """An S3 server behind a proxy, with the bucket `bucket`, which has Object Lock; `honest` is
    what the proxy does in front of it when it does no harm."""

    proxy: Proxy
    honest: Callable[[Request], Act]
    client: Any
    impatient_client: Any
    bucket: str = ""

    def anchor(self, prefix: str = "", retain_s: int = 600) -> S3Anchor:
        """A publisher that hasn't probed the bucket yet."""
        return S3Anchor(self.bucket, prefix, self.proxy.url, retain_s, client=self.client)

    def impatient(self) -> S3Anchor:
        """One whose client neither waits for long nor tries again by itself."""
        return S3Anchor(self.bucket, "", self.proxy.url, 600, client=self.impatient_client)

    def calm(self) -> None:
        self.proxy.calm()
        self.proxy.before = self.honest

    def versions(self) -> list[str]:
        """The keys of all versions outside of the probes, one for each."""
        found = self.client.list_object_versions(Bucket=self.bucket).get("Versions", [])
        return [one["Key"] for one in found if "probe/" not in one["Key"]]


def keeps_locks(request: Request) -> Act:
    """moto lets a lock be shortened, S3 doesn't: nobody here asks for a longer one."""
    if request.method == "PUT" and "retention" in request.path:
        return s3_error(403, "AccessDenied")
    return None


def s3_error(status: int, code: str) -> Reply:
    body = f"<Error><Code>{code}</Code><Message>Please don't.</Message></Error>"
    return Reply(status, {"Content-Type": "application/xml"}, body.encode())


@pytest.fixture(scope="session")
def moto(aws_credentials: None) -> Iterator[Server]:
    with moto_server() as port, proxy(port) as running:
        yield _server(running, keeps_locks)


@pytest.fixture(scope="session")
def versity(aws_credentials: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    key, secret = AWS_ENVIRONMENT["AWS_ACCESS_KEY_ID"], AWS_ENVIRONMENT["AWS_SECRET_ACCESS_KEY"]
    with versitygw(tmp_path_factory.mktemp("versitygw"), key, secret) as port, proxy(port) as running:
        yield _server(running, lambda request: None)


def _server(running: Proxy, honest: Callable[[Request], Act]) -> Server:
    return Server(running, honest, aws.client("s3", running.url), aws.client("s3", running.url, 0.5, 1))


def _with_bucket(server: Server) -> Server:
    server.calm()
    server.bucket = f"anchor-{next(_NUMBERS)}"
    server.client.create_bucket(Bucket=server.bucket, ObjectLockEnabledForBucket=True)
    server.calm()
    return server


@pytest.fixture(params=["moto", pytest.param("versity", marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest) -> Server:
    """An honest server, with a new bucket."""
    return _with_bucket(request.getfixturevalue(request.param))


@pytest.fixture
def malleable(moto: Server) -> Server:
    """An honest server that checks no signature, so that the proxy can change requests."""
    return _with_bucket(moto)
