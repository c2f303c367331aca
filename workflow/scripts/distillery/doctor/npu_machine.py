"""The Ascend side of a machine: driver, CANN, devices and their network.

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
from distillery.doctor import (
    Result,
    fail,
    good,
    mindspeed_installation,
    nothing,
    reach,
    releases,
    slurm_setup,
    text_of,
)
from distillery.hardware import Hardware

TOOLKIT = Path("/usr/local/Ascend/ascend-toolkit/latest")
DRIVER = Path("/usr/local/Ascend/driver/version.info")
DEVICES = Path("/dev")
VERSION = re.compile(r"^\s*[Vv]ersion\s*=\s*\[?\"?([\w.\-]+)", re.MULTILINE)
SHARED_DEVICES = ("davinci_manager", "devmm_svm", "hisi_hdc")
# hccn_tool's questions, and what their answers look like when all is well
HCCN = {
    "-ip": re.compile(r"ipaddr:\s*\d+\.\d+\.\d+\.\d+"),
    "-link": re.compile(r"link status:\s*UP"),
    "-net_health": re.compile(r"net health status:\s*Success"),
}
SECONDS = 30
# of the host, where ranks meet: so many from the base on, unless HCCL_HOST_SOCKET_PORT_RANGE names others
HCCL_BASE, HCCL_PORTS = 60000, 16


def examine(
    hardware: Iterable[Hardware], toolkit: Path = TOOLKIT, driver: Path = DRIVER, folder: Path = DEVICES
) -> Iterator[Result]:
    """Driver, CANN, npu-smi, devices in `folder` and the second engine; no failure where only a CPU is asked for."""
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
            yield device_files(machine, folder)
            if machine.nodes > 1:
                yield network(machine)
        if machine.device == "Ascend" or machine.gres:
            yield from slurm_setup.examine(machine)
        if machine.mindspeed_llm:
            yield from mindspeed_installation.examine(machine)


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
    """CANN and driver against what trains there: the second engine's release, or else this interpreter's MindSpore."""
    name = f"versions on {machine.name}"
    cann, installed = read_version(_info(home)), read_version(driver)
    if machine.mindspeed_llm:
        release = releases.of(machine.mindspeed_llm)
        return match(name, f"MindSpeed-LLM {release.title}", release.cann, release.driver, cann, installed)
    found = text_of(
        [sys.executable, "-c", "from importlib import metadata; print(metadata.version('mindspore'))"]
    )
    if not found:
        return fail(
            name, f"no MindSpore in {sys.executable}", "install the one that this machine's CANN goes with"
        )
    return match(name, f"MindSpore {found}", *releases.mindspore(found), cann, installed)


def match(
    name: str,
    engine: str,
    wanted_cann: str | None,
    wanted_driver: str | None,
    cann: str | None,
    driver: str | None,
) -> Result:
    """Whether CANN and driver are those that an engine's own documents name; a newer driver serves older ones.

    What no document names is no fault: nothing is known of it, and the matmul on the device decides.

    Args:
        name: of the result.
        cann, driver: versions as their own files say them; None where they are not there.
    """
    found = f"{engine}, CANN {cann or 'none'}, driver {driver or 'none'}"
    if wanted_cann is None or wanted_driver is None:
        return nothing(name, f"{found}: no published match")
    if cann is None or not cann.startswith(wanted_cann) or driver is None or _old(driver, wanted_driver):
        return fail(name, found, f"{engine} goes with CANN {wanted_cann} and driver {wanted_driver} or newer")
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


def device_files(machine: Hardware, folder: Path = DEVICES) -> Result:
    """/dev/davinci* of each device, and the three that every process opens, readable and writable by this user."""
    name = f"device files on {machine.name}"
    wanted = [f"davinci{number}" for number in range(machine.npus_per_node)] + list(SHARED_DEVICES)
    absent = [one for one in wanted if not (folder / one).exists()]
    if absent:
        cure = "install the driver, and pass the devices into the container (--device); lower npus_per_node if there are less"
        return fail(name, f"no {', '.join(f'{folder}/{one}' for one in absent[:4])}", cure)
    closed = [one for one in wanted if not os.access(folder / one, os.R_OK | os.W_OK)]
    if closed:
        cure = (
            "add this user to the driver's group (HwHiAiUser), or install the driver with --install-for-all"
        )
        return fail(name, f"{', '.join(f'{folder}/{one}' for one in closed[:4])} not open to this user", cure)
    return good(name, f"{machine.npus_per_node} devices and {', '.join(SHARED_DEVICES)}")


def network(machine: Hardware) -> Result:
    """Each device's own network port, which ranks on other nodes are reached through: address, link, health."""
    name = f"device network on {machine.name}"
    if not shutil.which("hccn_tool"):
        return fail(
            name, "no hccn_tool", "install the driver, and put /usr/local/Ascend/driver/tools on PATH"
        )
    wrong = []
    for number in range(machine.npus_per_node):
        for question, right in HCCN.items():
            answer = text_of(["hccn_tool", "-i", str(number), question, "-g"])
            if not right.search(answer):
                wrong.append(f"device {number} {question}: {' '.join(answer.split())[:80] or 'no answer'}")
    if wrong:
        cure = "set addresses (hccn_tool -i N -ip -s address A netmask M) and a detect address (-netdetect), check cables"
        return fail(name, "; ".join(wrong[:3]), cure)
    return good(name, f"{machine.npus_per_node} devices with address, link up, net health Success")
