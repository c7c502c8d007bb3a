"""One or many models in many threads, forked and spawned processes, and constant memory."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import _core, backend, layers, seeds
from pyrnn.callbacks import EarlyStopping
from pyrnn.models import Sequential
from pyrnn.utils import set_random_seed

X = np.random.default_rng(0).normal(size=(40, 12, 5)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(40, 1)).astype(np.float32)


def make_model(units: int = 24) -> Sequential:
    set_random_seed(3)
    model = Sequential(
        [
            layers.Input((None, 5)),
            layers.LSTM(units, return_sequences=True),
            layers.Bidirectional(layers.GRU(7)),
            layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def trained(threads: int = 0) -> list[bytes]:
    """The weights after a short training, as bytes, on that many threads if it is not 0."""
    if threads:
        backend.set_num_threads(threads)
    model = make_model()
    model.fit(X, Y, epochs=2, batch_size=16, verbose=0, shuffle=False)
    return [weight.tobytes() for weight in model.get_weights()]


def rss() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
def test_threads_that_predict_at_once(count: int) -> None:
    """Eight Python threads on one model, each call with the same bits."""
    backend.set_num_threads(1)
    model = make_model()
    expected = model.predict(X, verbose=0).tobytes()
    backend.set_num_threads(count)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: model(X).tobytes(), range(48)))
    assert set(results) == {expected}


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_models_that_train_at_once() -> None:
    """Each in its own thread, while a further one changes the number of threads. (Seeds are drawn before.)"""
    models = [make_model() for _ in range(4)]
    expected = trained()

    def train(model: Sequential) -> list[bytes]:
        for _ in range(2):
            for first in range(0, len(X), 16):
                model.train_on_batch(X[first : first + 16], Y[first : first + 16])
        return [weight.tobytes() for weight in model.get_weights()]

    with ThreadPoolExecutor(5) as pool:
        runs = [pool.submit(train, model) for model in models]
        changes = pool.submit(lambda: [backend.set_num_threads(1 + i % 3) for i in range(30)])
        assert all(run.result() == expected for run in runs)
        changes.result()


@pytest.mark.threads
def test_threads_that_set_seeds_at_once() -> None:
    """As the tasks of a Dask worker with several threads do: each has the numbers that it has alone."""

    def train(seed: int) -> list[bytes]:
        set_random_seed(seed)
        model = Sequential([layers.Input((None, 5)), layers.LSTM(4, dropout=0.2), layers.Dropout(0.2), layers.Dense(1)])
        model.compile("adam", "mse")
        model.fit(X, Y, epochs=2, batch_size=16, verbose=0)
        return [weight.tobytes() for weight in model.get_weights()]

    expected = [train(seed) for seed in range(6)]
    set_random_seed(7)
    state = seeds.streams()["pyrnn"]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(train, range(6))) == expected
        assert pool.submit(seeds.streams).result()["pyrnn"] != state
    assert seeds.streams()["pyrnn"] == state  # what threads draw with seeds of their own does not count here


def test_threads_without_a_seed_draw_from_that_of_the_process() -> None:
    set_random_seed(7)
    expected = seeds.next_seed()
    set_random_seed(7)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(seeds.next_seed).result() == expected


@pytest.mark.threads
@pytest.mark.parametrize("batch", [1, 64])  # of which the second steps without the GIL
def test_threads_that_share_a_stream(batch: int) -> None:
    """Every step counts once, whichever thread takes it."""
    stream = backend.Stream32(batch, 5)
    stream.add_recurrent(
        "simple_rnn", np.zeros((5, 9), np.float32), np.eye(9, dtype=np.float32), np.ones(9, np.float32), "linear", None
    )
    x = np.zeros((batch, 5), np.float32)

    def walk() -> None:
        for _ in range(50):
            stream.step(x)
            assert len(set(stream.states()[0].ravel().tolist())) == 1

    with ThreadPoolExecutor(8) as pool:
        for run in [pool.submit(walk) for _ in range(8)]:
            run.result()
    assert (stream.states()[0] == 400).all()


@pytest.mark.threads
def test_layers_that_are_added_while_a_stream_runs() -> None:
    """The stream accepts them before its first step and rejects them after it, in whatever order the threads come."""
    for _ in range(40):
        stream = backend.Stream32(2, 3)
        stream.add_activation("linear")

        def add(stream: Any = stream) -> int:
            taken = 0
            for _ in range(20):
                try:
                    stream.add_layer_norm(np.ones(3, np.float32), np.zeros(3, np.float32), 1e-3)
                    taken += 1
                except ValueError as error:
                    assert "before the first step" in str(error)
            return taken

        with ThreadPoolExecutor(3) as pool:
            runs = [pool.submit(add) for _ in range(2)]
            steps = pool.submit(lambda stream=stream: [stream.step(np.ones((2, 3), np.float32)) for _ in range(20)])
            assert all(np.isfinite(y).all() for y in steps.result())
            assert all(0 <= run.result() <= 20 for run in runs)


def test_a_stream_that_its_own_x_calls() -> None:
    """Python code that runs in the middle of a step may call the stream again: no thread waits for itself."""
    stream = backend.Stream64(1, 2)
    stream.add_activation("linear")

    class Returning:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return stream.step(np.array([[1.0, 2.0]])) + 1

    assert stream.step(Returning()).tolist() == [[2.0, 3.0]]


def default_threads(change: str) -> int:
    """Return the default number of threads of a new process, after `change`."""
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    code = f"import os; {change}; import pyrnn; print(pyrnn.get_num_threads())"
    command = [sys.executable, "-c", code]
    return int(subprocess.run(command, env=environment, check=True, capture_output=True, cwd="/").stdout)


THREAD_VARIABLES = ("PYRNN_NUM_THREADS", "OMP_NUM_THREADS")


def test_threads_follow_the_affinity() -> None:
    allowed = sorted(os.sched_getaffinity(0))
    assert default_threads(f"os.sched_setaffinity(0, {{{allowed[0]}}})") == 1
    assert default_threads("pass") == min(_core.usable_cores(""), 256)
    assert _core.usable_cores("") <= len(allowed)
    assert default_threads("os.environ['OMP_NUM_THREADS'] = '3'") == 3
    assert default_threads("os.environ.update(OMP_NUM_THREADS='3', PYRNN_NUM_THREADS='5')") == 5


GROUPS: dict[str, tuple[str, dict[str, str], int | None]] = {
    "no files": ("", {}, None),
    "no quota": ("0::/\n", {"cpu.max": "max 100000\n"}, None),
    "one core": ("0::/\n", {"cpu.max": "100000 100000\n"}, 1),
    "half a core": ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
    "in a group": ("0::/user.slice/job\n", {"user.slice/job/cpu.max": "100000 100000\n"}, 1),
    "in a group within a group with a quota": ("0::/user.slice/job/inner\n", {"user.slice/cpu.max": "900 1000\n"}, 1),
    "in a container that sees its own part": ("0::/docker/1a2b\n", {"cpu.max": "100000 100000\n"}, 1),
    "more than there is": ("0::/\n", {"cpu.max": "99999999 1000\n"}, None),
    "another group's": ("0::/job\n", {"other/cpu.max": "1000 1000\n"}, None),
    "version 1": (
        "3:memory:/job\n2:cpu,cpuacct:/job\n",
        {"cpu,cpuacct/job/cpu.cfs_quota_us": "10\n", "cpu,cpuacct/job/cpu.cfs_period_us": "10\n"}, 1,
    ),
    "version 1 without a quota": (
        "2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None,
    ),
    "nonsense": ("0\n::\n0::job\n0::/job\n", {"cpu.max": "x y\n", "job/cpu.max": "-5 0\n"}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_threads_follow_the_quota_of_the_control_group(name: str, tmp_path: Path) -> None:
    groups, files, expected = GROUPS[name]
    for path, content in {"proc/self/cgroup": groups, **{f"sys/fs/cgroup/{key}": files[key] for key in files}}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    assert _core.usable_cores(str(tmp_path)) == (len(os.sched_getaffinity(0)) if expected is None else expected)


@pytest.mark.parametrize("name", ["core_cpus_list", "thread_siblings_list"])
@pytest.mark.parametrize("apart", [True, False])
def test_threads_of_one_core_count_once(name: str, apart: bool, tmp_path: Path) -> None:
    """A second hardware thread of a core adds little, and made calls slower that every thread had a task of."""
    allowed = sorted(os.sched_getaffinity(0))
    for cpu in allowed:
        core = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        core.mkdir(parents=True)
        (core / name).write_text(f"{cpu},{cpu + 64}\n" if apart else "0-1023\n")
    assert _core.usable_cores(str(tmp_path)) == (len(allowed) if apart else 1)


WITHIN_LIMITS = """
import resource, sys
import numpy as np
from pyrnn import _core, get_num_threads, set_num_threads

x, kernel, recurrent = (np.random.default_rng(0).normal(size=size).astype(np.float32) / 8
                        for size in ((256, 9, 8), (8, 256), (64, 256)))
options = dict(activation="tanh", recurrent_activation="sigmoid", initial_state=None, mask=None, input_scale=None,
               state_scale=None, go_backwards=False, return_sequences=True, zero_output_for_mask=False,
               checkpoint_steps=None, training=False, workspace=_core.Workspace(), version=1)
run = lambda: _core.rnn_forward("lstm", x, kernel, recurrent, None, **options)[0].tobytes()
set_num_threads(1)
expected = run()
LIMIT
set_num_threads(64)
try:
    same = all(run() == expected for _ in range(3))
    workers = len(__import__("os").listdir("/proc/self/task")) - 1
    print(same, get_num_threads() - workers, workers)
except MemoryError:
    print("no memory")
"""


def run_within(limit: str, environment: dict[str, str]) -> list[str]:
    """Run 64 threads under a limit; return whether the bits are the same, and the number of threads."""
    code = WITHIN_LIMITS.replace("LIMIT", limit)
    environment = {**environment, "OPENBLAS_NUM_THREADS": "1"}  # NumPy's threads would count
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, timeout=60, cwd="/")
    return result.stdout.decode().split()


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="AddressSanitizer reserves terabytes")
@pytest.mark.parametrize("megabytes", [0, 1, 9, 20, 50, 200, 400, 9000])
def test_threads_that_find_no_memory(megabytes: int, uncounted: dict[str, str]) -> None:
    """The threads that could start do the work and are reported. The pool's constructor used to wait indefinitely."""
    limit = f"""
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + ({megabytes} << 20)
resource.setrlimit(resource.RLIMIT_AS, (size, size))"""
    result = run_within(limit, uncounted)
    if result != ["no", "memory"]:
        assert result[:2] == ["True", "1"]
        assert int(result[2]) == 63 if megabytes == 9000 else int(result[2]) <= megabytes // 8


NOBODY = 2**31 - 3  # a user without processes, for root is above limits


@pytest.mark.parametrize("processes", [1, 2, 7])
def test_threads_above_the_limit_on_processes(processes: int, uncounted: dict[str, str]) -> None:
    become = f"import os; os.setuid({NOBODY}) if os.getuid() == 0 else None\n"
    limit = f"{become}resource.setrlimit(resource.RLIMIT_NPROC, ({processes}, {processes}))"
    same, caller, workers = run_within(limit, uncounted)
    assert (same, caller) == ("True", "1")
    assert int(workers) == processes - 1 if os.getuid() == 0 else int(workers) < processes


@pytest.mark.threads
@pytest.mark.usefixtures("any_thread_count")
def test_the_number_of_threads_is_what_was_set_last() -> None:
    model = make_model()
    expected = model.predict(X, verbose=0).tobytes()
    with ThreadPoolExecutor(2) as pool:
        calls = pool.submit(lambda: [model(X).tobytes() for _ in range(200)])
        for count in (1, 5, 2, 64, 3) * 5:
            backend.set_num_threads(count)
            assert backend.get_num_threads() == count
            assert model(X).tobytes() == expected
        assert set(calls.result()) == {expected}


ENDING = """
import os, random, sys, threading, time
import numpy as np
from pyrnn import _core, layers, set_num_threads
from pyrnn.models import Sequential

x, y = np.random.default_rng(0).normal(size=(64, 30, 4)).astype(np.float32), np.zeros((64, 1), np.float32)

def made():
    stack = [layers.LSTM(24, return_sequences=True), layers.GRU(8), layers.Dense(1)]
    model = Sequential([layers.Input((None, 4)), *stack])
    model.compile("adam", "mse")
    return model

def train(model):
    model.fit(x, y, epochs=3, verbose=0, batch_size=16)

def predict(model):
    model.predict(x, verbose=0)

def step(stream):
    stream.step(x[:, 0])

def pool(_):
    _core.pool1d_forward(x, mode="max", pool_size=2, strides=1, padding="valid")
    _core.activation_forward(x, "tanh")

def repeat(work, argument):
    while True:
        work(argument)

set_num_threads(2)
stream = _core.Stream32(64, 4)
stream.add_dense(np.ones((4, 9), np.float32), None, "tanh")
work = [(train, made()), (predict, made()), (step, stream), (step, stream), (pool, None)]
for child in range(50):
    if os.fork() == 0:
        for each in work:
            threading.Thread(target=repeat, args=each, daemon=True).start()
        time.sleep(random.Random(child).random() * 0.05)
        break
    print(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_daemon_thread_in_the_core_does_not_hold_up_the_exit(uncounted: dict[str, str]) -> None:
    """Fifty processes end while daemon threads train, predict and stream. They used to abort."""
    command = [sys.executable, "-W", "ignore", "-c", ENDING]
    result = subprocess.run(command, env=uncounted, check=True, capture_output=True, timeout=120, cwd="/")
    assert result.stdout.decode().split() == ["0"] * 50, result.stderr.decode()[-2000:]


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_the_core_leaves_the_gil_off() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    code = "import sys, pyrnn._core; print(sys._is_gil_enabled())"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, check=True, capture_output=True, cwd="/"
    )
    assert run.stdout.decode().strip() == "False"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("any_thread_count")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_train_after_their_parent(method: str) -> None:
    expected = trained(2)  # the parent has its threads now
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(trained, [2, 2]) == [expected, expected]
    assert trained() == expected


CHILDREN = """
import concurrent.futures, multiprocessing, os, sys
EARLY

def threads(_):
    import pyrnn
    return pyrnn.get_num_threads()

if __name__ == "__main__":
    import pyrnn
    BEFORE
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(1) as pool:
        counts = pool.map(threads, [0])
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        counts += pool.map(threads, [0])
    print(*counts, pyrnn.get_num_threads())
"""


@pytest.mark.parametrize("early", ["", "import pyrnn"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize(
    ("variable", "before", "expected"),
    [
        ("", "", [1, 1, min(_core.usable_cores(""), 256)]),
        ("", "pyrnn.layers.Dense(1)([[1.0]])", [1, 1, min(_core.usable_cores(""), 256)]),
        ("OMP_NUM_THREADS", "", [3, 3, 3]),
        ("PYRNN_NUM_THREADS", "", [3, 3, 3]),
    ],
)
def test_children_have_one_thread_by_default(
    method: str, early: str, variable: str, before: str, expected: list[int], tmp_path: Path
) -> None:
    """A child is most likely one of several: all of them with a thread for each core hinder each other."""
    script = tmp_path / "script.py"
    script.write_text(CHILDREN.replace("EARLY", early).replace("BEFORE", before))
    environment = {name: value for name, value in os.environ.items() if name not in THREAD_VARIABLES}
    if variable:
        environment[variable] = "3"
    environment["PYTHONPATH"] = str(Path(pyrnn.__file__).parents[1])
    command = [sys.executable, "-W", "ignore", str(script), method]
    output = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120).stdout
    assert list(map(int, output.split())) == expected


def test_threads_that_were_set_stay_in_forked_children(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(CHILDREN.replace("EARLY", "").replace("BEFORE", "pyrnn.set_num_threads(3)"))
    environment = {**os.environ, "PYTHONPATH": str(Path(pyrnn.__file__).parents[1])}
    command = [sys.executable, "-W", "ignore", str(script), "fork"]
    assert subprocess.run(command, env=environment, check=True, capture_output=True).stdout.split() == [b"3"] * 3


def grown(work: Any, times: int) -> float:
    """By how many bytes the process grows over `times` calls, after some to warm up.

    Ten times the median of ten parts: a leak shows in all of them, while an allocator takes some megabytes in one (and,
    without a GIL, gives them back in another).
    """
    for _ in range(max(60, times // 10)):  # without a GIL allocators grow for longer before they are flat
        work()
    moments = []
    for part in range(11):
        for _ in range(times // 10 if part else 0):
            work()
        gc.collect()
        moments.append(rss())
    return 10 * float(np.median(np.diff(moments)))


ALLOWED = 4 << 20


def check_steps(times: int) -> None:
    model = make_model()
    assert grown(lambda: model.train_on_batch(X, Y), times) < ALLOWED


def check_models(times: int) -> None:
    def work() -> None:
        model = make_model(96)
        model.train_on_batch(X, Y)
        model.predict(X, verbose=0)

    assert grown(work, times) < ALLOWED


def check_fits(times: int) -> None:
    """One model for each series, as in a sweep."""

    def work() -> None:
        set_random_seed(1)
        model = Sequential([layers.Input((12, 5)), layers.LSTM(16), layers.Dense(1)])
        model.compile("adam", "mse", metrics=["mae"])
        model.fit(X, Y, batch_size=20, verbose=0, validation_split=0.2, callbacks=[EarlyStopping()])
        model.predict(X, verbose=0)

    assert grown(work, times) < ALLOWED


def check_shapes(times: int) -> None:
    model = make_model()
    shapes = iter(np.random.default_rng(2).integers(1, (41, 13), size=(2 * times + 20, 2)).tolist())

    def work() -> None:
        batch, steps = next(shapes)
        model.train_on_batch(np.ascontiguousarray(X[:batch, :steps]), Y[:batch])
        model.predict(X[:batch, :steps], verbose=0)

    assert grown(work, times) < ALLOWED


CHECKS = {
    "steps": (check_steps, 1500, 100_000),
    "models": (check_models, 60, 1000),
    "fits": (check_fits, 200, 1000),
    "shapes": (check_shapes, 600, 20_000),
}


@pytest.mark.parametrize("what", CHECKS)
def test_memory_stays_flat(what: str) -> None:
    check, times, _ = CHECKS[what]
    check(times)


@pytest.mark.slow
@pytest.mark.parametrize("what", CHECKS)
def test_memory_stays_flat_for_long(what: str) -> None:
    check, _, times = CHECKS[what]
    check(times)
