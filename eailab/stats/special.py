"""Give scipy's functions of probability, such as `special.stdtr`, without what else `scipy.special` imports.

That package wraps its functions for other array libraries when it is imported, which takes 0.2 s, longer than all that
a study of a few arms computes. The functions themselves are in one compiled module of it.
"""

import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "scipy.special"


def __getattr__(name: str) -> Any:
    """Return a function of `scipy.special`, which is loaded when the first is asked for."""
    return getattr(_compiled(), name)


@cache
def _compiled() -> ModuleType:
    """Return the module of `scipy.special` that holds the functions, alone where that package is not loaded yet."""
    if PACKAGE in sys.modules:
        return import_module(PACKAGE)
    import scipy

    alone = ModuleType(PACKAGE)  # a module inside a package can only be loaded while there is a package
    alone.__path__ = [str(Path(scipy.__file__).parent / "special")]
    sys.modules[PACKAGE] = alone
    try:
        return import_module(f"{PACKAGE}._ufuncs")
    except ImportError:  # a scipy that is laid out in another way
        del sys.modules[PACKAGE]
        return import_module(PACKAGE)
    finally:
        if sys.modules.get(PACKAGE) is alone:
            del sys.modules[PACKAGE]
