"""What a subclass may override. A method that Keras calls and pyrnn does not is rejected when the class is created."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

_LOOP = (
    "write the loop with train_on_batch(), test_on_batch() or predict_on_batch(); "
    "pass a custom loss, a function or a Loss, to compile()"
)
_PASS = "override forward_pass(x, *, training=False) and backward_pass(dy)"
_METRICS = "pass Metric objects to compile(metrics=...)"
MODEL = {
    "call": "derive from pyrnn.Model, whose subclasses may define call(x)",
    "__call__": f"fit, evaluate and predict call forward_pass(); {_PASS}",
    "stateless_call": _PASS,
    "symbolic_call": _PASS,
    "compute_output_spec": "override compute_output_shape(input_shape)",
    "compute_mask": "forward_pass() returns the outputs and their mask",
    "layers": "add() and pop() change the layers",
    **dict.fromkeys(("variables", "trainable_variables", "non_trainable_variables"), "weights are those of the layers"),
    **dict.fromkeys(("make_train_function", "make_test_function", "make_predict_function"), _LOOP),
    **dict.fromkeys(("train_function", "test_function", "predict_function"), _LOOP),
    "stateless_compute_loss": "define compute_loss(x, y, y_pred, sample_weight)",
    "add_metric": _METRICS,
    **dict.fromkeys(("losses", "add_loss"), "call add_loss() in a layer, or define compute_loss"),
    "quantize": "there is no quantization",
}
_UPDATE = "define update(values, gradients, learning_rate), in place on flat vectors of all weights"
OPTIMIZER = {
    **dict.fromkeys(("update_step", "apply", "apply_gradients", "stateless_apply", "minimize"), _UPDATE),
    **dict.fromkeys(("get_gradients", "get_updates", "compute_gradients"), _UPDATE),
    **dict.fromkeys(("_resource_apply_dense", "_resource_apply_sparse", "_create_slots"), _UPDATE),
    **dict.fromkeys(("assign", "assign_add", "assign_sub"), _UPDATE),
    **dict.fromkeys(("add_variable", "add_optimizer_variables"), "name the slots in slot_groups()"),
    "scale_loss": "gradients are those of the loss itself; nothing is scaled",
    **dict.fromkeys(("save_own_variables", "load_own_variables"), "files hold the slots that slot_groups() names"),
}
LOSS = {"__call__": "training calls value_and_gradient(); define call(y_true, y_pred) or elements(y_true, y_pred)"}


def hooks_rejected(cls: Any) -> Mapping[str, str]:
    """Return the methods that a subclass of a model must not define, with what to write instead.

    Args:
        cls: the new class.
    """
    return {name: why for name, why in MODEL.items() if name not in cls.runs}


def is_builtin(cls: type) -> bool:
    """Return whether a class belongs to pyrnn."""
    return cls.__module__.partition(".")[0] == "pyrnn"


def is_builtin_function(function: Any) -> bool:
    """Return whether a function belongs to pyrnn."""
    return str(function.__module__).partition(".")[0] == "pyrnn"


def reject(cls: type, hooks: Mapping[str, str]) -> None:
    """Reject a custom class that defines one of `hooks`, itself or in a mixin.

    Args:
        cls: The new class.
        hooks: Names that pyrnn never calls, each with what to write instead.

    Raises:
        TypeError: If one of them is defined.
    """
    for owner in cls.__mro__:
        if not is_builtin(owner) and owner is not object:
            for name, instead in hooks.items():
                # A method of pyrnn in a custom class is one that pyrnn put there.
                if name in vars(owner) and not str(getattr(vars(owner)[name], "__module__", "")).startswith("pyrnn."):
                    raise TypeError(f"{cls.__name__} defines {name}, which pyrnn never calls: {instead}")


def new_in(cls: type, name: str, root: type) -> Any:
    """Return the attribute that a custom class defines, itself or in a mixin; None if it inherits it from a `root`."""
    owner = _owner(cls, name)
    inherits = owner is None or is_builtin(owner) or (owner is not cls and issubclass(owner, root))
    return None if inherits else vars(owner)[name]


def _owner(cls: type, name: str) -> type | None:
    return next((each for each in cls.__mro__ if name in vars(each)), None)


def comes_before(cls: type, name: str, other: str) -> bool:
    """Return whether a class takes `name` from a more derived class than `other`.

    Args:
        cls: a class.
        name: the method that a subclass may define instead of `other`.
        other: a method that the class has if it has `name`.
    """
    owner, owner_of_other = _owner(cls, name), _owner(cls, other)
    if owner is None or owner_of_other is None:
        return False
    return cls.__mro__.index(owner) < cls.__mro__.index(owner_of_other)


def require_partner(cls: type, name: str, partner: str, root: type) -> None:
    """Reject a custom class that overrides `name` but inherits the `partner` of the old one.

    Args:
        cls: The new class.
        name: "forward" or another method.
        partner: "backward" or another method that must fit it.
        root: The base class, whose `partner` does nothing.

    Raises:
        TypeError: If `partner` is inherited from a class above the one that defines `name`.
    """
    owner, other = _owner(cls, name), _owner(cls, partner)
    assert owner is not None and other is not None
    if not is_builtin(owner) and other is not root and cls.__mro__.index(owner) < cls.__mro__.index(other):
        # The class that users import: the one that defines the method may be internal.
        base = next(each for each in cls.__mro__ if each is other or is_builtin(each)).__name__
        raise TypeError(
            f"{cls.__name__} overrides {name} but not {partner}, so {base}.{partner} would give the gradient "
            f"of {base}.{name}: define {partner} as well, or write {partner} = {base}.{partner} "
            "in the class if it is still right"
        )


def require_defined(cls: type, name: str, partner: str, root: type) -> None:
    """Reject a custom class that defines `name` without any `partner`.

    Raises:
        TypeError: If its `partner` is that of `root`, which is not implemented.
    """
    if new_in(cls, name, root) is not None and _owner(cls, partner) is root:
        raise TypeError(f"{cls.__name__} defines {name} but not {partner}, which training needs as well")


def join(cls: type, *names: str) -> None:
    """Give a method that a custom class overrides under one of several names the other names too."""
    overridden = [name for name in names if name in vars(cls)]
    if overridden and not is_builtin(cls):
        for name in names:
            if name not in overridden:
                setattr(cls, name, vars(cls)[overridden[0]])


def mark_graphs(cls: Any) -> None:
    """Record that a model of this class has a graph, so that its base must stay `Functional`."""
    for each in cls.__mro__:
        if not is_builtin(each) and each is not object and "_has_graphs" not in vars(each):
            each._has_graphs = True


def base_of(cls: type, root: type) -> Any:
    """Return the class of pyrnn, derived from `root`, that a custom class derives from."""
    return next(each for each in cls.__mro__ if is_builtin(each) and issubclass(each, root))


def takes_graph(cls: Any) -> bool:
    """Return whether the constructor of a model takes inputs and outputs, or passes on all arguments.

    Args:
        cls: a class derived from `Model`.
    """
    parameters = inspect.signature(cls.__init__).parameters
    kinds = {each.kind for each in parameters.values()}
    passes_all = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD} <= kinds
    return passes_all or {"inputs", "outputs"} <= set(parameters)
