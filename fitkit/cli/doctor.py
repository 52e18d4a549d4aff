"""`fitkit doctor`."""

from __future__ import annotations

import click

from fitkit.cli.terminal import say


@click.command("doctor", short_help="Show versions, devices and precision of this machine.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(*, as_json: bool) -> None:
    """Show what fitkit runs on: versions, devices and precision."""
    facts = _facts()
    if as_json:
        import json

        say(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        say(f"{name:{width}}  {shown}")


def _facts() -> dict[str, object]:
    """Return what there is, each fact looked up now."""
    import os
    import platform
    from importlib import metadata

    from fitkit import __version__
    from fitkit.backend import jax, jnp

    def version(package: str) -> str:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return "not installed"

    packages = ("jax", "jaxlib", "numpy", "scipy", "polars", "pydantic", "click", "rich", "PyYAML")
    return {
        "fitkit": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count() or 1,
        **{package: version(package) for package in packages},
        "devices": [f"{device.platform}: {device.device_kind}" for device in jax.devices()],
        "default device": jax.default_backend(),
        "64-bit floats": "yes" if jnp.zeros(1).dtype == jnp.float64 else "no",
    }
