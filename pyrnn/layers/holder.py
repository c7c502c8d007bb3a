"""What a layer holds: weights, other layers, random generators, and what training saved for backward."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pyrnn import constraints, initializers, regularizers, rules
from pyrnn.arguments import checked
from pyrnn.constraints import ConstraintLike
from pyrnn.data.arrays import Array, as_array
from pyrnn.explaining import MetricNames
from pyrnn.initializers import InitializerLike
from pyrnn.inner_layers import all_layers, leaves_of_attribute, placed_in
from pyrnn.layers.settings import standard_shape, weight_dtype
from pyrnn.naming import snake_case
from pyrnn.overriding import is_builtin
from pyrnn.parameters import Watched, Weight, assign_all, values_for
from pyrnn.regularizers import RegularizerLike
from pyrnn.seeds import Generator
from pyrnn.structures import leaves
from pyrnn.symbols import Node, Symbol, flat_shapes, tracing
from pyrnn.typing import Boolean, DtypeLike, Name, ShapeLike
from pyrnn.validation import WrongType, shown

# What a pickle or copy of a layer does not hold.
_OF_THIS_OBJECT = ("_tape", "nodes", "_traces", "_inherited", "added_losses", "_sequential")


class Holder(Watched):
    """Base class of `Layer`, with what a layer holds.

    A built-in layer declares the layers and generators in its attributes by overriding `children` and `generators`. In
    a custom layer, assigning one to an attribute declares it: `attributes.declaring_setattr` records the name.
    """

    # Whether it is a model, which may be a layer of another one.
    is_model: ClassVar[bool] = False
    # Whether its class defines `call`, which is traced to a graph.
    is_traced: ClassVar[bool] = False
    # Whether it is an operation of `pyrnn.ops`, which a plan runs together with those next to it.
    is_operation: ClassVar[bool] = False
    name: str
    dtype: str
    built: bool
    _trainable: bool
    _weights: list[Weight]
    # What forward(training=True) saved for backward, the last one last.
    _tape: list[Any]
    # The calls on symbols, in their order.
    nodes: list[Node]
    # The attributes of a custom layer to which a layer, a generator or a container was assigned, in that order.
    _declared: dict[str, None]
    # What the last pass added to the loss, and the factor of its gradient, which a `compute_loss` may change.
    added_losses: list[float]
    loss_factor: float = 1.0
    # The symbols that a traced `call` adds to the loss; None outside it.
    _traced_losses: list[Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """Prepare the records that attributes are assigned to before `__init__` has run."""
        holder = super().__new__(cls)
        vars(holder).update(_tape=[], _declared={}, _weights=[], nodes=[], added_losses=[])
        return holder

    @property
    def compute_dtype(self) -> str:
        """The dtype of the arithmetic, which is that of the layer."""
        return self.dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the weights, which is that of the layer."""
        return self.dtype

    # Layers in this layer.

    def plans(self) -> list[Any]:
        """Return what runs the layers in this one.

        Returns:
            The plan of a model, or those of a traced `call`.
        """
        return []

    def children(self) -> list[tuple[str, Any]]:
        """Return the layers that are part of this one.

        Returns:
            Each layer once, after its place in a file: the path of its group in the group of this layer.
        """
        return self._with_assigned([])

    def _with_assigned(self, declared: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return `declared`, followed by the layers that were assigned to attributes of a custom layer."""
        children = {id(layer): (path, layer) for path, layer in declared}
        for name in self._declared:
            value = vars(self).get(name)
            for path, layer in placed_in(name, value):
                children.setdefault(id(layer), (path, layer))
        return list(children.values())

    def file_children(self) -> list[tuple[str, Any]]:
        """Return the layers that are part of this one, as files list them.

        Returns:
            Each layer once, after its place in a file.
        """
        return self.children()

    def containers(self) -> list[Any]:
        """Return the lists and dicts in the attributes of a custom layer, which may get more layers at any time.

        Returns:
            The containers that were assigned to attributes.
        """
        values = [vars(self).get(name) for name in self._declared]
        return [value for value in values if isinstance(value, list | Mapping)]

    def generators(self) -> dict[str, Generator]:
        """Return the random generators of this layer, whose streams a resumed training continues.

        Returns:
            Each generator under the name of its attribute.
        """
        generators: dict[str, Generator] = {}
        for name in self._declared:
            value = vars(self).get(name)
            if isinstance(value, Generator):
                generators[name] = value
            elif isinstance(value, list | tuple | Mapping):
                inner = [leaf for leaf in leaves_of_attribute(value) if isinstance(leaf, Generator)]
                generators |= {f"{name}/{number}": each for number, each in enumerate(inner)}
        return generators

    # Weights; those of the layers in this one are part of them.

    @checked
    def add_weight(
        self,
        shape: ShapeLike | None = None,
        initializer: InitializerLike = None,
        dtype: DtypeLike = None,
        *,
        trainable: Boolean = True,
        regularizer: RegularizerLike = None,
        constraint: ConstraintLike = None,
        name: Name | None = None,
    ) -> Weight:
        """Create a weight of this layer, usually in `build`.

        The layer keeps it in `weights`; `backward` writes its gradient into `weight.gradient`.

        Args:
            shape: shape of the weight, a list or tuple of sizes; None for a single number.
            initializer: name or object of `pyrnn.initializers` that fills it; None is "glorot_uniform", and "zeros" for
                whole numbers.
            dtype: "float32", "float64" or None for the dtype of the layer; integers and booleans are not trainable.
            trainable: whether training changes it.
            regularizer: name or object of `pyrnn.regularizers` whose penalty is added to the loss, or None.
            constraint: name or object of `pyrnn.constraints`, applied after each step, or None.
            name: name of the weight, or None for a generated one.

        Returns:
            The `Weight`, whose array (*shape) is `weight.array`.

        Raises:
            TypeError, ValueError: if an argument is not of these kinds.
        """
        shape = () if shape is None else shape
        name = f"variable_{len(self._weights)}" if name is None else name
        if isinstance(shape, str):
            raise WrongType(f"shape must be a tuple of sizes, got {shown(shape)}: write add_weight(name=...)")
        if tracing.symbol_of is not None and self.built:
            raise ValueError(
                f"layer {self.name!r} ({type(self).__name__}) creates a weight in call(), which runs once for each "
                "shape of the inputs: create it in __init__ or in build(input_shape)"
            )
        kind = self.dtype if dtype is None else weight_dtype(dtype, trainable)
        if initializer is None:
            initializer = "glorot_uniform" if kind.startswith("float") else "zeros"
        weight = Weight(
            standard_shape("shape", shape),
            name,
            kind,
            initializers.get(initializer),
            regularizers.get(regularizer),
            constraints.get(constraint),
            trainable,
        )
        weight.path = f"{self.name}/{name}"
        self._weights.append(weight)
        self.changed()
        return weight

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets that of each layer and trainable weight in this one."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._set_trainable(value)

    def _set_trainable(self, value: bool) -> None:
        rules.Flag().check("trainable", value)
        self._trainable = bool(value)
        self.changed()
        for weight in self._weights:
            if weight.can_train:
                weight.trainable = bool(value)
        for _, layer in self.children():
            layer.trainable = bool(value)

    def take_dtype(self, dtype: str) -> None:
        """Change the dtype of a layer without weights, and that of its calls on symbols.

        Args:
            dtype: "float32" or "float64".
        """
        self.dtype = dtype
        for node in self.nodes:
            for symbol in node.outputs:
                symbol.dtype = dtype if symbol.dtype.startswith("float") else symbol.dtype

    def output_shapes(self, shapes: list[Any], **options: Any) -> list[Any]:
        """Return the shapes of the outputs of a call on symbols.

        Args:
            shapes: a shape for each input of `forward`, batch axis first; None where any size is allowed.
            **options: keyword arguments that the call was made with.

        Returns:
            A shape for each output.
        """
        layer: Any = self
        shape = layer.compute_output_shape(layer.shape_of_inputs(shapes), **options)
        return flat_shapes(shape)

    def get_weights(self) -> list[Array]:
        """Return copies of all weights, a list of arrays in Keras's order.

        Returns:
            One array per weight.
        """
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Overwrite all weights. Nothing is written unless all shapes match.

        Args:
            weights: list of arrays in the order and with the shapes of `get_weights()`: (F, G * units) and so on.

        Raises:
            TypeError, ValueError: if the number of arrays, a shape or a dtype does not match.
        """
        assign_all(values_for(f"layer {self.name!r}", self.weights, weights))

    def count_params(self) -> int:
        """Count the values in all weights.

        Returns:
            The number of values.

        Raises:
            ValueError: if the layer is not built yet.
        """
        if not self.built:
            raise ValueError(f"layer {self.name!r} has no weights yet: build it or call it on data first")
        return sum(weight.size for weight in self.weights)

    @property
    def weights(self) -> list[Weight]:
        """All weights, in Keras's order."""
        weights = {id(weight): weight for weight in self._weights}
        for _, layer in self.children():
            for weight in layer.weights:
                weights.setdefault(id(weight), weight)
        return list(weights.values())

    @property
    def trainable_weights(self) -> list[Weight]:
        """The weights that training changes."""
        if not self.trainable:
            return []
        weights = {id(weight): weight for weight in self._weights if weight.trainable}
        for _, layer in self.children():
            for weight in layer.trainable_weights:
                weights.setdefault(id(weight), weight)
        return list(weights.values())

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The weights that training does not change."""
        trainable = set(map(id, self.trainable_weights))
        return [weight for weight in self.weights if id(weight) not in trainable]

    @property
    def variables(self) -> list[Weight]:
        """The weights, and the states of the seed generators in attributes of custom layers, in Keras's order."""
        variables = {id(weight): weight for weight in self._weights}
        for generator in self.generators().values():
            if (state := getattr(generator, "state", None)) is not None:
                variables[id(state)] = state
        for _, layer in self.children():
            for variable in layer.variables:
                variables.setdefault(id(variable), variable)
        return list(variables.values())

    @property
    def trainable_variables(self) -> list[Weight]:
        """The weights that training changes, as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Weight]:
        """The variables that training does not change: `non_trainable_weights` and the states of seed generators."""
        trainable = set(map(id, self.trainable_weights))
        return [variable for variable in self.variables if id(variable) not in trainable]

    @property
    def metrics(self) -> list[Any]:
        """The metrics in attributes of custom layers, of this layer first, then of those in it."""
        leaves_here = [leaf for name in self._declared for leaf in leaves_of_attribute(vars(self).get(name))]
        metrics = {id(each): each for each in leaves_here if isinstance(each, MetricNames)}
        for _, layer in self.children():
            metrics |= {id(each): each for each in layer.metrics}
        return list(metrics.values())

    @property
    def metrics_variables(self) -> list[Any]:
        """The variables of `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    def track(self, value: Any) -> None:
        """Add the weights in the value of an attribute to the weights of this layer itself.

        Args:
            value: a weight, or a list, tuple or dict with weights; others are ignored.
        """
        weights = [leaf for leaf in leaves_of_attribute(value) if isinstance(leaf, Weight)]
        added = [weight for weight in weights if not any(weight is each for each in self._weights)]
        if added:
            self._weights += {id(weight): weight for weight in added}.values()
            self.changed()

    # The Sequential that the layer was added to, which connects its layers when their symbols are asked for.

    def added_to(self, model: Any) -> None:
        """Remember a model, for as long as it lives.

        Args:
            model: the `Sequential` that the layer was added to.
        """
        self._sequential = weakref.ref(model)

    def sequential(self) -> Any:
        """Return the model that the layer was added to.

        Returns:
            The `Sequential`, or None if there is none.
        """
        reference = vars(self).get("_sequential")
        return None if reference is None else reference()

    # What the layer adds to the loss.

    def add_loss(self, loss: Any) -> None:
        """Add a number to the loss, in `call` or `forward`.

        In `call` it is what operations made of the input, and its gradient is computed. A layer with `forward` and
        `backward` adds the gradient itself, in `backward`.

        Args:
            loss: one number, an array (...) whose sum is added, or a list of them.

        Raises:
            TypeError: if it does not hold numbers.
            ValueError: if it is a symbol and no `call` runs.

        Example:
            >>> import numpy as np, pyrnn
            >>> class Sparse(pyrnn.layers.Layer):
            ...     def call(self, x):
            ...         self.add_loss(0.5 * pyrnn.ops.sum(pyrnn.ops.abs(x)))
            ...         return x
            >>> model = pyrnn.Sequential([Sparse(input_shape=(2,))])
            >>> y = model(np.ones((3, 2)))
            >>> model.losses
            [3.0]
        """
        for value in leaves(loss):
            if isinstance(value, Symbol):
                self._add_symbolic_loss(value)
            else:
                self.added_losses.append(float(as_array("loss", value).sum()))

    def _add_symbolic_loss(self, symbol: Symbol) -> None:
        if self._traced_losses is None:
            raise ValueError(
                f"add_loss() of layer {self.name!r} must be called within its call(), got a symbol outside it"
            )
        self._traced_losses.append(symbol.current)

    @property
    def losses(self) -> list[float]:
        """What the last pass added to the loss, and the penalties on trainable weights."""
        added = [loss for layer in self._with_inner() for loss in layer._own_losses()]
        weights = (weight for weight in self.trainable_weights if weight.regularizer is not None)
        return [*added, *(float(weight.regularizer(weight.array)) for weight in weights)]

    def _own_losses(self) -> list[float]:
        """What the last pass added, and the penalties on the outputs of this layer in the last pass of a model."""
        return [*self.added_losses, *(loss for plan in self._watchers for loss in plan.activity_losses(self))]

    def _start_call(self, training: Any) -> None:
        """Forget what the last pass added to the loss and, in training, what it saved: a call outside a model."""
        if training:
            self._discard_saved()
        for layer in self._with_inner():
            layer.added_losses.clear()
            for plan in layer.plans():
                plan.start()

    def _with_inner(self) -> list[Holder]:
        """This layer, and those in it."""
        return list(all_layers([self]))

    def may_add_loss(self) -> bool:
        """Return whether the layer, apart from those in it, may add to the loss in a call.

        Returns:
            True for custom layers and those with a penalty on their output.
        """
        return not is_builtin(type(self))

    def adds_loss(self) -> bool:
        """Return whether this layer or one in it added to the loss in the last pass.

        Returns:
            True if one did: then its backward runs, even if nothing after it needs its output.
        """
        return any(layer.added_losses for layer in self._with_inner())

    def name_of_class(self) -> str:
        """Return the name of the class that a file gives for this layer, which names its group of weights.

        Returns:
            The name of its class; for a model that is written as a functional model or a `Sequential`, that name.
        """
        return type(self).__name__

    def variable_groups(self) -> list[tuple[str, str, list[Weight]]]:
        """Return where the weights are in a file, as in Keras.

        Returns:
            For each group below this layer's: its path, its attribute `name` and its weights.
        """
        groups, listed = [], set(map(id, self._weights))
        for path, layer in self.file_children():
            weights = set(map(id, layer.weights))
            if weights and weights <= listed:
                continue
            listed |= weights
            groups += [(f"{path}/{below}", name, weights) for below, name, weights in layer.variable_groups()]
        return [*groups, ("vars", self.name, self._weights)]

    def save_own_variables(self, store: dict[str, Any]) -> None:
        """Store what a file is to hold of this layer itself: its own weights. A custom layer may override it.

        Args:
            store: dict to which arrays are added by name; by default "0", "1", ... in the order of `add_weight`.
        """
        for number, weight in enumerate(self._weights):
            store[str(number)] = weight.array

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Take from a file what `save_own_variables` stored.

        Args:
            store: the arrays by name.

        Raises:
            ValueError: if they are not as many as the layer's own weights, or a shape differs.
        """
        if set(store) != set(map(str, range(len(self._weights)))):
            raise ValueError(
                f"layer {self.name!r} has {len(self._weights)} weights of its own, the file holds {sorted(store)}"
            )
        values = [store[str(number)] for number in range(len(self._weights))]
        assign_all(values_for(f"layer {self.name!r}", self._weights, values))

    def reset_state(self) -> None:
        """Forget what stateful layers keep from batch to batch."""
        for _, layer in self.children():
            layer.reset_state()

    # What training saves: forward(training=True) appends one entry to the tape, backward takes the last one.

    def _take_saved(self) -> Any:
        """Take what the last forward(training=True) saved, so that a later forward can reuse the memory.

        Raises:
            RuntimeError: if each forward has had its backward.
        """
        if not self._tape:
            raise RuntimeError(
                f"backward() of layer {self.name!r} ({type(self).__name__}) must come after forward(x, training=True), "
                "once for each"
            )
        return self._tape.pop()

    def _discard_saved(self) -> None:
        """Discard what passes without a backward saved, in this layer and in those that it holds."""
        self._tape.clear()
        for _, layer in self.children():
            layer._discard_saved()

    def _skip_saved(self) -> None:
        """Drop what the last forward(training=True) saved, in this layer and in those that it holds."""
        if self._tape:
            self._tape.pop()
        for _, layer in self.children():
            layer._skip_saved()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle or copy holds: all but what forward saved for backward, and calls on symbols."""
        return {name: value for name, value in vars(self).items() if name not in _OF_THIS_OBJECT}


def numbered(group: str, layers: Iterable[Any]) -> list[tuple[str, Any]]:
    """Return layers with their paths: group/lstm, group/lstm_1, ..."""
    counts: Counter[str] = Counter()
    paths = []
    for layer in layers:
        kind = snake_case(layer.name_of_class())
        paths.append((f"{group}/{kind}_{counts[kind]}" if counts[kind] else f"{group}/{kind}", layer))
        counts[kind] += 1
    return paths
