"""Integer C on other processors under QEMU: the same bits as NumPy; size and instructions on a Cortex-M4.

Needs Debian's packages qemu-user, qemu-system-arm, gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf,
gcc-riscv64-linux-gnu, gcc-arm-none-eabi and libnewlib-arm-none-eabi.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from export.compiled import STRICT
from export.test_int8 import ABSENT, ACCURATE, chain, sines
from export.test_models import KINDS, drawn
from pyrnn import layers
from pyrnn.export import to_c

pytestmark = pytest.mark.slow

# The compiler and the emulator of each; the host has none.
PLATFORMS = {
    "x86_64": ("gcc", "", ()),
    "x86_64 clang": ("clang", "", ()),
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64", ()),
    "arm": ("arm-linux-gnueabihf-gcc", "qemu-arm", ("-marm",)),
    "arm with SMLAD": ("arm-linux-gnueabihf-gcc", "qemu-arm", ("-mthumb",)),
    "riscv64": ("riscv64-linux-gnu-gcc", "qemu-riscv64", ()),
}
BARE = Path(__file__).parent / "bare"
M4 = ("-O2", "-mcpu=cortex-m4", "-mthumb", "-std=c99", *STRICT)


def run(*command: Any, **options: Any) -> str:
    """What a command prints; fails the test with its messages."""
    result = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr[:4000]}"
    return result.stdout


def needs(*commands: str) -> pytest.MarkDecorator:
    """Skip where a command is missing."""
    missing = [each for each in commands if each and not shutil.which(each)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exported models with self-tests that expect the bits of NumPy."""
    folder = tmp_path_factory.mktemp("models")
    x = sines()
    for number, (stack, stream) in enumerate(ACCURATE.values()):
        model = chain(*stack(), steps=None if stream else x.shape[1])
        to_c(model, folder, name=f"a{number}", dtype="int8", calibration=x, stream=stream)
    for first, kind in enumerate(KINDS):
        for number, (model, sample) in enumerate(drawn(kind, 6)):
            try:
                to_c(
                    model,
                    folder,
                    name=f"m{first}_{number}",
                    dtype="int8",
                    calibration=sample[None],
                    stream=KINDS[kind][1],
                )
            except ValueError as error:
                assert re.search(ABSENT, str(error)), error
    return folder


@pytest.mark.parametrize("platform", [pytest.param(name, marks=needs(*tools[:2])) for name, tools in PLATFORMS.items()])
def test_same_bits(platform: str, models: Path, tmp_path: Path) -> None:
    compiler, emulator, flags = PLATFORMS[platform]
    names = sorted(each.stem for each in models.glob("*.c") if not each.stem.endswith("_test"))
    assert len(names) > 20
    objects = []
    for name in names:
        for source, defines in ((f"{name}.c", ()), (f"{name}_test.c", (f"-Dmain={name}_main",))):
            objects.append(tmp_path / f"{source}.o")
            strict = STRICT if not defines else ()
            run(compiler, "-std=c99", "-O2", *strict, *flags, *defines, "-c", models / source, "-o", objects[-1])
    main = tmp_path / "main.c"
    calls = "".join(f"    failed += {name}_main();\n" for name in names)
    declared = "".join(f"int {name}_main(void);\n" for name in names)
    main.write_text(f"{declared}int main(void) {{\n    int failed = 0;\n{calls}    return failed;\n}}\n")
    run(compiler, *flags, main, *objects, "-static", "-o", tmp_path / "tests")
    output = run(*([emulator] if emulator else []), tmp_path / "tests")
    assert output.count("off by 0, ") == len(names)


class M4Program:
    """A model with its self-test on an emulated Cortex-M4.

    Args:
        folder: Where the model is.
        name: Name of the model.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.elf, self.map = folder / f"{name}.elf", folder / f"{name}.map"
        header = f'-DMODEL_HEADER="{name}.h"'
        parts = []
        for source, flags in (
            (folder / f"{name}.c", M4),
            (folder / f"{name}_test.c", (*M4[:4], "-Dmain=test_main")),
            (BARE / "start.c", (*M4[:4], "-ffreestanding", header, f"-I{folder}")),
        ):
            parts.append(folder / f"{source.stem}.o")
            run("arm-none-eabi-gcc", *flags, "-c", source, "-o", parts[-1])
        script = ("-nostartfiles", "-T", BARE / "mps2.ld", f"-Wl,-Map={self.map}")
        run("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", *script, *parts, "-o", self.elf)

    def counts(self) -> dict[str, int]:
        """Run the self-test; returns the executed instructions of each function."""
        log = self.folder / "log.txt"
        machine = ("-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none")
        run(
            "qemu-system-arm", *machine, "-semihosting-config", "enable=on,target=native", "-kernel", self.elf,
            "-singlestep", "-d", "nochain,exec", "-D", log, timeout=120,
        )  # fmt: skip
        counts: dict[str, int] = {}
        for line in log.read_text().splitlines():
            function = line.rsplit(" ", 1)[-1]
            counts[function] = counts.get(function, 0) + 1
        return counts

    def sizes(self) -> tuple[int, int]:
        """Bytes of the model in flash and of its state in RAM, by the linker map and the symbols."""
        flash = sum(
            int(size, 16) for size in re.findall(rf"^ \.(?:text|rodata)\S*\s+0x\w+\s+(0x\w+) \S*/{self.name}\.o$",
                                                 self.map.read_text(), re.MULTILINE)
        )  # fmt: skip
        symbols = run("arm-none-eabi-nm", "-S", self.elf)
        (state,) = re.findall(r"^\w+ (\w+) b state$", symbols, re.MULTILINE)
        return flash, int(state, 16)


@needs("arm-none-eabi-gcc", "qemu-system-arm")
@pytest.mark.parametrize(
    ("name", "layer", "products", "per_product"),
    [
        ("lstm", lambda: layers.LSTM(16), 4 * 16 * 32, 1.8),
        ("gru", lambda: layers.GRU(16), 3 * 16 * 32, 1.9),
        ("wide", lambda: layers.LSTM(64), 4 * 64 * 80, 1.5),
    ],
)
def test_cortex_m4(name: str, layer: Any, products: int, per_product: float, tmp_path: Path) -> None:
    """Bits, instructions of the sums, flash, RAM, and no allocation of memory."""
    x = sines(features=16)
    to_c(chain(layer(), features=16), tmp_path, name=name, dtype="int8", calibration=x)
    program = M4Program(tmp_path, name)
    counts = program.counts()
    steps = x.shape[1]
    sums = sum(count for function, count in counts.items() if function.startswith("sums")) / steps
    all_of_it = sum(counts[each] for each in counts if each.startswith((name, "sums", "tanh"))) / steps
    flash, ram = program.sizes()
    print(f"{name}: {sums / products:.2f} instructions a product, {all_of_it:.0f} a step, flash {flash}, state {ram}")
    assert sums <= per_product * products
    assert not re.search(r"\b(_?malloc|_?sbrk|_?free|calloc|realloc)\w*\b", program.map.read_text())
    assert 0 < ram <= 6 * 16 * 2 + 8 if name == "lstm" else ram > 0
