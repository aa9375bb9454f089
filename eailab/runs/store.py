"""The store: a folder of trials and studies that is the only truth about what has been trained.

A trial's folder is named by its fingerprint, so that asking for the same trial twice finds it. Everything in a table is
read from here.
"""

import os
import re
from pathlib import Path

from eailab import files
from eailab.errors import DamagedError
from eailab.runs.trial_folder import TrialFolder

NAME = re.compile(r"[0-9a-f]{20}")
"""What a trial's folder is called."""

SHORT_NAME = 12
"""Digits of it that a terminal shows."""


class Store:
    """A folder of trials and studies."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, fingerprint: str) -> TrialFolder:
        """Return the folder of a trial, which need not exist yet.

        Raises:
            DamagedError: The fingerprint, read from some file, is no name of a trial.
        """
        if not NAME.fullmatch(str(fingerprint)):  # a file may hold anything
            raise DamagedError(f"{fingerprint!r:.60} is no name of a trial: the file that says so is damaged.")
        return TrialFolder(self.root / "trials" / fingerprint)

    def trial_names(self) -> list[str]:
        """Return the names of the trials that have a folder, in alphabetical order; what is no trial is passed over.

        Raises:
            StoreError: The system does not let us look.
        """
        trials = self.root / "trials"
        try:
            with os.scandir(trials) as entries:
                folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise files.unreadable(trials, error) from error
        return sorted(filter(NAME.fullmatch, folders))

    def study_folders(self) -> list[Path]:
        """Return the folders of the studies, by name."""
        return sorted(path.parent for path in self.root.glob("studies/*/study.yaml"))
