"""The command line, and what the demo forecasts from."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import pyrnn
from pyrnn import backend, bench, cli, demo, demo_report, demo_series, layers
from pyrnn.export import to_int8
from pyrnn.export.footprint import footprint

WINDOW = demo.SHORTEST_WINDOW
Dates = NDArray[np.datetime64]


@pytest.fixture
def series_csv(tmp_path: Path) -> Path:
    """400 hourly rows with a daily cycle, a zero, a gap and a column of text."""
    path = tmp_path / "series.csv"
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-01-01T00")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["when", "sales", "heat", "shop"])
        for i in range(400):
            sales = f"{50 + 20 * np.sin(2 * np.pi * i / 24) + rng.normal():.2f}"
            sales = {300: "0", 310: ""}.get(i, sales)
            writer.writerow([str(start + np.timedelta64(i, "h")), sales, f"{rng.normal():.2f}", "north"])
    return path


def core_is_built() -> bool:
    try:
        backend.get_num_threads()
    except ImportError:
        return False
    return True


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info"]) == 0
    out = capsys.readouterr().out
    assert "pyrnn" in out and backend.current_backend() in out
    if core_is_built():
        assert backend.isa() in out and backend.compiler() in out


@pytest.fixture
def model_file(tmp_path: Path) -> Path:
    model = pyrnn.Sequential([layers.Input((None, 4)), layers.LSTM(16, name="rnn"), layers.Dense(1, name="fc")])
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def test_info_of_a_model(model_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(model_file)]) == 0
    out = capsys.readouterr().out
    assert "rnn (LSTM)" in out and "1,361" in out  # 4 * 16 * (4 + 16 + 1) + 16 + 1
    assert f"{4 * 16 * (4 + 16) + 16:,} multiply-adds per time step" in out
    sizes = [int(each.replace(",", "")) for each in re.findall(r"([\d,]+) bytes", out)]
    flash, ram, flash_int8, ram_int8 = sizes
    assert flash >= 4 * 1360 and ram >= 4 * 32  # the bias of one output is a literal
    assert 1280 <= flash_int8 < flash and 2 * 32 <= ram_int8 < ram


def test_the_footprint_is_that_of_the_files(tmp_path: Path) -> None:
    model = pyrnn.Sequential([layers.Input((None, 2)), layers.GRU(8), layers.Dense(3, "relu")])
    needed = footprint(model)
    data = np.random.default_rng(1).normal(size=(4, 9, 2))
    for dtype, sizes in (("float32", needed.float32), ("int8", needed.int8)):
        calibration = {"calibration": data} if dtype == "int8" else {}
        source = pyrnn.export.to_c(model, tmp_path / dtype, name="m", dtype=dtype, **calibration)[0]
        text = Path(source).read_text()
        assert f"{sizes.flash} bytes of constants (flash)" in text and f"{sizes.ram} bytes (RAM)" in text


def test_a_model_without_int8_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    model = pyrnn.Sequential([layers.Input((None, 2)), layers.GRU(8)])

    def fails(*_: object) -> None:
        raise ValueError("layer 'gru' has no integers")

    monkeypatch.setattr(to_int8, "placed", fails)
    assert footprint(model).int8 == "layer 'gru' has no integers"


def test_info_of_whole_sequences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = pyrnn.Sequential([layers.Input((None, 2)), layers.Bidirectional(layers.GRU(3))])
    model.save(path := tmp_path / "both.keras")
    assert cli.main(["info", str(path)]) == 0
    assert "pass steps" in capsys.readouterr().out
    assert cli.main(["info", str(path), "--steps", "10"]) == 0
    assert f"{10 * 2 * 9 * 5:,} multiply-adds per sequence" in capsys.readouterr().out


def test_info_of_a_model_that_has_no_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = pyrnn.Sequential([layers.Input((5, 4, 2)), layers.ConvLSTM1D(2, 2)])
    model.save(path := tmp_path / "conv.keras")
    assert cli.main(["info", str(path)]) == 0
    assert re.search(r"in C      .*conv_lstm", capsys.readouterr().out)


@pytest.mark.parametrize("layout, name", [("pyrnn", "rnn/lstm_cell/kernel"), ("torch", "rnn.weight_ih_l0")])
def test_export_safetensors(model_file: Path, layout: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = model_file.with_suffix(".safetensors")
    assert cli.main(["export", "safetensors", str(model_file), str(out), "--layout", layout]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    assert name in pyrnn.interop.read_safetensors(out)


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["export", "safetensors", "nowhere.keras", "x.safetensors"], "nowhere.keras"),
        (["export", "onnx", "nowhere.keras", "x.onnx"], "nowhere.keras"),
        (["export", "safetensors", "MODEL", "x.bin"], "path must end in '.safetensors'"),
        (["info", "nowhere.keras"], "nowhere.keras"),
    ],
)
def test_models_that_cannot_be_read_or_written(
    model_file: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([str(model_file) if each == "MODEL" else each for each in arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error and error.count("\n") == 1


def test_demo_on_a_csv_file(series_csv: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png = tmp_path / "out.png"
    arguments = ["--season", "24", "--window", str(WINDOW), "--epochs", "1", "--batch-size", "16", "--verbose", "0"]
    assert cli.main(["demo", "--data", str(series_csv), "--target", "sales", "--png", str(png), *arguments]) == 0
    out = capsys.readouterr().out
    for name in [*demo.MODELS, "naive: last value", "naive: value 24 rows before"]:
        assert name in out
    assert png.exists() == ("matplotlib is not installed" not in out)
    assert not png.exists() or str(png) in out
    assert f"pyrnn forecast {series_csv} --target sales" in out


def test_the_table_of_the_demo_begins_with_the_best_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    losses = {"GRU(32)": 10.0, "LSTM(32)": 5.0, "naive: last value": 20.0}
    demo_report.print_table(
        [demo.Result(name, loss, None if "naive" in name else 1.5, np.empty(0)) for name, loss in losses.items()]
    )
    rows = [line for line in capsys.readouterr().out.splitlines() if " %" in line]
    assert [row.split()[1] for row in rows] == ["LSTM(32)", "GRU(32)", "naive:"]
    assert "-75 %" in rows[0] and "-50 %" in rows[1] and "1.5 s" in rows[0]


def test_bars_of_the_demo_show_every_epoch(series_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    series = demo_series.csv_series(series_csv, "sales", 24)
    demo.run(series, window=WINDOW, epochs=2, batch_size=32, seed=0, verbose=1)
    lines = [line for line in capsys.readouterr().out.splitlines() if "epoch 2 of 2, val_loss" in line]
    assert [line[:20].strip() for line in lines] == list(demo.MODELS)


@pytest.fixture
def days() -> Dates:
    return np.arange("2023-01-01", "2023-07-20", dtype="datetime64[D]")


def write(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def read(path: Path, target: str | None = "sales", season: int | None = 7) -> tuple[demo_series.Series, str]:
    """The series, and what was said about it."""
    said: list[str] = []
    return demo_series.csv_series(path, target, season, said.append), "\n".join(said)


def test_the_demo_orders_rows_by_date(tmp_path: Path, days: Dates) -> None:
    path = write(tmp_path / "x.csv", "day,sales", [f"{day},{10 + index}" for index, day in enumerate(days)][::-1])
    series, _ = read(path)
    np.testing.assert_array_equal(series.values, 10 + np.arange(len(days)))
    assert series.dates is not None and str(series.dates[0])[:10] == "2023-01-01"


def test_the_demo_fills_missing_dates_and_does_not_forecast_them(tmp_path: Path, days: Dates) -> None:
    rows = [f"{day},{10 + index},{index}" for index, day in enumerate(days) if index != 100]
    series, said = read(write(tmp_path / "x.csv", "day,sales,heat", rows))
    assert len(series.values) == len(days) and series.values[100] == series.values[99]
    assert series.columns[100, 1] == 99.0 and series.columns[101, 1] == 101.0
    assert not series.usable[100] and series.usable[99] and "2023-04-11" in said


def test_the_demo_takes_the_longest_of_several_series(tmp_path: Path, days: Dates) -> None:
    rows = [f"{day},north,{10 + index}" for index, day in enumerate(days[50:])]
    rows += [f"{day},south,{20 + index}" for index, day in enumerate(days)]
    series, said = read(write(tmp_path / "x.csv", "day,shop,sales", rows))
    np.testing.assert_array_equal(series.values, 20 + np.arange(len(days)))
    assert "2 series by 'shop', of which the demo takes the longest, 'south'" in said


def test_the_demo_counts_rows_of_irregular_dates(tmp_path: Path) -> None:
    hours = np.datetime64("2024-01-01T00", "m") + np.cumsum(np.random.default_rng(0).integers(1, 3000, 300))
    series, said = read(write(tmp_path / "x.csv", "when,sales", [f"{hour},{i + 1}" for i, hour in enumerate(hours)]))
    assert "not regular, so each row counts as one step" in said
    np.testing.assert_array_equal(series.values, 1 + np.arange(300))
    assert series.dates is None


def test_the_demo_chooses_the_only_column_of_numbers(tmp_path: Path, days: Dates) -> None:
    rows = [f"{day};{index},5" for index, day in enumerate(days)]
    series, said = read(write(tmp_path / "x.csv", "Tag;Umsatz", rows), None, None)
    assert series.target == "Umsatz" and series.values[3] == 3.5 and "decimal commas" in said


def test_the_demo_asks_for_a_target_among_several(series_csv: Path) -> None:
    with pytest.raises(ValueError, match=r"--target must name the column to forecast; .*'sales', 'heat'"):
        read(series_csv, None)


def test_the_demo_suggests_a_column(series_csv: Path) -> None:
    with pytest.raises(ValueError, match=r"has no column 'sale', but 'when', .*; did you mean 'sales'\?"):
        read(series_csv, "sale")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--target", "sales"], "--target and --season are for the file of --data"),
        (["--data", "nowhere.csv", "--target", "sales"], "nowhere.csv"),
        (["--png", "nowhere/out.png"], "there is no folder 'nowhere'"),
        (["--data", "CSV", "--target", "price"], "has no column 'price'"),
        (["--data", "CSV", "--target", "shop"], "column 'shop' of"),
        (["--data", "CSV", "--target", "sales", "--season", "190"], "the series is too short"),
        (["--data", "CSV", "--target", "sales", "--season", "24", "--window", "10"], "window must be at least"),
        (["--data", "CSV", "--target", "sales", "--season", "24", "--batch-size", "999"], "batch_size must be at most"),
    ],
)
def test_demo_refuses_in_one_sentence(
    series_csv: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    arguments = [str(series_csv) if argument == "CSV" else argument for argument in arguments]
    assert cli.main(["demo", *arguments]) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_zero_and_missing_rows_are_not_forecast(series_csv: Path) -> None:
    series = demo_series.csv_series(series_csv, "sales", 24)
    task = demo.make_task(series, WINDOW)
    ends = np.concatenate([task.train, task.validation])
    assert not {300, 310} & set(ends.tolist())
    assert series.columns.shape == (400, 2)
    assert series.values[310] == series.values[309]


def test_windows_end_before_the_row_they_forecast() -> None:
    series = demo_series.flight_series()
    task = demo.make_task(series, 100)
    assert task.train.max() < task.validation.min()
    future = np.arange(len(series.values)) >= 8000
    changed = demo.make_task(
        replace(
            series,
            values=np.where(future, 1.0, series.values),
            columns=np.where(future[:, None], 1e6, series.columns),
        ),
        100,
    )
    x, y = task.batch(np.array([8000]))
    x_changed, y_changed = changed.batch(np.array([8000]))
    np.testing.assert_array_equal(x, x_changed)
    assert y[0, 0] * task.scale == pytest.approx(series.values[8000])
    assert y_changed[0, 0] != y[0, 0]


def test_calendar_is_of_the_row_to_forecast() -> None:
    series = demo_series.flight_series()
    assert np.argmax(series.calendar[0, -7:]) == 1  # 2013 began on a Tuesday.
    task = demo.make_task(series, 100)
    x, _ = task.batch(np.array([8000]))
    np.testing.assert_allclose(x[0, -1, -15:], series.calendar[8000], rtol=1e-6, atol=1e-6)


def test_flights_to_forecast_are_by_day_and_never_zero() -> None:
    series = demo_series.flight_series()
    task = demo.make_task(series, 100)
    assert series.values[np.concatenate([task.train, task.validation])].min() >= 1
    assert len(task.train) == pytest.approx(4 * len(task.validation), rel=0.01)
    assert task.inputs.shape == (8760, 29)


def test_the_generator_yields_whole_batches_without_end() -> None:
    task = demo.make_task(demo_series.flight_series(), WINDOW)
    batches = demo.generator(task, task.validation, 1000)
    shapes = {next(batches)[0].shape for _ in range(3)}
    assert shapes == {(1000, WINDOW, 29)}


@pytest.mark.skipif(not core_is_built(), reason="compares the core with the reference")
def test_bench(capsys: pytest.CaptureFixture[str]) -> None:
    before = backend.current_backend()
    assert cli.main(["bench", "--book-only", "--seconds", "0.01"]) == 0
    assert "of peak" in capsys.readouterr().out
    assert backend.current_backend() == before


def test_bench_times_nothing_where_backends_disagree() -> None:
    case = bench.Case(2, 3, 4, (5,))
    models = {name: case.model("float32") for name in backend.BACKENDS}
    bench.check(case, "float32", {"core": 1.0, "reference": 1.0}, models)
    with pytest.raises(ArithmeticError, match=r"H=5: loss of core and reference differ by 5\.0e-01"):
        bench.check(case, "float32", {"core": 1.0, "reference": 2.0}, models)


@pytest.mark.parametrize(
    "arguments",
    [[], ["train"], ["export"], ["export", "pt", "a", "b"], ["bench", "--threads", "0"], ["demo", "--epochs", "-1"]],
)
def test_wrong_command_line(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2


def test_the_module_is_the_command() -> None:
    run = subprocess.run([sys.executable, "-m", "pyrnn", "info"], capture_output=True, text=True, check=False, cwd="/")
    assert run.returncode == 0 and pyrnn.__version__ in run.stdout


def test_export_c(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [pyrnn.layers.LSTM(4, input_shape=(None, 2)), pyrnn.layers.Dense(1)]
    pyrnn.Sequential(layers).save(tmp_path / "model.keras")
    assert cli.main(["export", "c", str(tmp_path / "model.keras"), "--output", str(tmp_path / "lstm.c")]) == 0
    paths = [Path(line) for line in capsys.readouterr().out.split()]
    assert [path.name for path in paths] == ["lstm.c", "lstm.h", "lstm_test.c"]
    assert "void lstm_step(lstm_state *s, const float *x, float *y);" in paths[1].read_text()
    options = ["--output", str(tmp_path), "--name", "whole", "--sequences"]
    assert cli.main(["export", "c", str(tmp_path / "model.keras"), *options]) == 2
    assert "pass steps" in capsys.readouterr().err
    assert cli.main(["export", "c", str(tmp_path / "model.keras"), *options, "--steps", "7"]) == 0
    assert "#define WHOLE_X_SIZE 14" in (tmp_path / "whole.h").read_text()


def test_export_c_in_integers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, data = str(tmp_path / "model.keras"), tmp_path / "data.npy"
    pyrnn.Sequential([pyrnn.layers.LSTM(4, input_shape=(None, 2)), pyrnn.layers.Dense(1)]).save(model)
    np.save(data, np.random.default_rng(0).normal(size=(8, 9, 2)))
    assert cli.main(["export", "c", model, "--output", str(tmp_path / "lstm.c"), "--int8", str(data)]) == 0
    assert "void lstm_step(lstm_state *s, const int16_t *x, int16_t *y);" in (tmp_path / "lstm.h").read_text()
    np.save(data, np.zeros((8, 9, 3)))
    assert cli.main(["export", "c", model, "--output", str(tmp_path / "lstm.c"), "--int8", str(data)]) == 2
    np.save(data, np.array([None]), allow_pickle=True)
    assert cli.main(["export", "c", model, "--output", str(tmp_path / "lstm.c"), "--int8", str(data)]) == 2
    assert capsys.readouterr().err.count("pyrnn export: ") == 2


def test_export_c_in_integers_with_several_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, rng = str(tmp_path / "model.keras"), np.random.default_rng(0)
    inputs = [layers.Input((None, size)) for size in (2, 3)]
    y = layers.Dense(1)(layers.Concatenate()([layers.GRU(4, return_sequences=True)(inputs[0]), inputs[1]]))
    model = pyrnn.Model(inputs, y)
    model.save(path)
    data = [rng.normal(size=(8, 9, size)).astype(np.float32) for size in (2, 3)]
    files = [tmp_path / f"{number}.npy" for number in range(2)]
    for file, array in zip(files, data, strict=True):
        np.save(file, array)
    command = ["export", "c", path, "--output", str(tmp_path / "two.c")]
    assert cli.main([*command, "--int8", str(files[0]), "--int8", str(files[1])]) == 0
    written = (tmp_path / "two.c").read_text()
    pyrnn.export.to_c(pyrnn.load_model(path), tmp_path / "again" / "two.c", dtype="int8", calibration=data)
    assert written == (tmp_path / "again" / "two.c").read_text()
    capsys.readouterr()
    assert cli.main([*command, "--int8", str(files[0])]) == 2
    assert "calibration" in capsys.readouterr().err
