"""The layers of PyTorch's modules. A module is recognized by its class and attributes: PyTorch is never imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from pyrnn import layers
from pyrnn.validation import shown

# Modules without weights that are an activation of the same numbers, where their attributes have these values.
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "CELU": ("celu", {"alpha": 1.0}), "GELU": ("gelu", {"approximate": "none"}),
    "Hardshrink": ("hard_shrink", {"lambd": 0.5}), "Hardsigmoid": ("hard_sigmoid", {}), "Hardswish": ("hard_silu", {}),
    "Hardtanh": ("hard_tanh", {"min_val": -1.0, "max_val": 1.0}), "LogSigmoid": ("log_sigmoid", {}),
    "LogSoftmax": ("log_softmax", {"dim": -1}), "Mish": ("mish", {}), "ReLU": ("relu", {}), "ReLU6": ("relu6", {}),
    "SELU": ("selu", {}), "SiLU": ("silu", {}), "Sigmoid": ("sigmoid", {}), "Softmax": ("softmax", {"dim": -1}),
    "Softplus": ("softplus", {"beta": 1.0, "threshold": 20.0}), "Softshrink": ("soft_shrink", {"lambd": 0.5}),
    "Softsign": ("softsign", {}), "Tanh": ("tanh", {}), "Tanhshrink": ("tanh_shrink", {}),
}  # fmt: skip
_ALONG_FEATURES = {"LogSoftmax", "Softmax"}
_MODES = {"RNN_TANH": "tanh", "RNN_RELU": "relu"}
_RECURRENT: dict[str, Callable[..., Any]] = {"RNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}


class Module(NamedTuple):
    """A module of PyTorch with its name in the model, "" for one on its own.

    Args:
        module: The module.
        name: Its name.
    """

    module: Any
    name: str

    @property
    def kind(self) -> str:
        """The name of the class of `torch.nn` that it is of; raises for a class that changes what that computes."""
        cls = type(self.module)
        base = next((each for each in cls.__mro__ if each.__module__.startswith("torch.nn.modules.")), None)
        if base is None or base.__name__ == "Module":
            raise self.cannot("its class is custom: pass chain=, the names of its modules in the order they run")
        if getattr(cls, "forward", None) is not getattr(base, "forward", None):
            raise self.cannot(f"its class defines another forward than {base.__name__}")
        if hasattr(self.module, "parametrizations"):
            raise self.cannot("it has parametrizations: torch.nn.utils.parametrize.remove_parametrizations first")
        if any(vars(self.module).get(hooks) for hooks in ("_forward_hooks", "_forward_pre_hooks")):
            raise self.cannot("it has forward hooks, which would not run")
        return base.__name__

    def cannot(self, reason: str) -> ValueError:
        """The error for a module that has no layer.

        Args:
            reason: The reason.

        Returns:
            The error.
        """
        name = f" {self.name!r}" if self.name else ""
        return ValueError(f"module{name} ({type(self.module).__name__}) cannot be imported: {reason}")

    def require(self, attribute: str, value: Any, reason: str = "") -> None:
        """Raise an error unless an attribute has a value.

        Args:
            attribute: Its name; a module that lacks it, as of an older version, passes.
            value: What it must be.
            reason: What pyrnn lacks.

        Raises:
            ValueError: If it has another value.
        """
        current = getattr(self.module, attribute, value)
        if current != value:
            raise self.cannot(f"{attribute} must be {value!r}, got {shown(current)}{reason and f': {reason}'}")

    @property
    def trains(self) -> bool:
        """Whether its weights train; raises if only some do."""
        flags = {parameter.requires_grad for parameter in self.module.parameters()}
        if len(flags) > 1:
            raise self.cannot("some of its weights train and some do not, which layers.trainable cannot say")
        return flags != {False}

    def child(self, name: str) -> Module:
        """A module in it, by its name, dotted for one further below; raises if there is none."""
        module = self.module
        for part in name.split("."):
            below = dict(module.named_children())
            if part not in below:
                whole = [each for each, _ in self.module.named_modules() if each]
                raise ValueError(f"chain names {name!r}, which the module does not have; it has {shown(whole)}")
            module = below[part]
        return Module(module, f"{self.name}.{name}" if self.name else name)


class Made(NamedTuple):
    """The layers of a module.

    Args:
        layers: Pairs of a layer and the name that its weights have in PyTorch; see `torch_weights`.
        order: The axes that it reads, in addition to the batch: "time", "channels first", "last" for the last one
            whatever comes before it, or "any".
    """

    layers: list[tuple[Any, str]]
    order: str


def _supported(module: Module) -> str:
    """The kind of a module that can be imported."""
    kind = module.kind
    if kind not in _ACTIVATIONS and kind not in _OTHERS and kind.removesuffix("Cell") not in _RECURRENT:
        raise module.cannot(
            "only recurrent modules, Linear, Conv1d, Embedding, BatchNorm1d, LayerNorm, activations, Dropout, Flatten "
            "and Identity can"
        )
    return kind


def made(module: Module, last_only: bool, dtype: str, rank: int) -> Made:
    """Make the layers of a module.

    Args:
        module: The module.
        last_only: Whether a recurrent module's last step is read, not all of them.
        dtype: Dtype of the layers.
        rank: The number of axes of what the module reads, with the batch.

    Returns:
        The layers.

    Raises:
        ValueError: If the module cannot be imported.
    """
    kind, name, options = _supported(module), module.name, {"dtype": dtype}
    if kind in _RECURRENT:
        return Made(_stack(module, kind, last_only, options), "time")
    if kind.removesuffix("Cell") in _RECURRENT:
        return Made([_cell(module, kind.removesuffix("Cell"), last_only, options)], "time")
    if kind in _ACTIVATIONS:
        activation, attributes = _ACTIVATIONS[kind]
        for attribute, value in attributes.items():
            if not (attribute == "dim" and getattr(module.module, "dim", None) == rank - 1):
                module.require(attribute, value, f"the activation {activation!r} has no other")
        layer = layers.Activation(activation, **options)
        return Made([(layer, name)], "last" if kind in _ALONG_FEATURES else "any")
    make, order = _OTHERS[kind]
    if kind == "BatchNorm1d" and rank < 3:
        order = "last"
    if name and module.module.state_dict():  # a module without weights may run twice
        options["name"] = name
    result = make(module, options)
    return Made([(each, name) for each in (result if isinstance(result, list) else [result])], order)


def _options(module: Module, kind: str, options: dict[str, Any]) -> dict[str, Any]:
    result = {**options, "units": module.module.hidden_size, "use_bias": bool(module.module.bias)}
    if kind == "RNN":
        result["activation"] = getattr(module.module, "nonlinearity", None) or _MODES[module.module.mode]
    return result


def _stack(module: Module, kind: str, last_only: bool, options: dict[str, Any]) -> list[tuple[Any, str]]:
    """The layers of an RNN, LSTM or GRU of several layers, with dropout between them."""
    module.require("proj_size", 0, "pyrnn has no LSTM with a projection")
    torch, prefix = module.module, f"{module.name}." if module.name else ""
    result: list[tuple[Any, str]] = []
    for number in range(torch.num_layers):
        sequences = number < torch.num_layers - 1 or not last_only
        name = f"{prefix}l{number}"
        named = {} if torch.bidirectional else {"name": name}
        layer = _RECURRENT[kind](return_sequences=sequences, **named, **_options(module, kind, options))
        result.append((layers.Bidirectional(layer, name=name) if torch.bidirectional else layer, name))
        if torch.dropout and number < torch.num_layers - 1:
            result.append((layers.Dropout(torch.dropout, **options), name))
    return result


def _cell(module: Module, kind: str, last_only: bool, options: dict[str, Any]) -> tuple[Any, str]:
    """The layer that runs a cell over a sequence."""
    name = f"{module.name}.cell" if module.name else "cell"
    options = _options(module, kind, options)
    return _RECURRENT[kind](return_sequences=not last_only, name=name, **options), name


def _linear(module: Module, options: dict[str, Any]) -> Any:
    return layers.Dense(module.module.out_features, use_bias=module.module.bias is not None, **options)


def _conv(module: Module, options: dict[str, Any]) -> Any:
    torch = module.module
    module.require("padding_mode", "zeros")
    (size,), (stride,), (dilation,) = torch.kernel_size, torch.stride, torch.dilation
    if stride > 1 and dilation > 1:
        raise module.cannot(f"stride or dilation must be 1, got {stride} and {dilation}")
    padding = torch.padding if isinstance(torch.padding, str) else "valid"
    amount = 0 if isinstance(torch.padding, str) else torch.padding[0]
    if amount and stride == 1 and 2 * amount == dilation * (size - 1):
        padding, amount = "same", 0
    conv = layers.Conv1D(
        torch.out_channels, size, strides=stride, padding=padding, dilation_rate=dilation, groups=torch.groups,
        use_bias=torch.bias is not None, **options,
    )  # fmt: skip
    return [layers.ZeroPadding1D(amount, dtype=options["dtype"]), conv] if amount else conv


def _embedding(module: Module, options: dict[str, Any]) -> Any:
    module.require("padding_idx", None, "set it to None, then its row trains like the others")
    module.require("max_norm", None, "pyrnn does not renormalize rows")
    module.require("scale_grad_by_freq", False, "pyrnn does not scale gradients by frequency")
    return layers.Embedding(module.module.num_embeddings, module.module.embedding_dim, **options)


def _affine(module: Module, flag: str) -> dict[str, Any]:
    """Whether a normalization has a scale and a bias."""
    has = {"scale": module.module.weight is not None, "center": module.module.bias is not None}
    module.require(flag, has["scale"])
    return {**has, "epsilon": module.module.eps}


def _batch_norm(module: Module, options: dict[str, Any]) -> Any:
    module.require("track_running_stats", True, "without them PyTorch predicts with the moments of the batch")
    if module.module.momentum is None:
        raise module.cannot("momentum must be a number, got None: pyrnn has no cumulative average")
    if not module.trains:
        raise module.cannot("its weights do not train: pyrnn would also stop normalizing by the moments of the batch")
    momentum = 1 - module.module.momentum
    return layers.BatchNormalization(momentum=momentum, **_affine(module, "affine"), **options)


def _layer_norm(module: Module, options: dict[str, Any]) -> Any:
    if len(module.module.normalized_shape) != 1:
        shape = tuple(module.module.normalized_shape)
        raise module.cannot(f"normalized_shape must have one axis, the features, got {shape}")
    return layers.LayerNormalization(**_affine(module, "elementwise_affine"), **options)


def _flatten(module: Module, options: dict[str, Any]) -> Any:
    module.require("start_dim", 1)
    module.require("end_dim", -1)
    return layers.Flatten(**options)


def _dropout(module: Module, options: dict[str, Any]) -> Any:
    return layers.Dropout(module.module.p, **options)


_OTHERS: dict[str, tuple[Callable[[Module, dict[str, Any]], Any], str]] = {
    "BatchNorm1d": (_batch_norm, "channels first"),
    "Conv1d": (_conv, "channels first"),
    "Dropout": (_dropout, "any"),
    "ELU": (lambda module, options: layers.ELU(module.module.alpha, **options), "any"),
    "Embedding": (_embedding, "time"),
    "Flatten": (_flatten, "time"),
    "Identity": (lambda module, options: layers.Identity(**options), "any"),
    "LayerNorm": (_layer_norm, "last"),
    "LeakyReLU": (lambda module, options: layers.LeakyReLU(module.module.negative_slope, **options), "any"),
    "Linear": (_linear, "last"),
}


def features(module: Module) -> Sequence[int | None] | None:
    """The shape of a sample that a module reads, as PyTorch has it; None if its weights do not say."""
    kind = _supported(module)
    if kind in _RECURRENT or kind.removesuffix("Cell") in _RECURRENT:
        return (None, module.module.input_size)
    return {
        "Linear": lambda torch: (torch.in_features,),
        "Conv1d": lambda torch: (torch.in_channels, None),
        "Embedding": lambda torch: (None,),
        "BatchNorm1d": lambda torch: (torch.num_features,),
        "LayerNorm": lambda torch: tuple(torch.normalized_shape),
    }.get(kind, lambda torch: None)(module.module)
