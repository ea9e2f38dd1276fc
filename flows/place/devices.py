"""Which GPUs this machine lends, found without importing torch."""

import itertools
import os
import re
import shutil
import subprocess

CPU = ""  # the device of a worker that sees no GPU, as CUDA_VISIBLE_DEVICES names it
ANSWER_LIMIT_S = 20
LISTED_GPU = re.compile(r"^GPU (\d+):", re.MULTILINE)


def visible_devices() -> tuple[str, ...]:
    """Name the GPUs as CUDA_VISIBLE_DEVICES does, by the user's own choice if there is one; else `CPU` alone."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return tuple(LISTED_GPU.findall(_list_gpus())) or (CPU,)
    names = (name.strip() for name in chosen.split(","))
    # CUDA stops reading at the first invalid name; -1 is the customary one.
    return tuple(itertools.takewhile(lambda name: name and not name.startswith("-"), names)) or (CPU,)


def _list_gpus() -> str:
    """What NVIDIA's tool prints, one line per GPU; nothing where it is absent or finds no driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=ANSWER_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return listed.stdout if listed.returncode == 0 else ""
