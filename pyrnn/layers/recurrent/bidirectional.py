"""Bidirectional: two recurrent layers over the same sequence, one from either end."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import numpy as np

from pyrnn import backend, registry, rules
from pyrnn.arguments import checked
from pyrnn.layers import custom
from pyrnn.layers.base import Array, Layer, Shape
from pyrnn.layers.recurrent.base import Recurrent
from pyrnn.layers.recurrent.rnn import RNN
from pyrnn.layers.serialization import layer_of, serialize_inner
from pyrnn.rules import Either, ListOf, Unchecked
from pyrnn.typing import Text
from pyrnn.validation import WrongType, shown, unknown_name

__all__ = ["Bidirectional"]

MERGE_MODES = ("sum", "mul", "ave", "concat", None)
# Up to this batch size the kernel runs a sequence on one thread, so a second thread can run the other direction. That
# pays from this many multiply-adds on, since handing the work over takes about 50 microseconds.
_SMALL_BATCH, _MUCH_WORK = 16, 20_000_000

_second: ThreadPoolExecutor | None = None


def _forget_second() -> None:
    global _second
    _second = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_second)


def _both(batch: int, work: int, forward: Callable[[], Any], backward: Callable[[], Any]) -> tuple[Any, Any]:
    """Return the results of both calls, `work` multiply-adds each, in parallel if the kernel leaves a thread free."""
    global _second
    if batch > _SMALL_BATCH or work < _MUCH_WORK or backend.get_num_threads() < 2:
        return forward(), backward()
    pool = _second  # if two threads create one at once, each uses its own in this call
    if pool is None:
        pool = _second = ThreadPoolExecutor(1, thread_name_prefix="pyrnn-bidirectional")
    pending = pool.submit(backward)
    try:
        first = forward()
    finally:
        second = pending.result()
    return first, second


class Bidirectional(Layer):
    """Run a recurrent layer over the sequence in both directions and merge the outputs.

    Calls accept `mask` (B, T) and `initial_state`, the states of the forward layer and then those of the backward
    layer.

    Args:
        layer: a recurrent layer; a copy of it with the opposite `go_backwards` is the backward layer.
        merge_mode: "concat" (B, ..., 2 * units), "sum", "mul", "ave", or None for a list of both outputs.
        weights: initial weights of both layers, as `get_weights()` returns them, or None.
        backward_layer: the layer of the other direction, or None for a copy of `layer`.
        **kwargs: `name`, `trainable`, `dtype` and the input shape; see `Layer`.

    Raises:
        TypeError, ValueError: if `layer` is not a recurrent layer, or the two layers do not match.

    Example:
        >>> import numpy as np
        >>> from pyrnn import layers
        >>> layers.Bidirectional(layers.LSTM(4, return_sequences=True))(np.zeros((2, 10, 3))).shape
        (2, 10, 8)

    Source: Schuster and Paliwal 1997, Bidirectional recurrent neural networks.
    """

    axes: tuple[str, ...] = ("batch", "time", "features")
    fixes_features = True
    supports_masking = True
    call_order = ("initial_state", "mask")
    never_called = custom.NEVER_CALLED_RECURRENT
    not_streamed = "it reads the sequence from its end as well"

    @checked
    def __init__(
        self,
        layer: Annotated[Recurrent | RNN, Unchecked()],
        merge_mode: Text | None = "concat",
        weights: Annotated[Any, Either(ListOf(rules.Numbers()), rules.Numbers())] | None = None,
        backward_layer: Annotated[Recurrent | RNN, Unchecked()] | None = None,
        **kwargs: Any,
    ) -> None:
        for argument, direction in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(direction, Recurrent | RNN) and not (direction is None and argument == "backward_layer"):
                raise ValueError(f"{argument} of Bidirectional must be a recurrent layer, got {shown(direction)}")
            if direction is not None and direction.activity_regularizer is not None:
                raise ValueError(f"pass activity_regularizer to Bidirectional, not to its {argument}")
        if merge_mode not in MERGE_MODES:
            raise ValueError(unknown_name("merge_mode", merge_mode, [str(mode) for mode in MERGE_MODES]))
        kwargs.setdefault("dtype", layer.dtype)
        if layer.declared_shape is not None:
            kwargs.setdefault("batch_shape", layer.declared_shape)
        super().__init__(**kwargs)
        self.axes = layer.axes
        self.forward_layer = self._copy(layer, "forward_")
        if backward_layer is None:
            backward_layer = self._copy(layer, "backward_", go_backwards=True)
        self.backward_layer = backward_layer
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise ValueError(
                f"layer and backward_layer must differ in go_backwards, got {self.backward_layer.go_backwards} for both"
            )
        for option in ("stateful", "return_sequences", "return_state", "units", "dtype"):
            values = [getattr(each, option) for each in self._directions]
            if values[0] != values[1]:
                raise ValueError(f"layer and backward_layer must agree in {option}, got {values[0]} and {values[1]}")
        for each in self._directions:
            each.zero_output_for_mask = each.return_sequences
        self.merge_mode = merge_mode
        self._initial_weights = weights
        if not self._trainable:
            self.trainable = False

    @staticmethod
    def _copy(layer: Recurrent | RNN, prefix: str, **changes: Any) -> Recurrent | RNN:
        name = prefix + layer.name.removeprefix(prefix)
        with registry.living_objects() as objects:  # custom cells need no registration
            config = layer.get_config()
        with registry.custom_object_scope(objects):
            copy = type(layer).from_config({**config, "name": name, **changes})
        assert isinstance(copy, Recurrent | RNN)
        return copy

    @property
    def _directions(self) -> tuple[Recurrent | RNN, Recurrent | RNN]:
        return self.forward_layer, self.backward_layer

    @property
    def stateful(self) -> bool:
        """Whether both directions keep their states from batch to batch."""
        return self.forward_layer.stateful

    @property
    def return_sequences(self) -> bool:
        """Whether both directions give the outputs of all steps."""
        return self.forward_layer.return_sequences

    @property
    def return_state(self) -> bool:
        """Whether the states of both directions follow the output."""
        return self.forward_layer.return_state

    @property
    def states(self) -> tuple[Array, ...] | None:
        """Kept states of a stateful layer, those of the forward direction first."""
        forward, backward = (each.states for each in self._directions)
        return None if forward is None or backward is None else (*forward, *backward)

    def children(self) -> list[tuple[str, Layer]]:
        return self._with_assigned([("forward_layer", self.forward_layer), ("backward_layer", self.backward_layer)])

    def build(self, input_shape: Shape) -> None:
        for each in self._directions:
            each.build(input_shape)
            for weight in each.weights:
                weight.path = f"{self.name}/{weight.path}"
        in_python = any(each.runs_in_python for each in self._directions)  # which threads do not speed up
        self._multiply_adds = 0 if in_python else self.forward_layer.count_params()
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)

    def reset_state(self, states: Any = None) -> None:
        """Set the states of a stateful layer.

        Args:
            states: those of the forward direction, then those of the other one; None sets zeros.

        Raises:
            ValueError, TypeError: if they do not fit, or the layer keeps none; nothing has changed then.
        """
        if states is None:
            for each in self._directions:
                each.reset_state()
            return
        if self.states is None:
            raise ValueError(f"layer {self.name!r} keeps no states: it must have stateful=True and be built")
        arrays = self.checked_states(states, self.states[0], "states")
        half = len(arrays) // 2
        self.forward_layer.reset_state(arrays[:half])
        self.backward_layer.reset_state(arrays[half:])

    reset_states = reset_state

    def compute_output_shape(self, input_shape: Shape) -> Any:
        shape = self.forward_layer.compute_output_shape(input_shape)
        output, states = (shape[0], shape[1:]) if self.return_state else (shape, ())
        if self.merge_mode is None:
            return (output, output, *states, *states)
        if self.merge_mode == "concat":
            output = (*output[:-1], 2 * output[-1])
        return (output, *states, *states) if self.return_state else output

    def compute_mask(self, x: Array | None, mask: Array | None = None) -> Any:
        output = mask if self.return_sequences else None
        outputs = [output, output] if self.merge_mode is None else [output]
        if self.return_state:
            outputs += [None] * (2 * self.forward_layer.state_count)
        return outputs if len(outputs) > 1 else output

    def forward(self, x: Array, *, training: bool = False, mask: Array | None = None, initial_state: Any = None) -> Any:
        """Run both directions and merge the outputs. With `training`, save what `backward` needs.

        Args:
            x: input (B, T, F).
            training: whether the pass is part of a training step.
            mask: mask (B, T), True for the steps that count, or None.
            initial_state: arrays (B, units), the states of the forward layer first, or None.

        Returns:
            The merged output; with `return_state` or `merge_mode` None, a tuple that starts with the output(s).
        """
        half = None if initial_state is None else len(initial_state) // 2
        starts = (None, None) if half is None else (initial_state[:half], initial_state[half:])

        def run(layer: Recurrent | RNN, start: Any) -> Any:
            return layer.forward(x, training=training, mask=mask, initial_state=start)

        work = len(x) * x.shape[1] * self._multiply_adds
        forward, backward = _both(
            len(x), work, lambda: run(self.forward_layer, starts[0]), lambda: run(self.backward_layer, starts[1])
        )
        states: tuple[Array, ...] = ()
        if self.return_state:
            states = (*forward[1:], *backward[1:])
            forward, backward = forward[0], backward[0]
        if self.return_sequences:
            backward = backward[:, ::-1]
        if training:
            self._tape.append((forward, backward, work))
        if self.merge_mode is None:
            return (forward, np.ascontiguousarray(backward), *states)
        if self.merge_mode == "concat":
            output = np.concatenate([forward, backward], axis=-1)
        elif self.merge_mode == "mul":
            output = forward * backward
        else:
            output = forward + backward
            if self.merge_mode == "ave":
                output /= 2
        return (output, *states) if self.return_state else output

    def backward(self, dy: Array | None, *more: Any, need_dx: bool = True) -> Any:
        """Write the gradients of the weights.

        Args:
            dy: the gradient by the output; with `merge_mode` None by that of the forward direction, or by both, a pair.
                None is 0.
            *more: the gradients by the other outputs: with `merge_mode` None by that of the other direction, then, with
                `return_state`, by the final states, those of the forward direction first; None is 0.
            need_dx: whether the gradient by x is needed.

        Returns:
            dx, None unless `need_dx`; for a pass that started from an `initial_state` a tuple of dx and the gradient by
            each of these states.
        """
        forward, backward, work = self._take_saved()
        units = self.forward_layer.units
        parts: tuple[Array | None, Array | None]
        if self.merge_mode is None:
            both: Any = (dy, more[0]) if more else dy
            parts, more = (both[0], both[1]), more[1:]
        elif dy is None:
            parts = None, None
        elif self.merge_mode == "concat":
            parts = dy[..., :units], dy[..., units:]
        elif self.merge_mode == "mul":
            parts = dy * backward, dy * forward
        else:
            half = dy / 2 if self.merge_mode == "ave" else dy
            parts = half, half
        d_forward, d_backward = parts
        if d_backward is not None and self.return_sequences:
            d_backward = d_backward[:, ::-1]
        d_forward, d_backward = (
            None if each is None else np.ascontiguousarray(each) for each in (d_forward, d_backward)
        )
        count = len(more) // 2
        gradients = _both(
            len(forward),
            work,
            lambda: self.forward_layer.backward(d_forward, *more[:count], need_dx=need_dx),
            lambda: self.backward_layer.backward(d_backward, *more[count:], need_dx=need_dx),
        )
        (first, *d_first), (second, *d_second) = (each if isinstance(each, tuple) else (each,) for each in gradients)
        dx = first + second if need_dx else None
        return (dx, *d_first, *d_second) if d_first else dx

    def checked_states(self, states: Any, x: Array, argument: str = "initial_state") -> list[Array]:
        """Initial states for x, those of the forward direction first."""
        half = self.forward_layer.state_count
        if not isinstance(states, list | tuple) or len(states) != 2 * half:
            raise WrongType(f"{argument} must be a list of {2 * half} arrays, got {shown(states)}")
        return [
            *self.forward_layer.checked_states(states[:half], x, argument),
            *self.backward_layer.checked_states(states[half:], x, argument),
        ]

    def get_config(self) -> dict[str, Any]:
        layers = {"layer": serialize_inner(self.forward_layer), "backward_layer": serialize_inner(self.backward_layer)}
        return {**super().get_config(), "merge_mode": self.merge_mode, **layers}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Bidirectional:
        layers = {name: layer_of(config[name]) for name in ("layer", "backward_layer") if name in config}
        return cls(**{**config, **layers})
