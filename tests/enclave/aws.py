"""Clients of AWS KMS in tests: nothing of this machine's configuration."""

import os
from functools import cache
from typing import Any

import pytest

from zk_autograd.vault.holder.kms import client


def configure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that nobody checks, and no other configuration; nothing is waited for."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@cache
def kms_client(endpoint: str) -> Any:
    """boto3's client, at a server of the test's own; each takes a third of a second to make."""
    return client("us-east-1", endpoint)
