"""Public API of leadscore.

``load(path)`` reads a company's YAML and returns a ``LeadscoreProject``, whose methods do what the
command line does. Everything else in these packages may change between versions.

The packages have common names such as ``features`` and ``models``. A package of the same name that
Python finds first is reported before anything is imported from it.
"""

from leadscore.packages import PackageClash, require_own_packages

require_own_packages()

# Only now is it certain that these imports read leadscore's own packages.
from leadscore.project import LeadscoreProject, load  # noqa: E402

__all__ = ["LeadscoreProject", "PackageClash", "load"]
