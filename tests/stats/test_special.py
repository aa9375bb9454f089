"""Functions of probability are scipy's own, without the package around them."""

import re
import subprocess
import sys
from pathlib import Path

import eailab

CHECK = """
import sys
from eailab.stats import special
ours = {name: getattr(special, name) for name in sys.argv[1:]}
assert special.stdtr(3.0, 0.0) == 0.5
assert not {"scipy.special", "numpy.f2py"} & sys.modules.keys(), "the package was imported"
import scipy.special
assert all(getattr(scipy.special, name) is ours[name] for name in ours)
"""


def test_every_function_in_use_is_scipys_and_its_package_is_not_imported():
    """Nor harmed: it can be imported afterwards, by us or by a person's own code."""
    sources = [file.read_text(encoding="utf-8") for file in Path(eailab.__file__).parent.rglob("*.py")]
    names = sorted({name for text in sources for name in re.findall(r"(?<![.\w])special\.([a-z]+)\(", text)})
    assert len(names) > 8
    done = subprocess.run([sys.executable, "-c", CHECK, *names], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
