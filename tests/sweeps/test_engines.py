"""Many trainings at once in processes of joblib, Dask and Ray: results, failures and threads.

Each engine runs once, in a script that takes its functions from `examples/`. Engines that are not installed are left
out; the gate installs all of them.
"""

from __future__ import annotations

import copy
import functools
import json
import os
import pickle
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pyrnn
from pyrnn import layers, validation

EXAMPLES = Path(__file__).parents[2] / "examples"
ENGINES = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(module) is None, reason=f"{name} is an optional package"))
    for name, module in (("joblib", "joblib"), ("dask", "distributed"), ("ray", "ray"))
]

SCRIPT = """
import json, os, signal, sys
import numpy as np
import pyrnn
from engines import ENGINES, Failure
from many_forecasters import departures as daily, train as forecast
from many_series import Result, departures, train

def quantiles(series):
    return forecast(series, {"members": 2, "epochs": 1}).quantiles.tobytes().hex()

def state(_):
    return os.getpid(), pyrnn.get_num_threads()

def fail(number):
    if number == 2:
        pyrnn.layers.LSTM(0)
    if number == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return number

def shown(result):
    if isinstance(result, Failure):
        return result.reason
    return result.weights.hex() if isinstance(result, Result) else result

if __name__ == "__main__":
    pyrnn.layers.Dense(1)([[1.0]])  # so that the parent has its threads
    series = departures()[2:10]
    report = {"parent": os.getpid()}
    with ENGINES[sys.argv[1]](2) as run:
        report["state"] = list(map(shown, run(state, range(8))))
        report["forwards"] = list(map(shown, run(train, series)))
        report["backwards"] = list(map(shown, run(train, series[::-1])))[::-1]
        report["forecasts"] = list(map(shown, run(quantiles, daily()[:4])))
        report["errors"] = list(map(shown, run(fail, range(4))))
        try:
            report["deaths"] = list(map(shown, run(fail, [0, 1, 4, 3, *range(5, 33)])))
        except Exception as error:
            report["deaths"] = type(error).__name__
    print(json.dumps(report))
"""


def run_script(engine: str, folder: Path) -> dict[str, Any]:
    """Run the script without settings of threads, and return what its last line of JSON holds."""
    path = folder / "script.py"
    path.write_text(SCRIPT)
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(pyrnn.__file__).parents[1]), str(EXAMPLES)])
    command = [sys.executable, "-W", "ignore", str(path), engine]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, timeout=300, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the script says of an engine, which runs once."""
    return functools.cache(lambda engine: run_script(engine, tmp_path_factory.mktemp(engine)))


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))


@pytest.fixture
def many_series(examples: None) -> Any:
    import many_series

    return many_series


@pytest.fixture
def many_forecasters(examples: None) -> Any:
    import many_forecasters

    return many_forecasters


@pytest.mark.parametrize("engine", ENGINES)
def test_results_do_not_depend_on_the_worker(engine: str, report: Any, many_series: Any) -> None:
    """Byte for byte those of this process, in whatever order, next to whatever else and after a failure."""
    series = many_series.departures()[2:10]
    expected = [many_series.train(each).weights.hex() for each in series if not np.isnan(each[1]).any()]
    for order in ("forwards", "backwards"):
        results = report(engine)[order]
        assert results.pop(5) == "ValueError: y holds NaN: remove or fill these samples first"
        assert results == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_forecasts_do_not_depend_on_the_worker(engine: str, report: Any, many_forecasters: Any) -> None:
    settings = {"members": 2, "epochs": 1}
    short, *forecasts = report(engine)["forecasts"]
    assert short.startswith("ValueError: data must have rows for 10 training windows")
    assert forecasts == [
        many_forecasters.train(each, settings).quantiles.tobytes().hex() for each in many_forecasters.departures()[1:4]
    ]


@pytest.mark.parametrize("engine", ENGINES)
def test_workers_have_one_thread_each(engine: str, report: Any) -> None:
    state = report(engine)["state"]
    shared = len(os.sched_getaffinity(0)) // 2 if engine == "joblib" else 1  # joblib divides the cores
    assert {threads for _, threads in state} == {max(shared, 1)}
    assert report(engine)["parent"] not in {process for process, _ in state}


@pytest.mark.parametrize("engine", ENGINES)
def test_an_item_that_raises_is_reported(engine: str, report: Any) -> None:
    first, second, error, last = report(engine)["errors"]
    assert [first, second, last] == [0, 1, 3] and error.startswith("ValueError: units must be")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_process_that_dies(engine: str, report: Any) -> None:
    """Dask and Ray start another one and report the item, not those of the same task; joblib raises."""
    deaths = copy.copy(report(engine)["deaths"])
    if engine == "joblib":
        assert deaths == "TerminatedWorkerError"
    else:
        assert deaths.pop(2).startswith(("KilledWorker", "WorkerCrashedError"))
        assert deaths == [0, 1, 3, *range(5, 33)]


def test_results_do_not_depend_on_what_ran_before(many_series: Any) -> None:
    series = many_series.departures()[:3]
    expected = [many_series.train(each) for each in series]
    pyrnn.Sequential([layers.Input((3, 1)), layers.GRU(2)]).predict(np.ones((2, 3, 1)), verbose=0)
    np.random.default_rng().normal(size=3)
    assert [many_series.train(each) for each in reversed(series)] == expected[::-1]


def test_the_example_skips_the_series_with_a_gap(many_series: Any, capsys: pytest.CaptureFixture[str]) -> None:
    results = many_series.main(many=many_series.departures()[6:9], epochs=1)
    assert list(results) == ["EWR 7", "EWR 8", "EWR 9"]
    assert results["EWR 8"].reason.startswith("ValueError: y holds NaN")
    assert "skipped EWR 8" in capsys.readouterr().out


def test_the_example_reads_a_table(many_series: Any, tmp_path: Path) -> None:
    days = ",".join(str(10 + day % 7) for day in range(60))
    (tmp_path / "views.csv").write_text(f"language,article,access,agent,days\nde,A,all,spider,{days}\nde,B,all,x,0,1\n")
    (name, values), = many_series.page_views(tmp_path / "views.csv")  # fmt: skip
    assert name == "de A all spider" and values.shape == (60,)
    result = many_series.main(many=[(name, values)], epochs=1, season=7)[name]
    assert result.naive == 0 and np.isfinite(result.error)


def test_a_search_of_forecasters(many_forecasters: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The sweep reports settings that fail, and all that follows has the best of the others."""
    series = many_forecasters.departures()[:3]
    space = {"units": [8, 0, 4], "learning_rate": [0.01]}
    best, results = many_forecasters.main(many=series, space=space, members=3, epochs=1)
    out = capsys.readouterr().out
    assert "'units': 0, 'learning_rate': 0.01, 'epochs': 1} failed: ValueError: units must be" in out
    scores = {
        units: -many_forecasters.score({"units": units, "learning_rate": 0.01, "epochs": 1}, series) for units in (4, 8)
    }
    assert best["units"] == min(scores, key=lambda units: scores[units]) and f"MASE {scores[4]:.3f}" in out
    assert list(results) == ["EWR night", "EWR morning", "EWR afternoon"]
    assert results["EWR night"].reason.startswith("ValueError: data must have rows") and "skipped EWR night" in out
    assert len(results["EWR morning"].alone) == 3 and "2 of 3 series" in out


def test_members_are_averaged(many_forecasters: Any) -> None:
    """The average is the forecast, and its error is at most the mean of theirs."""
    _, values = many_forecasters.departures()[1]
    forecaster = many_forecasters.Forecaster(horizon=7, members=3, epochs=2).fit(values)
    together, networks = forecaster.predict().median, forecaster.networks_
    alone = []
    for network in networks:
        forecaster.networks_ = [network]
        alone.append(forecaster.predict().median)
    assert not np.array_equal(alone[0], alone[1])
    np.testing.assert_allclose(np.mean(alone, axis=0), together, rtol=1e-6)
    result = many_forecasters.train(("", values), {"members": 3, "epochs": 2})
    assert result.error <= np.mean(result.alone) + 1e-9


def test_a_search_does_not_depend_on_the_engine(examples: None) -> None:
    pytest.importorskip("optuna", reason="the example needs an optional package")
    pytest.importorskip("joblib", reason="the example needs an optional package")
    import parallel_tuning

    few: dict[str, Any] = {"trials": 5, "batch": 2, "epochs": 1, "hours": 300}
    here = parallel_tuning.main(**few)
    assert parallel_tuning.main("joblib", 2, **few) == here
    assert len(here["values"]) == 5 and len(set(here["values"])) == 5


def test_the_study_hears_of_a_trial_that_fails(examples: None, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna", reason="the example needs an optional package")
    import parallel_tuning

    train = parallel_tuning.train

    def fails(trial: Any, **options: Any) -> float:
        return train((trial[0], {**trial[1], "units": 0} if trial[0] == 1 else trial[1]), **options)

    monkeypatch.setattr(parallel_tuning, "train", fails)
    values = parallel_tuning.main(trials=3, batch=2, epochs=1, hours=300)["values"]
    assert values[1] is None and None not in (values[0], values[2])


@pytest.mark.parametrize("kind", [validation.WrongType, validation.WrongKey, validation.MissingFile])
def test_errors_survive_the_way_between_processes(kind: type[Exception]) -> None:
    error = pickle.loads(pickle.dumps(kind("units must be at least 1")))
    assert type(error) is kind and "units must be at least 1" in str(error)
