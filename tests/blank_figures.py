"""Leave figures blank, in tests that are not about what is drawn: drawing is most of a small study's time."""

from base64 import b64decode
from contextlib import contextmanager

import pytest

BLANK = {
    "png": b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt" viewBox="0 0 1 1" version="1.1"></svg>\n',
    "pdf": b"%PDF-1.4\n%%EOF\n",
}


@contextmanager
def figures(drawn):
    """Draw figures, or compose them and leave them blank."""
    from matplotlib.figure import Figure

    draw = getattr(Figure.savefig, "drawn", Figure.savefig)

    def leave_blank(self, file, **given):
        file.write(BLANK[given["format"]])

    leave_blank.drawn = draw
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", draw if drawn else leave_blank)
        yield


@pytest.fixture(autouse=True)
def blank_figures(request):
    """Leave the figures of a package's tests blank without `@pytest.mark.draws`."""
    with figures(drawn=bool(request.node.get_closest_marker("draws"))):
        yield
