"""Signatures of the compiled core. `pyrnn.reference` has the same operations in plain NumPy.

Letters: B batch, T time, F features (C channels), H units, G gates (1 for simple_rnn), O filters, K kernel size,
N weights. The arrays of a call are C-contiguous and of one dtype, float32 or float64, which is that of the results.
An argument of the wrong type raises a TypeError, one of the wrong shape or value a ValueError, before anything is
written. `workspace` provides scratch memory and holds packed weights; `version` is the version of the weights, which
are packed again when it changes, or None to pack them in every call.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

class Workspace:
    """Scratch memory and packed weights, which a layer passes from call to call. Any thread may use it."""

    def __init__(self) -> None: ...
    def array(self, shape: tuple[int, ...], dtype: str) -> Array:
        """Return an array for a result. Its memory is used again when no one holds it, which saves page faults.

        Args:
            shape: Its shape.
            dtype: "float32" or "float64".

        Returns:
            The array, whose numbers are undefined.
        """

def rnn_forward(
    cell: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    activation: str,
    recurrent_activation: str | None,
    initial_state: Sequence[Array] | None,
    mask: Array | None,
    input_scale: Array | None,
    state_scale: Array | None,
    go_backwards: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
    checkpoint_steps: int | None,
    training: bool,
    workspace: Workspace,
    version: int | None,
) -> tuple[Array, tuple[Array, ...], tuple[Array | None, ...]]:
    """Run a recurrent layer over whole sequences.

    simple_rnn: h_t = act(x_t W + b + h_{t-1} U). lstm: gates i, f, c, o. gru and gru_reset_before: gates z, r, h.
    The equations are Keras's, and are written out in `pyrnn.reference.recurrent`.

    Args:
        cell: "simple_rnn" (G = 1), "lstm" (G = 4), "gru" (G = 3, reset after the product) or "gru_reset_before".
        x: Input (B, T, F).
        kernel: W (F, G*H).
        recurrent_kernel: U (H, G*H).
        bias: (G*H,), for gru (2, G*H), or None.
        activation: Name of an activation, as in `activation_forward`, but not glu.
        recurrent_activation: The same, or None for simple_rnn.
        initial_state: One array (B, H) per state (h, and c for lstm), or None for zeros.
        mask: Bool (B, T), True where the step counts, or None. A masked step repeats the state and output of the step
            before it.
        input_scale: (B, F), or (G, B, F) with one factor per gate, or None. Multiplies x at every step (input dropout).
        state_scale: (B, H), or (G, B, H), or None. Multiplies h_{t-1} where it enters U (recurrent dropout).
        go_backwards: Process the steps from the last to the first. As in Keras, output[:, 0] then belongs to x[:, T-1],
            and step s reads mask[:, T-1-s].
        return_sequences: Whether to return the output of every step, rather than that of the last one.
        zero_output_for_mask: Whether the output of a masked step is 0, also of the last one. States do not change.
        checkpoint_steps: Save the states of every checkpoint_steps-th step only, for training. Backward computes the
            other steps again, with the same bits (`pyrnn.layers.recurrent.base` says how the core rounds the number
            up). None saves every step.
        training: Whether to save what `rnn_backward` needs.
        workspace, version: See the top of this file.

    Returns:
        Output (B, T, H) if return_sequences, otherwise (B, H); the final states, one (B, H) each; and saved, what
        backward needs, which is () unless training.
    """

def rnn_backward(
    cell: str,
    x: Array,
    kernel: Array,
    recurrent_kernel: Array,
    bias: Array | None,
    saved: Sequence[Array | None],
    d_output: Array | None,
    activation: str,
    recurrent_activation: str | None,
    initial_state: Sequence[Array] | None,
    mask: Array | None,
    input_scale: Array | None,
    state_scale: Array | None,
    go_backwards: bool,
    return_sequences: bool,
    zero_output_for_mask: bool,
    checkpoint_steps: int | None,
    d_final_state: Sequence[Array | None] | None,
    d_kernel: Array,
    d_recurrent_kernel: Array,
    d_bias: Array | None,
    need_dx: bool,
    workspace: Workspace,
    version: int | None,
) -> tuple[Array | None, tuple[Array, ...] | None]:
    """Compute the gradients of `rnn_forward`, called with the same arguments. What it saved is used up.

    Args:
        cell, x, kernel, recurrent_kernel, bias: As in `rnn_forward`.
        saved: The third result of `rnn_forward`.
        d_output: Gradient of the output, in its shape, or None for zeros.
        activation, recurrent_activation, initial_state, mask, input_scale, state_scale: As in `rnn_forward`.
        go_backwards, return_sequences, zero_output_for_mask, checkpoint_steps: As in `rnn_forward`.
        d_final_state: Gradients of the final states, one (B, H) or None each, or None for zeros.
        d_kernel, d_recurrent_kernel, d_bias: Arrays in the shapes of the weights, which are overwritten with their
            gradients.
        need_dx: Whether to compute the gradient of x.
        workspace, version: See the top of this file.

    Returns:
        dx (B, T, F), or None unless need_dx; and the gradients of the initial states, one (B, H) each, or None if there
        were none.
    """

def dense_forward(
    x: Array,
    kernel: Array,
    bias: Array | None,
    activation: str,
    training: bool,
    workspace: Workspace,
    version: int | None,
) -> tuple[Array, tuple[Array, ...]]:
    """Compute act(x W + b).

    Args:
        x: Input (..., F).
        kernel: W (F, H).
        bias: (H,) or None.
        activation: Name of an activation, as in `activation_forward`, but not glu.
        training: Whether to save what `dense_backward` needs.
        workspace, version: See the top of this file.

    Returns:
        y (..., H), and saved: () unless training, then (y,), or (y, z) with z = x W + b if the derivative is not a
        function of y.
    """

def dense_backward(
    x: Array,
    kernel: Array,
    saved: Sequence[Array],
    dy: Array,
    activation: str,
    d_kernel: Array,
    d_bias: Array | None,
    need_dx: bool,
    workspace: Workspace,
    version: int | None,
) -> Array | None:
    """Compute the gradients of `dense_forward`.

    Args:
        x, kernel: As in `dense_forward`.
        saved: Its second result.
        dy: Gradient of y (..., H).
        activation: As in `dense_forward`.
        d_kernel, d_bias: Arrays (F, H) and (H,), or None without bias, which are overwritten with the gradients.
        need_dx: Whether to compute the gradient of x.
        workspace, version: See the top of this file.

    Returns:
        dx (..., F), or None unless need_dx.
    """

def conv1d_forward(
    x: Array,
    kernel: Array,
    bias: Array | None,
    *,
    strides: int,
    padding: str,
    dilation_rate: int,
    activation: str,
    training: bool,
    workspace: Workspace,
    version: int | None,
) -> tuple[Array, tuple[Array, ...]]:
    """Compute a convolution over time.

    Args:
        x: Input (B, T, C).
        kernel: (K, C, O).
        bias: (O,) or None.
        strides: Steps between windows, at least 1.
        padding: "valid", "same" (as in TensorFlow: an odd step goes right) or "causal".
        dilation_rate: Steps between the taps of a window, at least 1.
        activation: Name of an activation, as in `activation_forward`, but not glu.
        training: Whether to save what `conv1d_backward` needs.
        workspace, version: See the top of this file.

    Returns:
        y (B, T', O), and saved as in `dense_forward`.
    """

def conv1d_backward(
    x: Array,
    kernel: Array,
    saved: Sequence[Array],
    dy: Array,
    *,
    strides: int,
    padding: str,
    dilation_rate: int,
    activation: str,
    d_kernel: Array,
    d_bias: Array | None,
    need_dx: bool,
    workspace: Workspace,
    version: int | None,
) -> Array | None:
    """Compute the gradients of `conv1d_forward`.

    Args:
        x, kernel, strides, padding, dilation_rate, activation: As in `conv1d_forward`.
        saved: Its second result.
        dy: Gradient of y (B, T', O).
        d_kernel, d_bias: Arrays (K, C, O) and (O,), or None without bias, which are overwritten with the gradients.
        need_dx: Whether to compute the gradient of x.
        workspace, version: See the top of this file.

    Returns:
        dx (B, T, C), or None unless need_dx.
    """

def pool1d_forward(x: Array, *, mode: str, pool_size: int, strides: int, padding: str) -> Array:
    """Compute the maximum or average of windows over time.

    Args:
        x: Input (B, T, C).
        mode: "max" or "average". Padding does not count in an average.
        pool_size: Steps in a window, at least 1.
        strides: Steps between windows, at least 1.
        padding: "valid" or "same".

    Returns:
        y (B, T', C).
    """

def pool1d_backward(x: Array, dy: Array, *, mode: str, pool_size: int, strides: int, padding: str) -> Array:
    """Compute the gradient of `pool1d_forward`.

    Args:
        x, mode, pool_size, strides, padding: As in `pool1d_forward`.
        dy: Gradient of y (B, T', C).

    Returns:
        dx (B, T, C). The first of several equal maxima receives the gradient.
    """

def layer_norm_forward(
    x: Array, gamma: Array | None, beta: Array | None, *, epsilon: float, training: bool
) -> tuple[Array, tuple[Array, ...]]:
    """Compute gamma (x - mean) / sqrt(variance + epsilon) + beta along the last axis.

    Args:
        x: Input (..., F).
        gamma, beta: (F,), or None for 1 and 0.
        epsilon: Is added to the variance.
        training: Whether to save what `layer_norm_backward` needs.

    Returns:
        y (..., F), and saved: () unless training, then (x - mean) / sqrt(variance + epsilon) (..., F) and
        1 / sqrt(variance + epsilon), one number per row.
    """

def layer_norm_backward(
    dy: Array,
    saved: tuple[Array, ...],
    gamma: Array | None,
    *,
    d_gamma: Array | None,
    d_beta: Array | None,
    need_dx: bool,
) -> Array | None:
    """Compute the gradients of `layer_norm_forward`.

    Args:
        dy: Gradient of y (..., F).
        saved: The second result of `layer_norm_forward`.
        gamma: As in `layer_norm_forward`.
        d_gamma, d_beta: Arrays (F,) or None, which are overwritten with the gradients.
        need_dx: Whether to compute the gradient of x.

    Returns:
        dx (..., F), or None unless need_dx.
    """

def attention_forward(
    query: Array,
    key: Array,
    value: Array,
    *,
    additive: Array | None,
    scale: float,
    masks: Sequence[Array],
    causal: bool,
    penalty: float,
    zero_unread: bool,
    factors: Array | None,
    need_weights: bool,
    workspace: Workspace,
) -> tuple[Array, Array | None]:
    """Compute softmax(scale query key^T) value for each of N heads. Q queries read V values.

    With `additive`, the scores of a query and a key are sum(additive tanh(query + key)) instead of their product.

    Args:
        query: (B, Q, N, D).
        key: (B, V, N, D).
        value: (B, V, N, E).
        additive: (D,), or None.
        scale: Multiplies the scores.
        masks: Up to eight arrays of bool that broadcast with (B, N, Q, V): whether a query may read a value.
        causal: Whether query i may read values up to i only.
        penalty: Is subtracted from the score of a value that the query may not read.
        zero_unread: Whether the weights of a query that may read no value are 0; otherwise they follow from its scores
            less the penalty.
        factors: Factors of dropout (B, N, Q, V), or None.
        need_weights: Whether to return the weights, which `attention_backward` needs.
        workspace: Memory for the results, which returns to it when they are gone.

    Returns:
        y (B, Q, N, E), and the weights (B, N, Q, V) before dropout, or None.
    """

def attention_backward(
    query: Array,
    key: Array,
    value: Array,
    weights: Array,
    dy: Array,
    d_weights: Array | None,
    *,
    additive: Array | None,
    scale: float,
    factors: Array | None,
    need_d_scale: bool,
    workspace: Workspace,
) -> tuple[Array, Array, Array, Array | None, float | None]:
    """Compute the gradients of `attention_forward`.

    Args:
        query, key, value, additive, scale, factors: As in `attention_forward`.
        weights: Its second result.
        dy: Gradient of y (B, Q, N, E).
        d_weights: Gradient of the weights (B, N, Q, V), in addition, or None.
        need_d_scale: Whether to compute the gradient of scale.
        workspace: As in `attention_forward`.

    Returns:
        The gradients of query, key and value, that of additive or None, and that of scale or None.
    """

def activation_forward(x: Array, activation: str) -> Array:
    """Apply an activation.

    Args:
        x: Array of any shape.
        activation: One of `pyrnn.activations.NAMES`. softmax, log_softmax and sparsemax work along the last axis; glu
            halves it.

    Returns:
        y, in the shape of x except for glu.
    """

def activation_backward(x: Array, y: Array, dy: Array, activation: str) -> Array:
    """Compute the gradient of `activation_forward`.

    Args:
        x, activation: As in `activation_forward`.
        y: Its result.
        dy: Gradient of y.

    Returns:
        dx, in the shape of x.
    """

def squared_error(y_true: Array, y_pred: Array) -> tuple[float, Array]:
    """Compute a mean squared error and its gradient.

    Args:
        y_true, y_pred: Arrays of one shape.

    Returns:
        The mean of (y_pred - y_true)**2, and its gradient with respect to y_pred.
    """

def sgd_step(
    weights: Array,
    gradients: Array,
    momentum: Array | None,
    learning_rate: float,
    momentum_rate: float,
    nesterov: bool,
    count: NDArray[np.int64] | None = None,
) -> None:
    """Update weights by SGD, in place, as in Keras.

    Args:
        weights: (N,).
        gradients: (N,).
        momentum: The running step (N,), which is updated, or None for plain SGD.
        learning_rate: Factor of the gradients.
        momentum_rate: Factor of the previous step.
        nesterov: Whether to use Nesterov's form of momentum.
        count: Steps so far (1,), raised by one before a signal can be handled; or None.
    """

def rmsprop_step(
    weights: Array,
    gradients: Array,
    velocity: Array,
    momentum: Array | None,
    average_gradient: Array | None,
    learning_rate: float,
    rho: float,
    momentum_rate: float,
    epsilon: float,
    count: NDArray[np.int64] | None = None,
) -> None:
    """Update weights by RMSprop, in place, as in Keras.

    Args:
        weights: (N,).
        gradients: (N,).
        velocity: Running mean of squared gradients (N,), which is updated.
        momentum: The running step (N,), which is updated, or None for no momentum.
        average_gradient: Running mean of gradients (N,), which is updated, for the centered form; otherwise None.
        learning_rate: Factor of the step.
        rho: Decay of the running means.
        momentum_rate: Factor of the previous step.
        epsilon: Is added to the denominator, inside the root.
        count: As in `sgd_step`.
    """

def adam_step(
    weights: Array,
    gradients: Array,
    momentum: Array,
    velocity: Array,
    velocity_hat: Array | None,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    step: int,
    count: NDArray[np.int64] | None = None,
) -> None:
    """Update weights by Adam, in place, as in Keras.

    Args:
        weights: (N,).
        gradients: (N,).
        momentum: Running mean of gradients (N,), which is updated.
        velocity: Running mean of squared gradients (N,), which is updated.
        velocity_hat: Largest velocity so far (N,), which is updated, for AMSGrad; otherwise None.
        learning_rate: Factor of the step.
        beta_1: Decay of momentum.
        beta_2: Decay of velocity.
        epsilon: Is added to the denominator ("epsilon hat" of the paper).
        step: Number of this step, from 1.
        count: As in `sgd_step`.
    """

def gather_rows(source: Array, indices: NDArray[np.int64]) -> Array:
    """Return source[indices] along the first axis.

    Args:
        source: C-contiguous array, float32 or float64.
        indices: Integers (M,).

    Returns:
        A new array of M rows.

    Raises:
        IndexError: If an index is out of range.
    """

def scatter_rows(target: Array, indices: NDArray[np.int64], source: Array) -> None:
    """Set target to 0, then add source[i] to target[indices[i]] for each i in turn.

    Args:
        target: Array that is overwritten.
        indices: Integers (M,).
        source: M rows in the shape of those of target.

    Raises:
        IndexError: If an index is out of range.
    """

class Chain32:
    """Layers that run one after the other, in float32: a training step in one call.

    Each layer receives the output of the one before. The arrays are not copied: each call reads the weights and writes
    the gradients that they hold by then.
    """

    def __init__(self) -> None: ...
    def add_recurrent(
        self,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: str,
        recurrent_activation: str | None,
        go_backwards: bool,
        return_sequences: bool,
        d_kernel: Array,
        d_recurrent_kernel: Array,
        d_bias: Array | None,
        workspace: Workspace,
    ) -> None:
        """Add a recurrent layer, with arguments as in `rnn_forward` and `rnn_backward`. Its states start at zero."""

    def add_dense(
        self,
        kernel: Array,
        bias: Array | None,
        activation: str,
        d_kernel: Array,
        d_bias: Array | None,
        workspace: Workspace,
    ) -> None:
        """Add a dense layer: kernel (F, H), bias (H,) or None, and their gradients in these shapes."""

    def squared_error(self, x: Array, y: Array) -> tuple[float, Array] | None:
        """Run forward, the mean squared error of the output and y, and backward, which overwrites the gradients.

        The numbers are to the bit those of `rnn_forward`, `dense_forward`, `squared_error` and the backward operations.

        Args:
            x: Input (B, T, F), or (B, F) if the first layer is dense.
            y: Targets in the shape and dtype of the output.

        Returns:
            The error and the output (B, T, H) or (B, H). None, without having computed anything, if x or y is not in
            C order or of another dtype, y of another shape, or another call uses the chain.

        Raises:
            ValueError: If x does not fit the first layer, a layer does not fit the one before, or there is none.
        """

class Chain64:
    """`Chain32` in float64."""

    def __init__(self) -> None: ...
    def add_recurrent(
        self,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: str,
        recurrent_activation: str | None,
        go_backwards: bool,
        return_sequences: bool,
        d_kernel: Array,
        d_recurrent_kernel: Array,
        d_bias: Array | None,
        workspace: Workspace,
    ) -> None: ...
    def add_dense(
        self,
        kernel: Array,
        bias: Array | None,
        activation: str,
        d_kernel: Array,
        d_bias: Array | None,
        workspace: Workspace,
    ) -> None: ...
    def squared_error(self, x: Array, y: Array) -> tuple[float, Array] | None: ...

class Stream32:
    """A stack of layers that runs one time step at a time, in float32.

    Layers are added before the first step, and their weights are copied. Each receives the output of the one before.
    """

    def __init__(self, batch: int, features: int) -> None: ...
    def add_recurrent(
        self,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: str,
        recurrent_activation: str | None,
    ) -> None:
        """Add a recurrent layer, with weights as in `rnn_forward`. Its states start at zero."""

    def add_dense(self, kernel: Array, bias: Array | None, activation: str) -> None:
        """Add a dense layer: kernel (F, H), bias (H,) or None."""

    def add_activation(self, activation: str) -> None:
        """Add an activation by a name as in `activation_forward`, but not glu."""

    def add_layer_norm(self, gamma: Array | None, beta: Array | None, epsilon: float) -> None:
        """Add a layer normalization: gamma and beta (F,) or None."""

    def step(self, x: Any) -> Array:
        """Run one time step: x (B, F), or (F,) if B is 1. Returns y (B, H), which later steps do not overwrite."""

    def sample(
        self,
        inputs: Array,
        origin: Array,
        unit: Array,
        offset: Array | None,
        base: Array,
        width: Array,
        distribution: str,
        paths: int,
        column: int,
        seed: int,
    ) -> Array:
        """Draw sample paths that follow the present states, which stay as they are.

        Each path reads inputs[b, 0], draws a value from the distribution that the last layer's outputs and offset[b, 0]
        together describe, reads (value - origin[b]) / unit[b] in `column` of inputs[b, 1], and so on. With softplus(x)
        = log(1 + exp(x)) and value = base[b, s] + width[b, s] * z, their sums are

        - "point": z itself, which is not random;
        - "gaussian": the mean and the log variance of z;
        - "gaussian_spread": the mean of z and its deviation softplus(a) + 0.001;
        - "student": location, scale softplus(a) + 0.001 and softplus(b) + 2 degrees of freedom of z;
        - "negative_binomial": of the count itself, log(mean / width[b, s]), clipped to -8..8, and a dispersion
          softplus(a) + 0.001: variance = mean + dispersion * mean**2.

        The random numbers depend on the seed and on the numbers of series, path and step alone.

        Args:
            inputs: What the model reads at each step (B, S, F).
            origin, unit: Numbers (B,), finite, unit positive.
            offset: (B, S, outputs), added to the outputs of the last layer, or None.
            base, width: Numbers (B, S), finite, width positive.
            distribution: One of these names.
            paths: The number of paths P.
            column: The column of the target, from 0 to F - 1. At the first step it is read as it is.
            seed: Any integer of 64 bits.

        Returns:
            Values (B, P, S); NaN from a step on at which an output of the model is not finite.

        Raises:
            ValueError: If shapes do not match or the last layer has another number of outputs.
        """

    def states(self) -> list[Array]:
        """Return copies of the states, (B, H) each, in the order of the layers, h before c."""

    def set_states(self, states: Sequence[Array]) -> None:
        """Copy states as `states` returned them. Raises a ValueError if their number or shapes differ."""

    def reset(self, rows: Sequence[int]) -> None:
        """Set the states of these rows of the batch to 0. Raises an IndexError if one is out of range."""

class Stream64:
    """`Stream32` in float64."""

    def __init__(self, batch: int, features: int) -> None: ...
    def add_recurrent(
        self,
        cell: str,
        kernel: Array,
        recurrent_kernel: Array,
        bias: Array | None,
        activation: str,
        recurrent_activation: str | None,
    ) -> None: ...
    def add_dense(self, kernel: Array, bias: Array | None, activation: str) -> None: ...
    def add_activation(self, activation: str) -> None: ...
    def add_layer_norm(self, gamma: Array | None, beta: Array | None, epsilon: float) -> None: ...
    def step(self, x: Any) -> Array: ...
    def sample(
        self,
        inputs: Array,
        origin: Array,
        unit: Array,
        offset: Array | None,
        base: Array,
        width: Array,
        distribution: str,
        paths: int,
        column: int,
        seed: int,
    ) -> Array: ...
    def states(self) -> list[Array]: ...
    def set_states(self, states: Sequence[Array]) -> None: ...
    def reset(self, rows: Sequence[int]) -> None: ...

def set_num_threads(count: int) -> None:
    """Set how many threads the core uses, the calling one included: 1 to 256."""

def get_num_threads() -> int:
    """Return what was set, or PYRNN_NUM_THREADS, OMP_NUM_THREADS or the number of usable cores, whichever is first."""

def usable_cores(root: str) -> int:
    """Return how many cores this process may use, by its affinity and the CPU quotas of its control groups.

    It reads /proc/self/cgroup and /sys/fs/cgroup below the folder `root`, "" for those of the system.
    """

def processor_bits() -> tuple[int, int, int, int]:
    """Return what an x86-64 processor says that it can run, as `x86_level` reads it; zeros on other processors."""

def x86_level(leaf_1_ecx: int, leaf_7_ebx: int, extended_1_ecx: int, saved: int) -> int:
    """Return the level of x86-64 whose kernels a processor runs: 2 for v2, 3 for v3, 4 for v4, 1 for none of them.

    Args:
        leaf_1_ecx, leaf_7_ebx, extended_1_ecx: Registers of the instruction cpuid.
        saved: XCR0, the registers that the operating system saves when it switches threads.
    """

def isa() -> str:
    """Return the instruction set that was chosen at import."""

def available_isas() -> list[str]:
    """Return the instruction sets of this build that this machine can run, the best first."""

def compiler() -> str:
    """Return the name and version of the compiler that built the kernels."""

def fma_peak(dtype: str) -> float:
    """Measure the GFLOP/s of one thread that only multiplies and adds, in "float32" or "float64"."""

def read_bandwidth(bytes: int) -> float:
    """Measure the bytes per second at which one thread reads that many bytes of memory again and again."""

def call_cost() -> float:
    """Measure the seconds that it takes to give each thread a task without work and to wait for all."""

def rehearse(on: bool) -> tuple[int, float, float, float]:
    """Start or end rehearsing calls on threads that the machine may lack.

    While it is on, the calling thread runs all tasks alone, in the order in which the present number of threads would,
    and times each. Members of a team compute one after the other without each other's states, so the results of a layer
    that has a team are wrong, possibly NaN.

    Args:
        on: Whether calls are rehearsed from now on.

    Returns:
        What was rehearsed since the last call of this function: the number of calls that several threads would have
        shared, the sum of the binary logarithms of the numbers of these threads, the seconds of all their tasks, and
        the seconds until the last thread would have ended, without the cost of starting and ending calls.
    """
