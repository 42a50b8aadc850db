"""What a hostile endpoint that speaks S3's protocol would have an auditor list: more than there is.
Real servers list what was put into them (test_publish.py)."""

from typing import Any

import pytest

from tests.anchor.tree import ORIGIN
from zk_autograd.anchor import chain
from zk_autograd.anchor.s3 import bucket as bucket_module
from zk_autograd.anchor.s3.bucket import Bucket
from zk_autograd.anchor.s3.receipt import object_key
from zk_autograd.core.errors import AnchorError

pytest.importorskip("botocore", reason="boto3 is not installed: [aws]")


class Endless:
    """Lists another version on each page."""

    def __init__(self, version: int) -> None:
        self._version = version
        self.pages = 0

    def list_object_versions(self, **how: Any) -> dict[str, Any]:
        self.pages += 1
        assert self.pages < 1000, "nothing stopped it"
        key = object_key("", ORIGIN, 0)
        version = f"{self.pages:0{self._version}}"
        return {"Versions": [{"Key": key, "VersionId": version}], "IsTruncated": True, "NextKeyMarker": key}


@pytest.mark.parametrize("version", [1, 500])
def test_a_listing_that_goes_on_for_ever_is_left(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(bucket_module, "MAX_LISTED", 2**16)
    client = Endless(version)
    with pytest.raises(AnchorError, match="lists without an end"):
        chain.read(Bucket(client, "bucket", "", 0, lambda: 0.0), ORIGIN)
    assert client.pages < 400
