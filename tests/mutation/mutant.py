"""A mutant: one place of one file, what stands there instead, and the commands that must notice."""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Mutant:
    """`start` and `end` are characters of the file at `path`, in whose place `text` stands.
    `commands` are run one after the other, from the checkout's top, until one fails; where `build`
    fails, there is no mutant."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    text: str
    original: str
    commands: tuple[tuple[str, ...], ...]
    build: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Where it is, and what it does; another one's if the file's text there is another."""
        digest = sha256(f"{self.start} {self.original}".encode()).hexdigest()[:8]
        return f"{self.path}:{self.line} {self.kind} {digest} -> {' '.join(self.text.split())[:60]}"

    def changed(self, source: str) -> str:
        """The file's text with the mutant in it. ValueError if it is of another text."""
        if source[self.start : self.end] != self.original:
            raise ValueError(f"{self.path} has changed")
        return source[: self.start] + self.text + source[self.end :]
