"""Lambda: a user's NumPy function as a layer."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pyrnn import registry
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.validation import lookup


def _described(argument: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Keras's description of a named function that is registered or importable by name."""
    name = registry.get_registered_name(function)
    if name == "<lambda>":
        raise ValueError(f"{argument} of Lambda is a lambda, which no file can hold safely: give a named function")
    return {"module": "builtins", "class_name": "function", "config": name, "registered_name": "function"}


def _found(argument: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    if value.get("class_name") != "function":
        raise ValueError(f"{argument} of Lambda is code in this file, which is never run: name it in custom_objects")
    return lookup("function", value["config"], registry.get_custom_objects())


class Lambda(Layer):
    """function(x) as a layer without weights, written in NumPy.

    Args:
        function: of x, and of `training` and `mask` where it names them.
        output_shape: of one sample, or a function of the input shape; found by trying unless given.
        mask: the mask handed on, or a function of (x, mask).
        arguments: further keyword arguments of `function`.
        gradient: gradient(x, y, dy) -> dx, which training through this layer needs, since nothing is differentiated
            automatically.

    Raises:
        ValueError: at the backward pass, if a gradient is needed and none was given.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        gradient: Callable[[Array, Array, Array], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise TypeError(f"function of Lambda must be callable, got {function!r}")
        self.function, self.output_shape, self.mask, self.gradient = function, output_shape, mask, gradient
        self.arguments = dict(arguments or {})
        self.supports_masking = mask is not None
        self._wants = [name for name in ("training", "mask") if name in inspect.signature(function).parameters]
        self._saved: tuple[Array, Array] | None = None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if callable(self.output_shape):
            return tuple(self.output_shape(input_shape))
        if self.output_shape is not None:
            return (input_shape[0], *self.output_shape)
        # Sizes that are not known are tried twice: where the results differ, the size follows the input's.
        tried = []
        for size in (2, 3):
            x = np.ones([size if known is None else known for known in input_shape], self.dtype)
            tried.append(np.shape(self._run(x, False, None)))
        return tuple(one if one == other else None for one, other in zip(*tried, strict=True))

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Array | None:
        if self.mask is None:
            return super().compute_mask(x, mask)
        found: Array | None = self.mask(x, mask) if callable(self.mask) else self.mask
        return found

    def _run(self, x: Array, training: bool, mask: Array | None) -> Array:
        given = {"training": training, "mask": mask}
        result = self.function(x, **self.arguments, **{name: given[name] for name in self._wants})
        return np.ascontiguousarray(result, self.dtype)

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None) -> Array:
        y = self._run(x, training, mask)
        if training:
            self._saved = (x, y)
        return y

    def backward(self, dy: Array, *, need_dx: bool = True) -> Array | None:
        if not need_dx:
            return None
        if self.gradient is None:
            raise ValueError(
                f"layer {self.name!r} (Lambda) needs gradient=, a function of (x, y, dy) that returns dx, "
                "to train the layers below it"
            )
        assert self._saved is not None, "backward() follows forward(training=True)"
        return np.ascontiguousarray(self.gradient(*self._saved, dy), dy.dtype)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "function": _described("function", self.function)}
        for name in ("output_shape", "mask", "gradient"):
            value = getattr(self, name)
            if value is not None:
                config[name] = _described(name, value) if callable(value) else value
        return {**config, "arguments": self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Lambda:
        settings = dict(config)
        for name in ("function", "output_shape", "mask", "gradient"):
            if name in settings:
                settings[name] = _found(name, settings[name])
        return cls(**settings)
