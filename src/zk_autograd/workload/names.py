"""The names of models and data sets, apart from what they name: a command's help must not wait for torch."""

from enum import StrEnum


class ModelName(StrEnum):
    """The models."""

    LOGISTIC = "logistic"
    SOFTMAX = "softmax"
    MLP = "mlp"


class DataName(StrEnum):
    """The data sets."""

    BREAST_CANCER = "breast-cancer"
    DIGITS = "digits"
