"""Clients of S3 and DynamoDB: what is said where they can't be had, and what no log shows."""

import logging
import os
import sys
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
