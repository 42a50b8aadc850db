"""The model that an auditor names to have gradients computed again: a built-in one, or FILE:NAME, a
callable in a file of theirs. The file's bytes are read once; only those are compared with the
header, and only those are run."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from zk_autograd.core.errors import UsageError
from zk_autograd.local.named_files import read_named
from zk_autograd.train.names import ModelName, shown

MAX_CODE = 2**24


@dataclass(frozen=True, slots=True)
class NamedModel:
    """`name` of a built-in model, where `file` is "", or of a callable in the `code` of a file."""

    name: str
    file: str = ""
    code: bytes = field(default=b"", repr=False)

    @classmethod
    def read(cls, text: str) -> "NamedModel":
        """The model that `text` names. UsageError for a text that names none, or a file that isn't
        one; StorageError where the system refuses."""
        if text in [model.value for model in ModelName]:
            return cls(text)
        file, colon, name = text.rpartition(":")
        if not colon or not file or not name.isidentifier():
            raise UsageError(
                f"--model is {shown(text)}; it must be one of {', '.join(ModelName)}, or FILE:NAME for a callable NAME in the Python file FILE"
            )
        return cls(name, file, read_named(Path(file), "--model", MAX_CODE))

    def is_code(self, digest: bytes) -> bool:
        """Whether a header's `digest` is that of the code."""
        if self.file:
            return sha256(self.code).digest() == digest
        from zk_autograd.train import models  # torch

        return models.is_code(ModelName(self.name), digest)

    @property
    def digest(self) -> str:
        """SHA-256 of the code, in hexadecimal."""
        if self.file:
            return sha256(self.code).hexdigest()
        from zk_autograd.train import models

        return models.code_digest(ModelName(self.name)).hex()

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.name}" if self.file else f"{self.name}, built in"
