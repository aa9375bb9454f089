"""Loops are compiled, also where nothing can be kept."""

import numba

from eailab.engines.numpy_mlp import compiling


def test_a_loop_is_compiled_where_no_folder_can_be_written(monkeypatch):
    """A container of another user, without a home: numba then refuses to cache, and every trial ended."""

    def njit(*, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(compiling, "njit", njit)
    assert compiling.compiled(lambda x: 2.0 * x)(1.5) == 3.0
