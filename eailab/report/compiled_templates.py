"""Keep what the templates of pages are compiled to, next to them, as Python keeps the code of its modules."""

import hashlib
import marshal
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

import jinja2
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from eailab import files
from eailab.errors import EailabError
from eailab.runs.atomic import write_bytes

_SEAL = hashlib.sha256().digest_size


class CompiledTemplates(BytecodeCache):
    """Compiled templates, in the folders where Python keeps the code of modules.

    Compiling them takes longer than all else of a page. What cannot be kept, or was kept from another template or by
    another version, is compiled again.
    """

    def get_bucket(
        self,
        environment: jinja2.Environment,
        name: str,  # noqa: ARG002 - jinja2 gives it
        filename: str | None,
        source: str,
    ) -> Bucket:
        """Return where the code of a template is kept, and all that it depends on."""
        options = (environment.autoescape, environment.trim_blocks, environment.lstrip_blocks)
        path = cache_from_source(filename) if filename else ""
        bucket = Bucket(environment, path, f"{jinja2.__version__} {options} {source}")
        if path:
            self.load_bytecode(bucket)
        return bucket

    def load_bytecode(self, bucket: Bucket) -> None:
        """Give a template its code, if it is there and is of this template."""
        with suppress(FileNotFoundError, EailabError):
            kept = files.read(Path(bucket.key), files.WRITTEN)
            if kept[:_SEAL] == _seal(bucket, kept[_SEAL:]):
                bucket.code = marshal.loads(kept[_SEAL:])  # noqa: S302 - its seal is right, and it lies where ours lies

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code of a template of a file, unless Python is told not to or the folder cannot be written."""
        if bucket.key and not sys.dont_write_bytecode:
            code = marshal.dumps(bucket.code)
            with suppress(EailabError):
                write_bytes(Path(bucket.key), _seal(bucket, code) + code)


def _seal(bucket: Bucket, code: bytes) -> bytes:
    return hashlib.sha256(bucket.checksum.encode() + code).digest()
