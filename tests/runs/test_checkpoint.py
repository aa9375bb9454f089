"""State goes to a file and comes back with the same bits, or is refused."""

import numpy as np
import pytest

from eailab.errors import DamagedError, StoreError
from eailab.runs import checkpoint

STATE = {
    "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "moment": np.array([1e-45, -0.0, 3.4e38], dtype=np.float32),
    "count": np.array(7, dtype=np.int64),
}


def test_arrays_and_facts_come_back_as_they_were(tmp_path):
    checkpoint.save(tmp_path / "c.safetensors", STATE, epoch="3")
    arrays, facts = checkpoint.load(tmp_path / "c.safetensors")
    assert facts == {"epoch": "3"}
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in STATE.items()
    }
    assert all(arrays[name].dtype == array.dtype and arrays[name].shape == array.shape for name, array in STATE.items())


def test_equal_state_makes_equal_bytes(tmp_path):
    checkpoint.save(tmp_path / "a", STATE, epoch="1")
    checkpoint.save(tmp_path / "b", dict(reversed(STATE.items())), epoch="1")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_bit_flipped_in_any_byte_is_found_or_harmless(tmp_path):
    """Safetensors alone reads a flipped bit as another number, so the file needs its own checksum."""
    file = tmp_path / "c.safetensors"
    checkpoint.save(file, STATE, epoch="3")
    whole, (good, facts) = file.read_bytes(), checkpoint.load(file)
    refused = 0
    bits = np.random.default_rng(0).integers(8, size=len(whole))
    for position, bit in enumerate(bits.tolist()):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << bit
        file.write_bytes(damaged)
        try:
            found, said = checkpoint.load(file)
        except DamagedError:
            refused += 1
        else:  # white space, or a spelling that JSON reads alike
            assert said == facts
            assert {name: array.tobytes() for name, array in found.items()} == {
                name: array.tobytes() for name, array in good.items()
            }
    assert refused >= len(whole) - 20


def test_a_file_cut_anywhere_is_refused(tmp_path):
    file = tmp_path / "c.safetensors"
    checkpoint.save(file, STATE)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(StoreError):
            checkpoint.load(file)


def test_a_pickle_is_refused(tmp_path):
    (tmp_path / "c").write_bytes(b"\x80\x04cos\nsystem\n.")
    with pytest.raises(StoreError, match="not a readable safetensors file"):
        checkpoint.load(tmp_path / "c")
