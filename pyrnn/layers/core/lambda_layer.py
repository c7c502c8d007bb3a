"""Lambda: a NumPy function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np

from pyrnn import registry, rules
from pyrnn.arguments import checked
from pyrnn.function_rules import Function, takes
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.settings import standard_shape
from pyrnn.losses.differentiation import traceable
from pyrnn.ops.differentiation import differentiate
from pyrnn.ops.dispatch import traced_numpy
from pyrnn.rules import Dict, Either, Unchecked
from pyrnn.validation import WrongType, shown

__all__ = ["Lambda"]


def _takes(function: Callable[..., Any], argument: str) -> bool:
    try:
        return argument in inspect.signature(function).parameters
    except (TypeError, ValueError):  # compiled functions may have no signature
        return False


def _check_signature(argument: str, function: Any, arrays: Sequence[str], named: Iterable[str]) -> None:
    if not (callable(function) and takes(function, len(arrays), named)):
        raise WrongType(f"{argument} must be a function of ({', '.join([*arrays, *named])}), got {shown(function)}")


class Lambda(Layer):
    """Apply a function to arrays: y = function(x, **arguments).

    If layers before this one are trained, autograd differentiates the function, which is made of NumPy's functions and
    `pyrnn.ops`; or `gradient(x, y, dy, **arguments)` returns dx. A function may carry it as its attribute `gradient`,
    which is then also found again when the model is loaded.

    Args:
        function: function of x (B, ...) that returns an array (B, ...). It is called with `mask=` and `training=` if
            its signature has these names.
        output_shape: shape of the output without the batch axis, or a function of the input shape; None means that a
            trial run on zeros finds it.
        mask: mask of the output, an array or a function of (x, mask), or None.
        arguments: dict of keyword arguments for `function`.
        gradient: function of (x, y, dy) that returns dx, or None.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if an argument is not such a function, or the result does not have the batch axis of x.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> square = layers.Lambda(lambda x: x**2, gradient=lambda x, y, dy: 2 * x * dy)
        >>> square(np.array([[1.0, 3.0]]))
        array([[1., 9.]], dtype=float32)
    """

    makes_mask = True  # if mask is given
    call_order = ("mask",)
    not_streamed = "its function may look at all steps; TimeDistributed(Lambda(...)) runs it on each step"

    @checked
    def __init__(
        self,
        function: Annotated[Callable[..., Any], Unchecked(allowed="function")],
        output_shape: Annotated[Any, Unchecked(allowed="list function")] | None = None,
        mask: Annotated[Any, Either(rules.Numbers(), Function(0, 2))] | None = None,
        arguments: Annotated[Mapping[str, Any], Dict()] | None = None,
        gradient: Annotated[Callable[..., Any], Unchecked(allowed="function")] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(function, Layer):
            raise WrongType(f"function must be a function of an array; add {shown(function)} itself to the model")
        self.function = function
        self.arguments = dict(arguments or {})
        self._gradient = gradient
        self.mask = mask
        self.supports_masking = mask is not None
        self.output_shape = (
            output_shape if output_shape is None or callable(output_shape)
            else standard_shape("output_shape", output_shape)
        )  # fmt: skip
        self._expected = [name for name in ("mask", "training") if _takes(function, name)]
        _check_signature("function", function, ("x",), [*self.arguments, *self._expected])
        if gradient is not None:
            _check_signature("gradient", gradient, ("x", "y", "dy"), self.arguments)

    @property
    def gradient(self) -> Callable[..., Any] | None:
        """The function that gives dx: the argument, or the attribute of that name of `function`."""
        return self._gradient or getattr(self.function, "gradient", None)

    def _run(self, x: Array, mask: Array | None, training: bool) -> Array:
        extra = {name: value for name, value in (("mask", mask), ("training", training)) if name in self._expected}
        return custom.converted(self, "function", custom.run(self, self.function, x, **self.arguments, **extra))

    def compute_output_shape(self, input_shape: Shape) -> Any:
        if callable(self.output_shape):
            return tuple(self.output_shape(tuple(input_shape)))
        if self.output_shape is not None:
            return (input_shape[0], *self.output_shape)
        return custom.trial_shape(self, lambda x: self._run(x, None, False), input_shape, "give Lambda an output_shape")

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        if self.mask is None:
            return super().compute_mask(x, mask)
        output_mask = self.mask(x, mask) if callable(self.mask) else self.mask
        return None if output_mask is None else np.ascontiguousarray(output_mask, dtype=bool)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        y = self._run(x, mask, training)
        if y.shape[:1] != x.shape[:1]:
            raise ValueError(
                f"function of layer {self.name!r} must return {len(x)} rows, as x has, got shape {y.shape}"
            )
        if training:
            extra = {"mask": mask, "training": training}
            self._tape.append((x, y, {name: extra[name] for name in self._expected}))
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        x, y, extra = self._take_saved()
        if not need_dx:
            return None
        if self.gradient is None:
            run = traceable(self.function, traced_numpy())
            arguments = {**self.arguments, **extra}
            owner = f"layer {self.name!r}, a Lambda without gradient=,"
            slope = differentiate(lambda traced: run(traced, **arguments), [x], owner).backward([dy])[0]
            return np.zeros_like(x) if slope is None else slope
        dx = custom.converted(self, "gradient", custom.run(self, self.gradient, x, y, dy, **self.arguments))
        if dx.shape != x.shape:
            raise ValueError(f"gradient of layer {self.name!r} must have the shape of x, {x.shape}, got {dx.shape}")
        return dx

    def _described(self, name: str, value: Any) -> Any:
        where = f"{name} of layer {self.name!r}"
        return registry.describe_callable(value, where) if callable(value) else registry.plain(value, where)

    def get_config(self) -> dict[str, Any]:
        function, gradient, output_shape, mask, arguments = (
            self._described(name, value)
            for name, value in (
                ("function", self.function), ("gradient", self._gradient), ("output_shape", self.output_shape),
                ("mask", self.mask), ("arguments", self.arguments),
            )
        )  # fmt: skip
        if gradient is not None:  # within the function's description, where Keras passes over it
            function = {**function, "gradient": gradient}
        config = {**super().get_config(), "function": function}
        optional = {"output_shape": output_shape, "mask": mask}
        return {
            **config,
            **{name: value for name, value in optional.items() if value is not None},
            "arguments": arguments,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Lambda:
        """Create a layer from the result of `get_config()`.

        Args:
            config: the dict; functions are stored by name.
            custom_objects: dict from names to functions, or None for registered ones only.

        Returns:
            A new layer.

        Raises:
            ValueError: if a function is not registered under its name, or was stored as code.
        """
        settings = dict(config)
        function = settings.get("function")
        if isinstance(function, Mapping) and "gradient" in function:
            settings["gradient"] = function["gradient"]
        with registry.custom_object_scope(custom_objects):
            for argument in ("function", "gradient", "output_shape", "mask", "arguments"):
                if argument in settings:
                    settings[argument] = registry.with_objects(settings[argument], f"{argument} of this Lambda")
        return cls(**settings)
