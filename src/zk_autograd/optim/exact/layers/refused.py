"""What has no exact pass, and why, where there is more to say than that."""

import operator

import torch
from torch import nn

_STATISTICS = (
    "its statistics join the examples of a batch, and L3 recomputes each example by itself; leave it out, or --level L1"
)
_LOGITS = "the loss takes logits, and has it built in; leave it out"
_MASK = "its mask would be the trainer's choice; leave it out, or --level L1"
_FLAT = "examples are flat rows of numbers; leave it out, or use torch.flatten(x, 1)"
_BARE = "it is called on parameters by themselves; use an nn.Linear"
_LAZY = "it has no shape yet; run the model once before"

REASONS: dict[object, str] = {
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm), _STATISTICS),
    **dict.fromkeys((nn.functional.batch_norm,), _STATISTICS),
    **dict.fromkeys((nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid), _LOGITS),
    **dict.fromkeys((torch.softmax, torch.log_softmax, torch.sigmoid), _LOGITS),
    **dict.fromkeys((nn.functional.softmax, nn.functional.log_softmax, nn.functional.logsigmoid), _LOGITS),
    **dict.fromkeys(("softmax", "log_softmax", "sigmoid"), _LOGITS),
    **dict.fromkeys((nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d), _MASK),
    **dict.fromkeys((nn.RReLU,), _MASK),
    **dict.fromkeys(("view", "reshape", "size", "unsqueeze", "squeeze", getattr, torch.reshape), _FLAT),
    **dict.fromkeys((nn.Unflatten, operator.getitem), _FLAT),
    **dict.fromkeys((nn.functional.linear, torch.matmul, operator.matmul), _BARE),
    **dict.fromkeys((nn.LazyLinear,), _LAZY),
}
