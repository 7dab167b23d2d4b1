"""The Python package jlcm over the library of this build, and the packages that a case needs beside it."""

import importlib.util
import os
import sys

from programs import BIN, SKIPPED, SOURCE

sys.path.insert(0, str(SOURCE / "python"))
os.environ["JLCM_PREFIX"] = str(BIN.parent)


def need_packages(*names):
    """Ends the case as skipped where one of these is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        print(f"SKIPPED: this Python has no {', '.join(missing)} (JLCM_PYTHON)")
        sys.exit(SKIPPED)
