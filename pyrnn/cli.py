"""The command ``pyrnn``. Bad input ends in one sentence and exit code 2, without a traceback."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pyrnn
from pyrnn import backend

DEFAULT_EPOCHS = 20
DEFAULT_SEED = 0


def positive_int(text: str) -> int:
    """Parse an integer of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {value}")
    return value


def positive_float(text: str) -> float:
    """Parse a finite number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
    return value


def demo(arguments: argparse.Namespace) -> None:
    """Train the textbook's models and print the table."""
    # The demo's layers and models would slow `pyrnn info` down.
    from pyrnn import demo as demonstration
    from pyrnn import demo_report, demo_series

    if arguments.data is None and (arguments.target is not None or arguments.season is not None):
        raise ValueError("--target and --season are for the file of --data")
    if not arguments.png.parent.is_dir():
        raise ValueError(f"--png: there is no folder {str(arguments.png.parent)!r}")
    if arguments.data is None:
        series = demo_series.flight_series()
    else:
        series = demo_series.csv_series(arguments.data, arguments.target, arguments.season)
    window = arguments.window or demonstration.default_window(series)
    results = demonstration.run(
        series,
        window=window,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        verbose=arguments.verbose,
    )
    print()
    demo_report.print_table(results)
    if demo_report.plot(series, results, window, arguments.png):
        print(f"\nPicture: {arguments.png.resolve()}")
    else:
        print("\nNo picture: matplotlib is not installed")
    print(f"\n{demo_report.next_steps(arguments.data, series.target)}")


def forecast(arguments: argparse.Namespace) -> None:
    """Forecast a column of a file."""
    from pyrnn.forecasting import command

    options = {
        name: getattr(arguments, name) for name in ("model", "lookback", "season", "epochs", "batch_size", "seed")
    }
    command.run(
        command.Request(
            file=arguments.file,
            target=arguments.target,
            horizon=arguments.horizon,
            group=arguments.group,
            past=arguments.past,
            future=arguments.future,
            static=arguments.static,
            date=arguments.date,
            order=arguments.order,
            decimal=arguments.decimal,
            missing=arguments.missing,
            output=arguments.output,
            plot=arguments.plot,
            options=options,
        )
    )


def info(arguments: argparse.Namespace) -> None:
    """Print what this installation is, or what a model is and needs."""
    if arguments.model is None:
        print_installation()
    else:
        print_model(arguments.model, arguments.steps)


def print_installation() -> None:
    """Print the version, the instruction sets, the threads and the compiler of this installation."""
    print(f"pyrnn     {pyrnn.__version__}")
    print(f"python    {platform.python_version()}, NumPy {np.__version__}, {platform.system()} {platform.machine()}")
    print(f"backend   {backend.current_backend()}")
    try:
        available = ", ".join(backend.available_isas())
    except ImportError as error:
        print(f"core      {error}")
        return
    print(f"isa       {backend.isa()} (available: {available})")
    print(f"threads   {backend.get_num_threads()}")
    print(f"compiler  {backend.compiler()}")


def print_model(path: Path, steps: int | None) -> None:
    """Print the layers and the parameters of a model, and the flash and the RAM that it would need in C."""
    from pyrnn import load_model
    from pyrnn.export.footprint import footprint

    model = load_model(path, compile=False)
    model.summary()
    try:
        needed = footprint(model, steps)
    except ValueError as error:
        print(f"\nin C      {error}")
        return
    per = "time step" if needed.stream else "sequence"
    print(f"\nin C      {needed.multiply_adds:,} multiply-adds per {per}")
    for dtype in ("float32", "int8"):
        sizes = getattr(needed, dtype)
        bytes_of = sizes if isinstance(sizes, str) else f"{sizes.flash:,} bytes of flash, {sizes.ram:,} bytes of RAM"
        print(f"{dtype:9} {bytes_of}")


def export_safetensors(arguments: argparse.Namespace) -> None:
    """Write the weights of a model as a safetensors file."""
    from pyrnn import export, load_model

    export.to_safetensors(load_model(arguments.model, compile=False), arguments.output, layout=arguments.layout)
    print(arguments.output)


def export_onnx(arguments: argparse.Namespace) -> None:
    """Write a model as an ONNX file."""
    from pyrnn import export, load_model

    export.to_onnx(load_model(arguments.model, compile=False), arguments.output, stateful=arguments.stateful)
    print(arguments.output)


def bench(arguments: argparse.Namespace) -> None:
    """Time the core against the reference."""
    from pyrnn import bench as benchmark

    benchmark.run(
        dtype=arguments.dtype, threads=arguments.threads, seconds=arguments.seconds, grid=not arguments.book_only
    )


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help that states the defaults of options that have one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, []) else super()._get_help_string(action)


def export_c(arguments: argparse.Namespace) -> None:
    """Write a saved model as C."""
    from pyrnn.export import to_c

    model = pyrnn.load_model(arguments.model, compile=False)
    data = [np.load(path, allow_pickle=False) for path in arguments.int8]
    paths = to_c(
        model,
        arguments.output,
        name=arguments.name,
        dtype="int8" if data else "float32",
        stream=not arguments.sequences,
        steps=arguments.steps,
        calibration=data if len(data) > 1 else data[0] if data else None,
    )
    print(*paths, sep="\n")


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="pyrnn", description="Recurrent networks in C++ behind the Keras API.")
    parser.add_argument("--version", action="version", version=f"pyrnn {pyrnn.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, function: Callable[[argparse.Namespace], None], summary: str, below: Any = commands
    ) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = below.add_parser(name, help=summary, description=summary, formatter_class=_Help)
        sub.set_defaults(function=function)
        return sub

    def export(name: str, function: Callable[[argparse.Namespace], None], summary: str) -> argparse.ArgumentParser:
        sub = command(name, function, summary, formats)
        sub.add_argument("model", type=Path, metavar="MODEL.keras", help="file of the model")
        return sub

    sub = command("forecast", forecast, "forecast the next rows of a CSV file, with intervals")
    sub.add_argument("file", type=Path, metavar="FILE.csv", help="CSV of any kind, with a header")
    sub.add_argument("--target", required=True, metavar="COLUMN", help="column to forecast")
    sub.add_argument("--horizon", type=positive_int, help="rows to forecast; by default those without target, or 14")
    sub.add_argument("--group", nargs="+", default=[], metavar="COLUMN", help="columns that tell series apart")
    sub.add_argument("--past", nargs="+", default=[], metavar="COLUMN", help="columns known up to the present")
    sub.add_argument("--future", nargs="+", default=[], metavar="COLUMN", help="columns known in advance")
    sub.add_argument("--static", nargs="+", default=[], metavar="COLUMN", help="columns that do not change with time")
    sub.add_argument("--date", metavar="COLUMN", help="column of dates; by default the first one")
    sub.add_argument("--order", choices=("day", "month"), help="what comes first in dates such as 3/4/2024")
    sub.add_argument("--decimal", choices=(",", "."), help="decimal mark of numbers such as 1.234; by default found")
    ways = ("previous", "interpolate", "zero", "raise")
    sub.add_argument("--missing", choices=ways, default="previous", help="how gaps are filled")
    sub.add_argument("--output", type=Path, metavar="FILE.csv", help="file of the forecast")
    sub.add_argument("--plot", type=Path, metavar="FILE.png", help="file of the picture")
    sub.add_argument("--model", choices=("gru", "lstm", "rnn"), default="gru", help="layers of the networks")
    sub.add_argument("--season", type=positive_int, help="rows after which the pattern repeats; by default found")
    sub.add_argument("--lookback", type=positive_int, help="rows that a network sees; by default 4 seasons")
    sub.add_argument("--epochs", type=positive_int, help="passes over the training rows; by default by their number")
    sub.add_argument("--batch-size", type=positive_int, help="windows in a batch; by default by their number")
    sub.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of weights and shuffling")

    sub = command("demo", demo, "train a textbook's models on New York's departures of 2013, or on your series")
    sub.add_argument("--data", type=Path, metavar="FILE.csv", help="CSV of any kind, one row per step, oldest first")
    sub.add_argument(
        "--target",
        metavar="COLUMN",
        help="column of the CSV to forecast one row ahead; by default the only one of numbers",
    )
    sub.add_argument("--season", type=positive_int, help="rows after which the CSV's pattern repeats; by default found")
    sub.add_argument("--window", type=positive_int, help="rows that a forecast is made from; by default at most 100")
    sub.add_argument("--epochs", type=positive_int, default=DEFAULT_EPOCHS, help="passes over the training rows")
    sub.add_argument("--batch-size", type=positive_int, help="windows in a batch; by default at most 128")
    sub.add_argument("--seed", type=int, default=DEFAULT_SEED, help="of weights and shuffling")
    sub.add_argument("--png", type=Path, default=Path("pyrnn-demo.png"), help="file of the picture")
    sub.add_argument("--verbose", type=int, choices=(0, 1, 2), default=1, help="progress: none, bars, line per epoch")

    sub = command("info", info, "print what this installation is, or what a model is and needs in C")
    sub.add_argument("model", type=Path, nargs="?", metavar="MODEL.keras", help="file of a model")
    sub.add_argument("--steps", type=positive_int, help="time steps of whole sequences, if the model leaves them open")

    formats = commands.add_parser("export", help="write a model for other programs").add_subparsers(
        dest="format", required=True, metavar="FORMAT"
    )
    sub = export("onnx", export_onnx, "write the model as an ONNX file, for onnxruntime and others")
    sub.add_argument("output", type=Path, metavar="OUT.onnx", help="file to write")
    sub.add_argument("--stateful", action="store_true", help="states as inputs and outputs of the graph")

    sub = export("safetensors", export_safetensors, "write the weights as a safetensors file")
    sub.add_argument("output", type=Path, metavar="OUT.safetensors", help="file to write")
    sub.add_argument("--layout", choices=("pyrnn", "torch"), default="pyrnn", help="names and order of the weights")

    sub = export("c", export_c, "write the model as C99, with a self-test")
    sub.add_argument("--output", type=Path, default=Path("."), metavar="PATH", help="a folder, or a file NAME.c")
    sub.add_argument("--name", help="what the functions begin with; by default the name of the file or the model")
    sub.add_argument("--sequences", action="store_true", help="whole sequences in place of one time step at a time")
    sub.add_argument("--steps", type=positive_int, help="time steps of a sequence, for models that leave them open")
    sub.add_argument(
        "--int8",
        type=Path,
        action="append",
        default=[],
        metavar="DATA.npy",
        help="compute in integers, with ranges measured on these inputs (batch, time, features); once for each input",
    )

    sub = command("bench", bench, "time training steps of the compiled core against the NumPy reference")
    sub.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="of all arrays")
    sub.add_argument("--threads", type=positive_int, default=1, help="threads of the core")
    sub.add_argument("--seconds", type=positive_float, default=2.0, help="time for each model")
    sub.add_argument("--book-only", action="store_true", help="without the grid")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` and return the exit code."""
    arguments = make_parser().parse_args(argv)
    try:
        arguments.function(arguments)
    except (ValueError, OSError, ImportError, ArithmeticError) as error:
        print(f"pyrnn {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0
