"""The file of a forecaster: a zip with settings as JSON, arrays, and each network as a `.keras` file. No pickles."""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from pyrnn.files.atomic import replace_file
from pyrnn.forecasting.calendars import Calendar
from pyrnn.forecasting.frequency import Frequency
from pyrnn.forecasting.history import Layout, Statistics
from pyrnn.forecasting.panel import Panel
from pyrnn.jsonable import from_plain, to_plain
from pyrnn.models import load_model
from pyrnn.saving import save_model
from pyrnn.validation import WrongType, shown

if TYPE_CHECKING:
    from pyrnn.forecasting.forecaster import Forecaster

FORMAT = 1
SETTINGS, ARRAYS = "forecaster.json", "arrays.npz"
ARRAYS_OF_PANEL = ("starts", "lengths", "dates", "target", "past", "future", "static", "filled")
ARRAYS_OF_STATISTICS = ("past", "future", "static", "deviations")
OTHERS_OF_PANEL = ("timezone", "utc", "names", "group", "date", "arguments", "notes")


def save(forecaster: Forecaster, path: Any) -> None:
    """Write a trained forecaster.

    Args:
        forecaster: The forecaster.
        path: The file.

    Raises:
        TypeError: If an argument of the forecaster has no form in JSON.
        OSError: If it cannot be written; what was there before is unchanged.
    """
    params = forecaster.get_params()
    if callable(params["model"]):
        params["model"] = None
    panel = forecaster.panel_.latest(forecaster.layout_.reach)
    settings = {
        "format": FORMAT,
        "params": params,
        "layout": forecaster.layout_.get_config(),
        "calendars": [each.get_config() for each in forecaster.calendars_],
        "least": None if np.isinf(forecaster.least_) else forecaster.least_,
        "history": forecaster.history_,
        "notes": forecaster.notes_,
        "ids": _plain_ids(panel.ids),
        "trained_ids": _plain_ids(forecaster.statistics_.ids),
        "frequency": [panel.frequency.kind, panel.frequency.step, panel.frequency.day],
        "panel": {name: getattr(panel, name) for name in OTHERS_OF_PANEL},
        "members": len(forecaster.networks_),
    }
    arrays = {f"panel_{name}": getattr(panel, name) for name in ARRAYS_OF_PANEL}
    arrays |= {f"statistics_{name}": getattr(forecaster.statistics_, name) for name in ARRAYS_OF_STATISTICS}
    arrays["factors"] = forecaster.factors_
    stream, packed = io.BytesIO(), io.BytesIO()
    np.savez(packed, **arrays)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(SETTINGS, json.dumps(to_plain(settings, "the forecaster", _reject)))
        archive.writestr(ARRAYS, packed.getvalue())
        for number, network in enumerate(forecaster.networks_):
            content = io.BytesIO()
            save_model(network, content, include_optimizer=False)
            archive.writestr(f"member{number}.keras", content.getvalue())
    replace_file(str(path), stream.getvalue())


def load(cls: type[Forecaster], path: Any) -> Forecaster:
    """Read a forecaster.

    Args:
        cls: The class.
        path: The file, or an open binary one.

    Returns:
        The forecaster.

    Raises:
        ValueError: If the file holds no forecaster.
        OSError: If it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            settings = from_plain(json.loads(archive.read(SETTINGS)))
            if settings["format"] != FORMAT:
                raise ValueError(
                    f"path must hold a forecaster of format {FORMAT}, got format {shown(settings['format'])}, which "
                    "another version of pyrnn wrote"
                )
            with np.load(io.BytesIO(archive.read(ARRAYS)), allow_pickle=False) as packed:
                arrays = {name: packed[name] for name in packed.files}
            members = [archive.read(f"member{number}.keras") for number in range(settings["members"])]
    except (zipfile.BadZipFile, KeyError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"path must be a file that Forecaster.save wrote, got {shown(str(path))}: {error}") from error
    params = dict(settings["params"])
    function = params["model"] is None
    if function:
        params.pop("model")
    forecaster = cls(**params)
    if function:
        forecaster.model = None
    forecaster.networks_ = [load_model(io.BytesIO(member), compile=False) for member in members]
    forecaster.layout_ = Layout.from_config(settings["layout"])
    forecaster.calendars_ = [_calendar(each) for each in settings["calendars"]]
    forecaster.least_ = -np.inf if settings["least"] is None else settings["least"]
    forecaster.history_, forecaster.notes_ = settings["history"], settings["notes"]
    forecaster.factors_ = arrays["factors"]
    loaded = {name: arrays[f"statistics_{name}"] for name in ARRAYS_OF_STATISTICS}
    forecaster.statistics_ = Statistics(**loaded, ids=_ids(settings["trained_ids"]))
    forecaster.panel_ = _panel(settings, arrays)
    forecaster._get_ready()
    return forecaster


def _panel(settings: dict[str, Any], arrays: dict[str, Any]) -> Panel:
    others = dict(settings["panel"])
    others["names"] = {role: tuple(names) for role, names in others["names"].items()}
    others["group"], others["notes"] = tuple(others["group"]), tuple(others["notes"])
    loaded = {name: arrays[f"panel_{name}"] for name in ARRAYS_OF_PANEL}
    return Panel(ids=_ids(settings["ids"]), frequency=Frequency(*settings["frequency"]), **loaded, **others)


def _calendar(config: dict[str, Any]) -> Calendar:
    holidays = config["holidays"]
    config = {**config, "cycles": tuple(config["cycles"])}
    return Calendar(
        **{**config, "holidays": None if holidays is None else {name: tuple(days) for name, days in holidays.items()}}
    )


def _plain_ids(ids: tuple[Any, ...]) -> list[Any]:
    return [list(each) if isinstance(each, tuple) else each for each in ids]


def _ids(ids: list[Any]) -> tuple[Any, ...]:
    return tuple(tuple(each) if isinstance(each, list) else each for each in ids)


def _reject(value: Any, where: str) -> Any:
    raise WrongType(f"{where} must be numbers, text, lists and dicts of these to be saved, got {shown(value)}")
