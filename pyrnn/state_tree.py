"""The variables of a model as nested dicts by their paths, and back: Keras's `get_state_tree` and `set_state_tree`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

import numpy as np

from pyrnn.arguments import checked
from pyrnn.rules import Dict, OneOf
from pyrnn.trainer import Trainer
from pyrnn.validation import WrongType, shown


class StateTree(Trainer):
    """Methods of models that read and write all of their variables at once."""

    trainable_variables: Any
    non_trainable_variables: Any

    def _kinds_of_variables(self) -> dict[str, list[Any]]:
        """The variables by their kind, with Keras's names."""
        return {
            "trainable_variables": self.trainable_variables,
            "non_trainable_variables": self.non_trainable_variables,
            "optimizer_variables": [] if self.optimizer is None else self.optimizer.variables,
            "metrics_variables": [variable for metric in self.metrics for variable in metric.variables],
        }

    @checked
    def get_state_tree(
        self, value_format: Annotated[str, OneOf("backend_tensor", "numpy_array")] = "backend_tensor"
    ) -> dict[str, Any]:
        """Return the values of all variables, in nested dicts by the parts of their paths.

        Args:
            value_format: "backend_tensor" or "numpy_array", which are the same: copies of the values.

        Returns:
            A dict with "trainable_variables", "non_trainable_variables", "optimizer_variables" and "metrics_variables".

        Raises:
            ValueError: if two variables have the same path.

        Example:
            >>> import pyrnn
            >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,), name="dense")], name="chain")
            >>> tree = model.get_state_tree()["trainable_variables"]
            >>> tree["chain"]["dense"]["bias"].tolist()
            [0.0]
        """
        return {kind: _tree(_by_path(variables)) for kind, variables in self._kinds_of_variables().items()}

    @checked
    def set_state_tree(self, state_tree: Annotated[Mapping[str, Any], Dict()]) -> None:
        """Overwrite variables with the values of a tree. Nothing changes unless all of them fit.

        Args:
            state_tree: what `get_state_tree` returned, or a part of it.

        Raises:
            TypeError: if it holds anything but dicts and numbers.
            ValueError: if a kind, a path or a shape is another one.

        Example:
            >>> import pyrnn
            >>> model = pyrnn.Sequential([pyrnn.layers.Dense(1, input_shape=(2,), name="dense")], name="chain")
            >>> model.set_state_tree({"trainable_variables": {"chain": {"dense": {"bias": [3.0]}}}})
            >>> model.get_weights()[1].tolist()
            [3.0]
        """
        kinds = self._kinds_of_variables()
        pending: list[tuple[Callable[[Any], Any], Any]] = []
        for kind, tree in state_tree.items():
            if kind not in kinds:
                raise ValueError(f"state_tree must have the keys {', '.join(map(repr, kinds))}, got {shown(kind)}")
            variables = _by_path(kinds[kind])
            for path, value in _paths(kind, tree):
                if path not in variables:
                    raise ValueError(f"state_tree[{kind!r}] has no variable of the model at {path!r}")
                array, variable = np.asarray(value), variables[path]
                if array.dtype.kind not in "biuf":
                    raise WrongType(f"state_tree[{kind!r}] must hold numbers, got {shown(value)} at {path!r}")
                if array.shape != tuple(variable.shape):
                    raise ValueError(
                        f"state_tree[{kind!r}] must have shape {tuple(variable.shape)} at {path!r}, got {array.shape}"
                    )
                pending.append((variable.assign, array))
        for assign, array in pending:
            assign(array)


def _by_path(variables: list[Any]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for variable in variables:
        if variable.path in paths:
            raise ValueError(
                f"variables must have different paths, got {variable.path!r} twice: give layers and metrics other names"
            )
        paths[variable.path] = variable
    return paths


def _tree(variables: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, variable in variables.items():
        *folders, name = path.split("/")
        branch = tree
        for folder in folders:
            branch = branch.setdefault(folder, {})
        branch[name] = np.array(variable)
    return tree


def _paths(kind: str, tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(tree, Mapping):
        raise WrongType(f"state_tree[{kind!r}] must be a dict, got {shown(tree)}")
    for name, value in tree.items():
        path = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _paths(kind, value, f"{path}/")
        else:
            yield path, value
