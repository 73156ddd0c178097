"""Which leadscore this is."""

from importlib.metadata import version


def code_version() -> str:
    """Return the installed version of leadscore."""
    return version("leadscore")
