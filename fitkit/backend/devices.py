"""The device of this process."""

from __future__ import annotations

from fitkit.backend.lazy_jax import jax, set_option
from fitkit.errors import Diagnostic, EnvironmentFault


def select_device(name: str) -> str:
    """Make `name` (auto, cpu, gpu or tpu) the device of this process and return the platform that is used.

    Raises:
        EnvironmentFault: the device is absent. Only `auto` may choose another.
    """
    if name != "auto":
        import os

        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the failed probe of an absent device is told by us, once
    if name == "cpu":
        set_option("jax_platforms", value="cpu")  # a GPU that is not wanted must not have its memory claimed
    try:
        device = jax.devices(None if name == "auto" else name)[0]
    except RuntimeError:  # in words about plugins, which the user cannot mend
        raise EnvironmentFault(_absent_device(name)) from None
    if name != "auto":
        set_option("jax_default_device", value=device)
    return str(device.platform)


def _absent_device(name: str) -> Diagnostic:
    install = {
        "gpu": 'install the CUDA build of JAX: pip install "fitkit[cuda]"',
        "tpu": 'pip install "fitkit[tpu]" on a TPU VM',
    }
    there = ", ".join(sorted({device.platform for device in jax.devices()}))
    return Diagnostic(
        code="E701",
        message=f"there is no device `{name}` on this machine for the installed JAX, which has: {there}",
        help=install.get(name, "`fitkit doctor` lists the devices there are") + "; or use `device: auto`",
    )
