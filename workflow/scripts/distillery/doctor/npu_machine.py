"""The Ascend side of a machine: driver, CANN, devices, and MindSpeed-LLM with what it is locked to.

Nothing here was run on an NPU. Files and their formats are those of CANN 8 and of npu-smi as their
documentation shows them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from distillery import npu_smi
from distillery.doctor import Result, fail, good, nothing, reach
from distillery.experiment import Hardware

TOOLKIT = Path("/usr/local/Ascend/ascend-toolkit/latest")
DRIVER = Path("/usr/local/Ascend/driver/version.info")
VERSION = re.compile(r"^\s*[Vv]ersion\s*=\s*\[?\"?([\w.\-]+)", re.MULTILINE)
# MindSpore: CANN, oldest driver. mindspore.cn/mindformers/docs/en/stable/installation.html
PUBLISHED = {
    "2.7.2": ("8.5.0", "25.5.0"),
    "2.7.1": ("8.3.RC1", "25.3.RC1"),
    "2.7.0": ("8.2.RC1", "25.2.0"),
    "2.6.0": ("8.1.RC1", "25.0.RC1"),
}
REFERENCE = "v2.2.0"
REFERENCE_SCRIPTS = ("preprocess_data.py", "convert_ckpt.py", "posttrain_gpt.py", "inference.py")
# the versions that MindSpeed-LLM 2.2.0's goldens of this project were made with; its other parts have no metadata
REFERENCE_LOCK = {"transformers": "4.57.1"}
REFERENCE_NEEDS = ("mindspore", "transformers", "pyarrow")
SECONDS = 30
# of the host, where ranks meet: so many from the base on, unless HCCL_HOST_SOCKET_PORT_RANGE names others
HCCL_BASE, HCCL_PORTS = 60000, 16


def examine(hardware: Iterable[Hardware], toolkit: Path = TOOLKIT, driver: Path = DRIVER) -> Iterator[Result]:
    """Driver, CANN, npu-smi and the second engine; absent ones are no failure where only a CPU is asked for."""
    machines = list(hardware)
    wanted = any(machine.device == "Ascend" for machine in machines)
    yield version("driver", driver, wanted, "install the Ascend driver and firmware")
    home = Path(os.environ.get("ASCEND_TOOLKIT_HOME", toolkit))
    yield version(
        "CANN", _info(home), wanted, "install CANN's toolkit and kernels, and source its set_env.sh"
    )
    yield devices(max((one.npus_per_node for one in machines if one.device == "Ascend"), default=0))
    for machine in machines:
        if machine.device == "Ascend" and machine.npus_per_node * machine.nodes > 1:
            yield hccl(machine)
        if machine.device == "Ascend":
            yield versions(machine, home, driver)
        if machine.mindspeed_llm:
            yield mindspeed(machine)


def hccl(machine: Hardware) -> Result:
    """The ports at which HCCL's ranks meet can be opened here."""
    name = f"HCCL ports on {machine.name}"
    settings = {**os.environ, **{key: str(value) for key, value in machine.environment.items()}}
    if "HCCL_HOST_SOCKET_PORT_RANGE" in settings:
        return good(name, f"HCCL_HOST_SOCKET_PORT_RANGE {settings['HCCL_HOST_SOCKET_PORT_RANGE']}, not tried")
    base = int(settings.get("HCCL_IF_BASE_PORT", HCCL_BASE))
    taken = [str(port) for port in range(base, base + HCCL_PORTS) if not reach.free(port)]
    if taken:
        cure = f"set hardware.{machine.name}.environment.HCCL_IF_BASE_PORT to the first of {HCCL_PORTS} free ports"
        return fail(name, f"{', '.join(taken)} in use", cure)
    return good(name, f"{base} to {base + HCCL_PORTS - 1} free")


def versions(machine: Hardware, home: Path, driver: Path) -> Result:
    """CANN and driver against the MindSpore that trains there: the second engine's own where there is one."""
    python = machine.mindspeed_llm["python"] if machine.mindspeed_llm else sys.executable
    asked = "from importlib import metadata; print(metadata.version('mindspore'))"
    found = _text([python, "-c", asked])
    name = f"versions on {machine.name}"
    if not found:
        return fail(name, f"no MindSpore in {python}", "install the one that this machine's CANN goes with")
    return match(name, found, read_version(_info(home)), read_version(driver))


def match(name: str, mindspore: str, cann: str | None, driver: str | None) -> Result:
    """Whether the three fit together, by the table that mindspore.cn publishes with MindSpore Transformers.

    A MindSpore that is newer than the table is no fault: nothing is known of it, and the matmul on the device decides.

    Args:
        name: of the result.
        cann, driver: versions as their own files say them; None where they are not there.
    """
    found = f"MindSpore {mindspore}, CANN {cann or 'none'}, driver {driver or 'none'}"
    wanted = PUBLISHED.get(mindspore)
    if wanted is None:
        return nothing(name, f"{found}: no published match for this MindSpore")
    if cann is None or not cann.startswith(wanted[0]) or driver is None or _old(driver, wanted[1]):
        return fail(name, found, f"MindSpore {mindspore} goes with CANN {wanted[0]} and driver {wanted[1]}")
    return good(name, found)


def _old(driver: str, wanted: str) -> bool:
    """Drivers serve older CANNs too: only an older one is wrong."""
    one, other = ([int(part) for part in re.findall(r"\d+", text)[:2]] for text in (driver, wanted))
    return one < other


def _info(home: Path) -> Path:
    found = sorted(home.glob("*-linux/ascend_toolkit_install.info"))
    return found[0] if found else home / "version.cfg"


def version(name: str, path: Path, wanted: bool, cure: str) -> Result:
    """What a version file says; without one it is a fault where an NPU is `wanted`."""
    if not path.is_file():
        return (
            fail(name, f"no {path}", cure) if wanted else nothing(name, "none, and none is needed on a CPU")
        )
    return good(name, read_version(path) or f"{path}, of unknown version")


def read_version(path: Path) -> str | None:
    """The version in a file of CANN or of the driver; None without a file or a version in it."""
    match = VERSION.search(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else None
    return match[1] if match else None


def devices(wanted: int) -> Result:
    """As many healthy chips as the configuration wants."""
    if not shutil.which("npu-smi"):
        cure = "install the driver; npu-smi comes with it"
        return (
            fail("npu-smi", "not found", cure)
            if wanted
            else nothing("npu-smi", "none, and none is needed on a CPU")
        )
    try:
        answer = subprocess.run(
            ["npu-smi", "info"], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return fail("npu-smi", str(error), "restart the driver, or reboot: it does not answer")
    chips = npu_smi.parse(answer.stdout)
    unhealthy = [f"NPU {chip.npu} {chip.health}" for chip in chips if chip.health.upper() not in ("OK", "NA")]
    if unhealthy:
        return fail("npu-smi", ", ".join(unhealthy), "look at `npu-smi info -t health`")
    if len(chips) < wanted:
        return fail("npu-smi", f"{len(chips)} chips", f"{wanted} are configured: lower npus_per_node")
    return good(
        "npu-smi", f"{len(chips)} chips: {', '.join(sorted({chip.name for chip in chips})) or 'none'}"
    )


def mindspeed(machine: Hardware) -> Result:
    """Its checkout, at the tag whose options this project knows, and its interpreter's own packages."""
    name = f"MindSpeed-LLM on {machine.name}"
    directory, python = (Path(machine.mindspeed_llm[key]) for key in ("directory", "python"))  # type: ignore[index]
    absent = [script for script in REFERENCE_SCRIPTS if not (directory / script).is_file()]
    if absent:
        return fail(
            name, f"no {', '.join(absent)} in {directory}", f"check out MindSpeed-LLM {REFERENCE} there"
        )
    tag = _text(["git", "-C", str(directory), "describe", "--tags", "--always"])
    if tag and not tag.startswith(REFERENCE):
        return fail(
            name,
            f"{directory} is at {tag}",
            f"git -C {directory} checkout {REFERENCE}: later ones lack MindSpore",
        )
    if not python.is_file():
        return fail(name, f"no interpreter {python}", f"set hardware.{machine.name}.mindspeed_llm.python")
    asked = "\n".join(
        [
            "from importlib import metadata as m",
            *(f"print({one!r}, m.version({one!r}))" for one in REFERENCE_NEEDS),
        ]
    )
    answer = _text([str(python), "-c", asked])
    found = dict(line.split() for line in answer.splitlines() if len(line.split()) == 2)
    missing = [one for one in REFERENCE_NEEDS if one not in found]
    if missing:
        return fail(name, f"its python lacks {missing[0]}", f"install it into {python.parent.parent}")
    other = [
        f"{one} {found[one]}, locked {wanted}"
        for one, wanted in REFERENCE_LOCK.items()
        if found[one] != wanted
    ]
    if other:
        return fail(name, "; ".join(other), f"{python} -m pip install -r {directory}/requirements.txt")
    return good(
        name, f"{tag or REFERENCE_SCRIPTS[2]}, {', '.join(f'{one} {value}' for one, value in found.items())}"
    )


def _text(line: list[str]) -> str:
    try:
        return subprocess.run(
            line, capture_output=True, text=True, timeout=SECONDS, check=False
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
