"""Read a student's folder: its report, the studies that it declares, and where the store has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from eailab import files
from eailab.errors import DamagedError, RecipeError, StoreError, UsageError
from eailab.labs.places import Place, header_of, places_of
from eailab.recipe.canonical import NO_IDENTITY
from eailab.recipe.factors import resolve
from eailab.recipe.override import differences
from eailab.report.study_report import StudyReport, load_study
from eailab.runs.store import Store
from eailab.studies.design import Study
from eailab.studies.factor import BUNDLE, CROSS
from eailab.studies.heads import STUDIES, TUNING, heads
from eailab.studies.storage import StudyRecord, read_record
from eailab.studies.study_file import declared
from eailab.studies.tuning_file import read_tuning
from eailab.translation import ENGLISH

REPORT_FILE, STUDY_FILE = "report.md", "study.yaml"
TUNED = "tuned"
"""Written after a factor in a mark: of the comparison whose arms were tuned."""


@dataclass(frozen=True)
class ExpectedStudy:
    """A comparison that a mark asks for."""

    study: Study
    """As the folder declares it."""
    is_tuned: bool = False
    folder: str = ""
    """Of the store, where the mark names one."""

    @property
    def called(self) -> str:
        """Return what messages call it."""
        word = "" if self.study.factor is None else self.study.factor.word
        return f"{word} {TUNED}" if self.is_tuned else word


@dataclass
class LabFolder:
    """A student's folder."""

    path: Path
    store: Store
    data_dir: Path | None = None

    @property
    def report_file(self) -> Path:
        """Return where the report lies."""
        return self.path / REPORT_FILE

    @cached_property
    def text(self) -> str:
        """Return the report, with the line ends that it has.

        Raises:
            UsageError: There is no report, or it is not text in UTF-8.
        """
        try:
            return files.read(self.report_file, files.STUDENTS_REPORT).decode()
        except FileNotFoundError as error:
            raise UsageError(
                f"{self.path} has no {REPORT_FILE}: name a folder that `eailab lab new task1` has written."
            ) from error
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{self.report_file} is not text in UTF-8 (byte {error.start}): save it as UTF-8."
            ) from error

    @cached_property
    def places(self) -> list[Place]:
        """Return its marked places."""
        return places_of(self.text, str(self.report_file))

    @property
    def lang(self) -> str:
        """Return the language of what is filled in."""
        return header_of(self.text).get("lang", ENGLISH)

    @cached_property
    def declared(self) -> tuple[Study, ...]:
        """Return the studies of its study file, in order.

        Raises:
            RecipeError: The file, or its recipe, has problems.
            StudyError: There is none.
        """
        return declared(self.path / STUDY_FILE).studies

    def wanted(self, words: Sequence[str]) -> ExpectedStudy:
        """Return the comparison that words name: a factor, then `tuned`, or the folder of one in the store.

        Raises:
            UsageError: The study file has no such factor.
        """
        factor, *more = words
        study = next((one for one in self.declared if _is_factor(factor, one)), None)
        if study is None:
            known = dict.fromkeys(one.factor.word for one in self.declared if one.factor is not None)
            raise UsageError(f"{STUDY_FILE} has no factor {factor}: it has {', '.join(known)}")
        if more[1:] or (more and more[0] != TUNED and not (self.store.root / "studies" / more[0]).is_dir()):
            raise UsageError(
                f"{' '.join(more)!r} is neither {TUNED!r} nor the folder of a study in {self.store.root / 'studies'}"
            )
        is_tuned = more == [TUNED] or bool(more and (self.store.root / "studies" / more[0] / TUNING).exists())
        return ExpectedStudy(study, is_tuned, more[0] if more and more != [TUNED] else "")

    def find(self, wanted: ExpectedStudy) -> Path | None:
        """Return the folder of the study in the store that answers a comparison; None before it is trained.

        Raises:
            UsageError: Several do.
            StoreError: The one that may be meant cannot be read.
        """
        found, unreadable = list[Path](), list[StoreError]()
        for head in heads(self.store.root, STUDIES):
            if wanted.folder and head.folder.name != wanted.folder:
                continue
            try:
                record = read_record(head.folder)
                if _answers(record, head.folder, wanted):
                    found.append(head.folder)
            except StoreError as error:
                unreadable.append(error)
        if len(found) > 1:
            names = ", ".join(folder.name for folder in found)
            raise UsageError(
                f"{wanted.called} is answered by {len(found)} studies, {names}: write the name of one behind the "
                "factor, or remove the others with `eailab studies rm`"
            )
        if not found and unreadable:
            raise unreadable[0]
        return found[0] if found else None

    def load(self, wanted: ExpectedStudy) -> StudyReport | None:
        """Return the study that answers a comparison, with all that reports say of it; None before it is trained."""
        folder = self.find(wanted)
        if folder is None:
            return None
        if folder not in self._loaded:
            self._loaded[folder] = load_study(self.store, folder, self.data_dir)
        return self._loaded[folder]

    @cached_property
    def _loaded(self) -> dict[Path, StudyReport]:
        return {}


def _is_factor(text: str, study: Study) -> bool:
    """Return whether a text such as `lr`, `optimizer+lr` or `optimizer×sched` names what a study varies."""
    recipe = study.arms[0].recipe
    try:
        crossed = [BUNDLE.join(resolve(word, recipe) for word in part.split(BUNDLE)) for part in text.split("×")]
    except RecipeError:
        return False
    return CROSS.join(crossed) == str(study.factor)


def _answers(record: StudyRecord, folder: Path, wanted: ExpectedStudy) -> bool:
    """Return whether a study of the store makes a declared comparison: the same arms but for what was tuned.

    Blocks and looks do not matter. With updates held, neither do epochs, which are only set when the data are known.
    """
    ours, asked = record.study, wanted.study
    if (len(ours.arms), ours.baseline, ours.metric, ours.margin, ours.hold) != (
        len(asked.arms), asked.baseline, asked.metric, asked.margin, asked.hold
    ):  # fmt: skip
        return False
    try:
        tuning = read_tuning(folder)
    except DamagedError:
        return False
    if (tuning is not None) != wanted.is_tuned:
        return False
    free = {"epochs"} if asked.hold == "updates" else set()
    for index, (one, other) in enumerate(zip(ours.arms, asked.arms, strict=True)):
        tuned = () if tuning is None else tuning.arms[index].settings
        changed = {path for path in differences(one.recipe, other.recipe) if path.partition(".")[0] not in NO_IDENTITY}
        if changed - free - set(tuned):
            return False
    return True
