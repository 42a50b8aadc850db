"""A model's graph: of an nn.Sequential, or what torch.fx traces, by a closed registry of layers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from zk_autograd.core.errors import UsageError, VerificationError
from zk_autograd.core.graph import require_acceptable
from zk_autograd.core.graph.acceptance import MAX_INPUTS
from zk_autograd.core.graph.text import MAX_TEXT, encode
from zk_autograd.optim.exact.calls import Call
from zk_autograd.optim.exact.layers import IN_WORDS, LAYERS
from zk_autograd.optim.exact.layers.refused import REASONS
from zk_autograd.optim.exact.losses import LOSSES
from zk_autograd.optim.exact.model_graph import ModelGraph
from zk_autograd.optim.exact.network import Affine, Given, Network, TwoLogits
from zk_autograd.optim.exact.tracing import Node, traced
from zk_autograd.optim.exact.whole import whole


def exact_graph(model: nn.Module, loss: str = "cross-entropy", *, features: int) -> ModelGraph:
    """The graph of `model` on examples of `features` numbers, under a loss of LOSSES:
    "cross-entropy" over two or more classes, "logistic" over two by one logit, "mse", half the
    squared error, over values. Its tensors are in the order of `model.named_parameters()`.

    Forward runs once, on symbols. UsageError, which names the layer, for what has no exact pass.
    """
    if loss not in LOSSES:
        raise UsageError(f"loss is {loss!r}; exact gradients have {', '.join(LOSSES)}")
    whole(features, "features", 1, MAX_INPUTS)
    _require_model(model)
    parameters = _parameters(model)
    network = Network(int(features))
    value = _computed(model, network)
    if isinstance(value, Given):
        raise UsageError(_no_logits(value, network))
    if not isinstance(value, Affine | TwoLogits):
        raise UsageError("forward must give one tensor, which a Linear gives, and the loss takes")
    LOSSES[loss](network, value)
    tensors, layers = network.closed(parameters)
    sources = tuple(parameter for _, parameter in parameters)
    names = tuple(name for name, _ in parameters)
    graph = ModelGraph(tuple(network.units), tuple(tensors), sources, tuple(layers), names, model)
    try:
        require_acceptable(graph, graph.size)
    except VerificationError as error:  # written for a stranger's graph; this one is the caller's own
        raise UsageError(f"{error}: use another model, or --level L1") from error
    if len(encode(graph)) > MAX_TEXT:
        raise UsageError(f"the model has {len(tensors):,} tensors, more than a graph's text holds: use fewer layers")
    return graph


def _require_model(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise UsageError(f"the model is a {type(model).__name__}; give an nn.Module")
    if isinstance(model, DistributedDataParallel | DataParallel):
        raise UsageError(
            f"the model is a {type(model).__name__}, and exact gradients are computed by one process on integers: give model.module, in "
            "one process, or use --level L1"
        )
    if type(model).__name__ == "OptimizedModule" or isinstance(model, torch.jit.ScriptModule):
        raise UsageError("the model was compiled: give exact_graph the nn.Module that it was compiled from")


def _parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """All of them by name. UsageError for one that is frozen, or has two names."""
    found: dict[int, str] = {}
    parameters = []
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if id(parameter) in found:
            raise UsageError(
                f"{name} is the same tensor as {found[id(parameter)]}: at L3 a parameter stands at one place of the pass; give each layer its "
                "own, or use --level L1"
            )
        if not parameter.requires_grad:
            raise UsageError(
                f"{name} is frozen: L3 recomputes passes through trained weights alone; unfreeze it, or use --level L1"
            )
        found[id(parameter)] = name
        parameters.append((name, parameter))
    return parameters


def _computed(model: nn.Module, network: Network) -> object:
    """What forward gives for the features."""
    values: dict[fx.Node, Any] = {}
    modules: Mapping[str, nn.Module] = dict(model.named_modules())
    given = False
    for node in traced(model):
        arguments, keywords = fx.node.map_arg((node.arguments, dict(node.keywords)), values.__getitem__)
        match node.kind:
            case "placeholder" if not given:
                values[node.node], given = network.features, True
            case "placeholder":
                if node.node.users or not (node.arguments or node.target.startswith("*")):
                    raise UsageError(
                        f"forward takes {node.target} beside the features, and an exact pass takes nothing else: leave it out, or use --level L1"
                    )
            case "get_attr":
                values[node.node] = _Attribute(str(node.target))
            case "output":
                return arguments[0]
            case _:
                values[node.node] = _called(node, modules, arguments, keywords, network)
    raise AssertionError("a trace ends with its output")


class _Attribute(str):
    """A tensor of the model that forward uses by itself."""

    __slots__ = ()


def _called(
    node: Node,
    modules: Mapping[str, nn.Module],
    arguments: tuple[Any, ...],
    keywords: Mapping[str, Any],
    network: Network,
) -> object:
    module = None
    if node.kind == "call_module":
        module = modules.get(node.target) or modules[""]  # that, if the model is a single layer
        key: object = type(module)
        name = f"layer {node.target}" if node.target[0].isdecimal() else node.target
        said = f"{name} is a {type(module).__name__}"
    else:
        key = node.target
        name = f"{_name(node.target)} at {node.place}" if node.place else _name(node.target)
        said = f"forward calls {name}"
    layer = LAYERS.get(key)
    if layer is not None:
        if module is not None:
            _require_plain(name, module)
        return layer(Call(name, module, arguments, keywords, network))
    reason = REASONS.get(key) or (
        f"it has no exact pass; exact passes are made of {IN_WORDS}: use these, or --level L1"
    )
    raise UsageError(f"{said}: {reason}")


def _name(target: object) -> str:
    if isinstance(target, str):
        return f".{target}()"
    known = torch.overrides.resolve_name(target) if callable(target) else None
    return str(known or getattr(target, "__name__", target))


def _require_plain(name: str, module: nn.Module) -> None:
    """UsageError for a layer that computes something else than its class says."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    tensors = list(module.parameters(recurse=False))
    if any(hooks) or "forward" in vars(module) or any(tensor._backward_hooks for tensor in tensors):
        raise UsageError(
            f"{name} has a hook, or a forward of its own, which an exact pass doesn't run: remove it, or use --level L1"
        )


def _no_logits(value: Given, network: Network) -> str:
    if value is network.features:
        return "the model gives its features as they are: end it with an nn.Linear"
    return f"the model ends with {value.name}, a ReLU, and the loss takes what a Linear gives: leave it out"
