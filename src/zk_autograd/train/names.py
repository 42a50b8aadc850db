"""Names of models and data sets, without what they name: a help text must not wait for torch."""

from dataclasses import dataclass
from enum import StrEnum

from zk_autograd.core.errors import UsageError
from zk_autograd.core.text import has_control, nearest, quoted
from zk_autograd.local.csv_name import CSV, CsvFile
from zk_autograd.local.own_folders import expanded

_MAX_TEXT = 4096


class ModelName(StrEnum):
    """The models that are built in."""

    LOGISTIC = "logistic"
    SOFTMAX = "softmax"
    MLP = "mlp"


class DataName(StrEnum):
    """The data sets that ship with scikit-learn."""

    BREAST_CANCER = "breast-cancer"
    DIGITS = "digits"


@dataclass(frozen=True, slots=True)
class Factory:
    """A user's callable that makes a model: attribute `name` of `module`, which Python finds in the
    current folder or on PYTHONPATH."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


ModelSource = ModelName | Factory
DataSource = DataName | CsvFile


def model_called(text: str, where: str = "--model") -> ModelSource:
    """The model that `text` names. UsageError, which begins with `where`, if it names none."""
    module, colon, name = text.partition(":")
    if colon:
        if all(part.isidentifier() for part in (*module.split("."), name)):
            return Factory(module, name)
        raise UsageError(
            f"{where} is {shown(text)}; your own model is MODULE:FACTORY, such as mymodels:small_net for the function small_net of "
            "mymodels.py"
        )
    try:
        return ModelName(text)
    except ValueError:
        known = f"{', '.join(ModelName)}, or MODULE:FACTORY for your own"
        raise UsageError(f"{where} is {shown(text)}; it must be one of {known}{nearest(text, ModelName)}") from None


def code_called(text: str, where: str) -> Factory:
    """The code that `text` names. UsageError, which begins with `where`, if it names none."""
    source = model_called(text, where)
    if not isinstance(source, Factory):
        raise UsageError(f"{where} is {source}, a built-in model; it must be MODULE:FACTORY, as the run names it")
    return source


def data_called(text: str, label: str = "", where: str = "--data") -> DataSource:
    """The data set that `text` names. UsageError, which begins with `where`, if it names none."""
    if text.startswith(CSV):
        path = text.removeprefix(CSV)
        if not path or len(path) > _MAX_TEXT or has_control(path) or any("\ud800" <= c <= "\udfff" for c in path):
            raise UsageError(
                f"{where} is {shown(text)}; after {CSV} it needs the path of a table, such as csv:houses.csv"
            )
        return CsvFile(expanded(path), label)
    try:
        name = DataName(text)
    except ValueError:
        known = f"{', '.join(DataName)}, or csv:PATH for your own table"
        raise UsageError(f"{where} is {shown(text)}; it must be one of {known}{nearest(text, DataName)}") from None
    if label:
        raise UsageError(f"{where} is {name}, whose classes are known; a label is only for csv:PATH")
    return name


def shown(text: str) -> str:
    """A text that somebody typed, or a run contains, for a message: as it is if it is one printable
    word; long ones are cut."""
    return text[:80] if text and text.isascii() and text.isprintable() and " " not in text else quoted(text, 80)
