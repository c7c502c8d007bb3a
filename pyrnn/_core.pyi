"""The typed face of the compiled core; `pyrnn.reference` has the same operations in plain NumPy.

Letters: B batch, T time, F features (C channels), H units, G gates (1 for simple_rnn), O filters, K kernel size,
N weights. Arrays are C-contiguous and of one dtype, float32 or float64, in each call; outputs have that dtype.
Wrong kind: TypeError; wrong shape or value: ValueError, raised before anything is written.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

class Workspace:
    """Scratch memory and packed weights that one layer keeps from call to call; any thread may use it."""

    def __init__(self) -> None: ...

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
    """A recurrent layer over whole sequences.

    simple_rnn: h_t = act(x_t W + b + h_{t-1} U). lstm: gates i, f, c, o. gru and gru_reset_before: gates z, r, h.
    All as Keras has them; the equations stand in `pyrnn.reference.recurrent`.

    Args:
        cell: "simple_rnn" (G = 1), "lstm" (G = 4), "gru" (G = 3, reset after the product) or "gru_reset_before".
        x: (B, T, F). kernel: (F, G*H). recurrent_kernel: (H, G*H). bias: (G*H,), for gru (2, G*H), or None.
        activation, recurrent_activation: names of Keras's list; the second None for simple_rnn.
        initial_state: one array (B, H) a state (h, and c for lstm), or None for zeros.
        mask: bool (B, T), True where the step counts; a masked step keeps state and output of the step before it.
        input_scale: (B, F) or one for each gate (G, B, F): multiplies x at every step (input dropout).
        state_scale: (B, H) or (G, B, H), multiplies h_{t-1} where it enters U (recurrent dropout).
        go_backwards: walk time from the end; output and mask follow the walk's order as in Keras
            (output[:, 0] belongs to x[:, T-1], and step s reads mask[:, T-1-s]).
        zero_output_for_mask: output 0 at masked steps, also as the last output (states are still kept).
        checkpoint_steps: training keeps the states after every so many steps alone and backward computes the rest
            again, with the same bits (`pyrnn.layers.recurrent.base` says how the core rounds it up); None: all is kept.
        training: keep what backward needs.
        workspace: scratch; version: of the weights (None: never reuse packed weights).

    Returns:
        output (B, T, H) if return_sequences else (B, H); final states, one (B, H) each; saved, what backward needs,
        () unless training.
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
    """Backpropagation through time for `rnn_forward`, given the same arguments and what it saved, which is used up.

    Overwrites d_kernel, d_recurrent_kernel and d_bias (shapes of the weights). Returns dx (B, T, F), or None unless
    need_dx, and the gradients of the initial states, one (B, H) each, or None if there were none.
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
    """act(x W + b): x (..., F), kernel (F, H), bias (H,) -> y (..., H) and saved.

    saved is () unless training, then (y,) and, where the derivative is no function of y, (y, z) with z = x W + b.
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
    """Gradients of `dense_forward`: overwrites d_kernel and d_bias, returns dx (..., F) or None unless need_dx."""

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
    """Convolution over time: x (B, T, C), kernel (K, C, O), bias (O,) -> y (B, T', O) and saved as in `dense_forward`.

    padding: "valid", "same" (TensorFlow's rule: the odd one goes right) or "causal".
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
    """Gradients of `conv1d_forward`: overwrites d_kernel and d_bias, returns dx (B, T, C) or None unless need_dx."""

def pool1d_forward(x: Array, *, mode: str, pool_size: int, strides: int, padding: str) -> Array:
    """Pooling over time: x (B, T, C) -> (B, T', C).

    mode: "max" or "average" (padding does not count). padding: "valid" or "same".
    """

def pool1d_backward(x: Array, dy: Array, *, mode: str, pool_size: int, strides: int, padding: str) -> Array:
    """Gradient dx (B, T, C) of `pool1d_forward`; of equal maxima the first gets it."""

def layer_norm_forward(
    x: Array, gamma: Array | None, beta: Array | None, *, epsilon: float, training: bool
) -> tuple[Array, tuple[Array, ...]]:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta along the last axis; x (..., F), gamma and beta (F,).

    Returns y and saved, what backward needs, () unless training: (x - mean) / sqrt(variance + epsilon) in the shape of
    x, and 1 / sqrt(variance + epsilon), one number a row.
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
    """Gradients of `layer_norm_forward`: overwrites d_gamma and d_beta (F,), returns dx or None unless need_dx."""

def activation_forward(x: Array, activation: str) -> Array:
    """act(x), any shape; softmax, log_softmax and sparsemax run along the last axis, glu halves it."""

def activation_backward(x: Array, y: Array, dy: Array, activation: str) -> Array:
    """dx of `activation_forward` from its input x, output y and gradient dy (shape of y)."""

def squared_error(y_true: Array, y_pred: Array) -> tuple[float, Array]:
    """Mean of (y_pred - y_true)**2 and its gradient by y_pred, for two arrays of one shape and type."""

def sgd_step(
    weights: Array,
    gradients: Array,
    momentum: Array | None,
    learning_rate: float,
    momentum_rate: float,
    nesterov: bool,
) -> None:
    """One SGD step in place on flat vectors (N,), Keras's form; momentum None means plain SGD."""

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
) -> None:
    """One RMSprop step in place, Keras's form; average_gradient given means centered."""

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
) -> None:
    """One Adam step in place, Keras's form (epsilon hat); step counts from 1; velocity_hat given means AMSGrad."""

def gather_rows(source: Array, indices: NDArray[np.int64]) -> Array:
    """source[indices] along axis 0, for any C-contiguous float32 or float64 array; IndexError when out of range."""

def scatter_rows(target: Array, indices: NDArray[np.int64], source: Array) -> None:
    """target[...] = 0, then target[indices[i]] += source[i] for every i in turn; IndexError when out of range."""

class Stream32:
    """A stack of layers walked one time step at a time, in float32; weights are copied when a layer is added.

    Layers are added before the first step, each as wide as the one before it leaves it.
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
        """Weights as in `rnn_forward`; the states start at zero."""

    def add_dense(self, kernel: Array, bias: Array | None, activation: str) -> None:
        """kernel (F, H), bias (H,)."""

    def add_activation(self, activation: str) -> None:
        """One of the names that `activation_forward` takes, but glu."""

    def add_layer_norm(self, gamma: Array | None, beta: Array | None, epsilon: float) -> None:
        """gamma, beta (F,)."""

    def step(self, x: Any) -> Array:
        """x (B, F), or (F,) where B is 1 -> y (B, H), which later steps leave alone."""

    def states(self) -> list[Array]:
        """Copies, (B, H) each, in the order of the layers, h before c."""

    def set_states(self, states: Sequence[Array]) -> None:
        """Take copies of what `states` gave; ValueError where number or shapes differ."""

    def reset(self, rows: Sequence[int]) -> None:
        """Zero the states of these rows; IndexError when out of range."""

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
    def states(self) -> list[Array]: ...
    def set_states(self, states: Sequence[Array]) -> None: ...
    def reset(self, rows: Sequence[int]) -> None: ...

def set_num_threads(count: int) -> None:
    """How many threads the core uses from now on, the caller's among them; at most 256."""

def get_num_threads() -> int:
    """What was set, else PYRNN_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use."""

def usable_cores(root: str) -> int:
    """Cores of this process by its affinity and the CPU quotas of its control groups.

    Files are read below root, "" for the system's own: /proc/self/cgroup and /sys/fs/cgroup.
    """

def isa() -> str:
    """The instruction set that was chosen at import."""

def available_isas() -> list[str]:
    """Those of this build that this machine runs, the best first."""

def compiler() -> str:
    """Name and version of the compiler that built the core."""

def fma_peak(dtype: str) -> float:
    """GFLOP/s of one thread that does nothing but multiply and add, measured now; dtype "float32" or "float64"."""

def read_bandwidth(bytes: int) -> float:
    """Bytes a second at which one thread reads so many bytes of memory over and over, measured now."""
