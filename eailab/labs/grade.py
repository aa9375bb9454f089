"""Mark a submission by a rubric: its report against its store, its plan, its blocks, its claims, its trials again."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from random import Random

from eailab import files
from eailab.engines.base import DeviceName
from eailab.errors import EailabError
from eailab.labs.claims import claims_of, judge_claim, untagged
from eailab.labs.contents import studies_of
from eailab.labs.folder import LabFolder
from eailab.labs.limited import run_limited
from eailab.labs.marks import Mark, Marks, State
from eailab.labs.report_check import report_problems
from eailab.labs.retraining import Repeated, RetrainPlace, hidden, repeat, runs_own_code
from eailab.labs.rubric import AskedFactor, AskedLayer, CheckedRubric
from eailab.own_code.reference import parse_reference
from eailab.plain import counted
from eailab.recipe.base import Recipe
from eailab.recipe.canonical import NO_IDENTITY
from eailab.recipe.catalogue import shipped
from eailab.recipe.factors import resolve
from eailab.recipe.load import load
from eailab.recipe.override import differences
from eailab.report.study_report import StudyReport
from eailab.report.verify import check_sources
from eailab.runs.trial import Trial
from eailab.studies.factor import BUNDLE, label
from eailab.studies.lookup import same_label
from eailab.studies.preregistration import read_plans

OWN_BLOCKS = 10_000
"""Students' blocks are below; a hidden block is drawn from here to ten times as much."""
NO_PLAN = (
    "say which plan was handed in, by --plan or by the rubric's plan; the folder alone cannot show when a plan was "
    "written"
)

Found = tuple[State, float, list[str]]
"""How a part stands, the share of its points, and what was found."""


@dataclass
class Grading:
    """One submission and what it is held to."""

    lab: LabFolder
    asked: CheckedRubric
    plan: str | None
    """Name of the plan that was handed in beforehand."""
    device: DeviceName
    draw: int
    run_code: bool = False
    train: bool = True

    # --- the parts ---

    def marks(self) -> Marks:
        """Return the marks of all parts; what a submission lacks costs the points of the parts that need it."""
        parts: list[tuple[str, str, Callable[[], Found]]] = [
            ("report", "The report says what its store says", self._report),
            ("store", "Every trial is there and whole", self._store),
            ("design", "The comparisons that were asked for", self._design),
            ("blocks", f"At least {self.asked.rubric.blocks} blocks", self._blocks),
            ("plan", "Planned beforehand", self._plan),
            ("trained_again", "Own trials, trained again", self._trained_again),
            ("hidden_block", "A hidden block", self._hidden_block),
            ("claims", "Conclusions no stronger than verdicts", self._claims),
        ]
        if self.asked.rubric.gradients:
            parts.append(("gradients", "Gradients of the submitted layers", self._gradients))
        made = tuple(self._mark(*one) for one in parts)
        return Marks(self.asked.rubric.title, self.lab.path.resolve().name, made, self.draw)

    def _mark(self, name: str, title: str, find: Callable[[], Found]) -> Mark:
        worth: float = getattr(self.asked.rubric.points, name, 0.0)
        try:
            state, share, said = find()
        except EailabError as error:
            state, share, said = "fails", 0.0, str(error).splitlines()
        of = 0.0 if state == "not checked" else worth
        return Mark(name, title, state, round(share * of, 2), of, tuple(dict.fromkeys(said)))

    @cached_property
    def _studies(self) -> list[tuple[AskedFactor, StudyReport | None, str]]:
        """Return the studies that the rubric asks for, and why one is missing."""
        found: list[tuple[AskedFactor, StudyReport | None, str]] = []
        for one in self.asked.rubric.factors:
            try:
                study, why = self.lab.load(self.lab.wanted(one.words)), ""
            except EailabError as error:
                study, why = None, str(error)
            found.append((one, study, why or f"{' '.join(one.words)} was not trained"))
        return found

    @property
    def _there(self) -> list[StudyReport]:
        return [study for _, study, _ in self._studies if study is not None]

    # --- what is read ---

    def _report(self) -> Found:
        wrong, look = report_problems(self.lab, self.asked.rubric.lab)
        if wrong:
            return "fails", 0.0, [*wrong, *look]
        return ("to be looked at" if look else "holds"), 1.0, look

    def _store(self) -> Found:
        studies, runs = studies_of(self.lab), self.lab.store.root
        if not runs.is_dir():
            return "fails", 0.0, [f"there is no folder {runs}: hand it in too, or name it with --runs"]
        if not studies:
            return "fails", 0.0, [f"{runs.name} has no study of this folder"]
        checked = check_sources(self.lab.store, studies, (), self.lab.data_dir)
        wrong = [*checked.about_studies, *checked.problems, *checked.gaps]
        return ("fails", 0.0, wrong) if wrong else ("holds", 1.0, list(dict.fromkeys(checked.notes)))

    def _design(self) -> Found:
        wrong = [
            said for one, study, why in self._studies for said in ([why] if study is None else self._odd(one, study))
        ]
        return ("fails", 0.0, wrong) if wrong else ("holds", 1.0, [])

    def _odd(self, asked: AskedFactor, study: StudyReport) -> Iterator[str]:
        """Yield what a study has otherwise than the rubric asks for."""
        arms = study.record.study.arms
        tuning = study.findings.tuning
        labels = [arm.label for arm in arms] + ([one.before for one in tuning.arms] if tuning else [])
        for level in asked.levels or []:
            said = label(tuple(level)) if BUNDLE in asked.factor and isinstance(level, list) else label((level,))
            if not any(same_label(one, said) for one in labels):
                yield f"{' '.join(asked.words)} lacks the level {said}"
        recipe, own, what = self.asked.recipe, arms[study.record.study.baseline].recipe, " ".join(asked.words)
        if recipe is None:
            return
        tuned = {path.removesuffix(".name") for one in (tuning.arms if tuning else ()) for path in one.settings}
        wrong = [f"{what}: {said}" for said in self._otherwise(recipe, own, tuned)]
        is_of_another = len(wrong) > 1 or recipe.engine != own.engine
        if is_of_another and (name := self._shipped_like(own, tuned)):
            yield (
                f"{what}: the settings are those of {name}, and the rubric's are {recipe.name}'s: if the lab was given "
                f"out with --recipe {name}, copy the rubric with the same option (eailab lab rubric)"
            )
            return
        yield from wrong

    def _otherwise(self, recipe: Recipe, own: Recipe, tuned: set[str]) -> list[str]:
        """Say in which settings a baseline differs from a recipe, apart from those that are varied or tuned."""
        if recipe.engine != own.engine:
            return [f"the engine is {own.engine}, not {recipe.engine}"]
        words = (word for one in self.asked.rubric.factors for word in one.factor.split(BUNDLE))
        free = tuned | {resolve(word, recipe).removesuffix(".name") for word in words}
        return [
            f"{path} is {there}, not {wanted}"
            for path, (wanted, there) in differences(recipe, own).items()
            if path.partition(".")[0] not in NO_IDENTITY
            and path != "threads"
            and not any(path == one or path.startswith(f"{one}.") for one in free)
        ]

    def _shipped_like(self, own: Recipe, tuned: set[str]) -> str | None:
        """Return the shipped recipe that a baseline is of; None where there is none."""
        return next((name for name in shipped() if not self._otherwise(load(name).recipe, own, tuned)), None)

    def _blocks(self) -> Found:
        least, wrong = self.asked.rubric.blocks, []
        for one, study, why in self._studies:
            if study is None:
                wrong.append(why)
                continue
            rows = zip(*(arm.trials for arm in study.findings.arms), strict=True)
            whole = sum(all(trial.has_outcome or trial.state == "spared" for trial in row) for row in rows)
            if whole < least:
                wrong.append(f"{' '.join(one.words)} has {whole} whole blocks, and {least} were asked for")
        return ("fails", 0.0, wrong) if wrong else ("holds", 1.0, [])

    def _plan(self) -> Found:
        if self.plan is None:
            state: State = "not shown" if self.asked.rubric.plan else "not checked"
            return state, 0.0, [f"{state}: {NO_PLAN}"]
        plans, broken = read_plans(self.lab.store)
        names = [plan.fingerprint for plan in plans]
        if self.plan not in names:
            there = f"has the plan {', '.join(names)}" if names else "has no frozen plan"
            lost = [str(one.reason) for one in broken]
            return "fails", 0.0, [f"the plan {self.plan} was handed in beforehand, and the store {there}", *lost]
        (plan,) = (one for one in plans if one.fingerprint == self.plan)
        wrong = []
        for one, study, _ in self._studies:
            if study is None or one.tuned:
                continue
            planned = next((it for it in plan.studies if it.fingerprint == study.findings.fingerprint), None)
            what = " ".join(one.words)
            if planned is None:
                wrong.append(
                    f"the plan {self.plan} does not name the study of {what}: it was made of other arms or terms"
                )
                continue
            if planned.seen:
                wrong.append(f"{what}: blocks {_listed(planned.seen)} were known when the plan was frozen")
            if later := [block for block in study.findings.blocks if block not in planned.blocks]:
                wrong.append(f"{what}: blocks {_listed(later)} are not in the plan, and are post hoc")
        return ("fails", 0.0, wrong) if wrong else ("holds", 1.0, [f'{self.plan}: "{plan.hypothesis}"'])

    # --- what is trained ---

    @property
    def _place(self) -> RetrainPlace:
        return RetrainPlace(self.lab.path, self.lab.data_dir, self.device, self.run_code, self.asked.rubric.limits)

    def _trained_again(self) -> Found:
        wanted = self.asked.rubric.again.trials
        if not self.train or not wanted:
            return "not checked", 0.0, ["nothing was trained (--no-train)" if wanted else "the rubric asks for none"]
        known = [
            (study, index, block, fingerprint)
            for study in self._there
            for (index, block), fingerprint in study.record.trials.items()
            if study.findings.arms[index].trials[study.findings.blocks.index(block)].has_outcome
        ]
        if not known:
            return "fails", 0.0, ["there is no finished trial to train again"]
        drawn = Random(self.draw).sample(known, min(wanted, len(known)))  # noqa: S311 - which trial need not stay a secret
        if not self.run_code and any(runs_own_code(one.record.study.arms[at].recipe) for one, at, _, _ in drawn):
            return "not checked", 0.0, ["it would run the student's own network: add --run-code"]
        said, lost, look = [], 0, False
        for study, index, block, fingerprint in drawn:
            name = f"{study.record.study.name}/{study.record.study.arms[index].label}/{block}"
            found = self._repeated(study, index, block, fingerprint)
            then, now = (study.findings.measure.text(one) if one is not None else "none" for one in found.values)
            if found.is_same:
                said.append(f"{name}: the same to the bit")
            elif found.is_near:
                same_place = found.again.environments[0] == found.again.environments[1]
                look = look or same_place
                where = "the same software" if same_place else "other software or another device"
                said.append(f"{name}: {then} then, {now} now, within {found.within:.2g}; {where}")
            else:
                lost += 1
                said.append(f"{name}: {then} then, {now} now, further apart than {found.within:.2g}")
        return ("fails" if lost else "to be looked at" if look else "holds"), 1.0 - lost / len(drawn), said

    def _repeated(self, study: StudyReport, index: int, block: int, fingerprint: str) -> Repeated:
        before = self.lab.store.folder(fingerprint).record()
        assert before is not None  # noqa: S101 - it has an outcome
        trial = Trial(study.record.study.arms[index].recipe, block, before["data"])
        comparison, within = study.findings.comparison, self.asked.rubric.again.within
        if within is None:
            sd = comparison.pooled_sd if comparison is not None else None
            within = 3.0 * (sd or 0.0)
        return repeat(self._place, trial, before, study.findings.measure, within)

    def _hidden_block(self) -> Found:
        if not self.train:
            return "not checked", 0.0, ["nothing was trained (--no-train)"]
        known = [one for one in self._there if len(one.findings.blocks) > 1]
        if not known:
            return "not checked", 0.0, ["no study has the two blocks that a prediction takes"]
        random = Random(self.draw + 1)  # noqa: S311 - as above
        study = random.choice(known)
        block = self.asked.rubric.hidden_block
        block = random.randrange(OWN_BLOCKS, 10 * OWN_BLOCKS) if block is None else block
        recipes = [arm.recipe for arm in study.record.study.arms]
        if not self.run_code and any(map(runs_own_code, recipes)):
            return "not checked", 0.0, ["it would run the student's own network: add --run-code"]
        data = [self._data_of(study, index) for index in range(len(recipes))]
        found = hidden(self._place, study.findings, recipes, data, block)
        said, digits = [], max(2, study.findings.decimals)
        for one in found:
            value = "no value" if one.value is None else f"{one.value:.{digits}f}"
            inside = "inside" if one.is_inside else "OUTSIDE"
            bounds = f"[{one.low:.{digits}f}, {one.high:.{digits}f}]"
            said.append(f"{study.record.study.name}, block {block}: {one.what}: {value}, {inside} {bounds}")
        return ("holds" if all(one.is_inside for one in found) else "to be looked at"), 1.0, said

    def _data_of(self, study: StudyReport, index: int) -> str:
        """Return what the trials of an arm say that they were trained on."""
        for (arm, _), fingerprint in study.record.trials.items():
            record = self.lab.store.folder(fingerprint).record() if arm == index else None
            if record is not None:
                return str(record["data"])
        raise EailabError(f"no trial of {study.record.study.arms[index].label} has ended.")

    # --- what is claimed, and what was written ---

    def _claims(self) -> Found:
        claims, wrong = claims_of(self.lab)
        judged = [judge_claim(self.lab, claim) for claim in claims]
        said = [f"line {one.claim.line}: {one.claim.text}: {one.said}" for one in judged]
        good = sum(one.holds for one in judged)
        for factor in self.asked.rubric.claims:
            if not any(" ".join(one.factor) == factor for one in claims):
                wrong.append(f"there is no tagged claim about {factor}")
        look = list(untagged(self.lab))
        total = len(judged) + len(wrong)
        share = good / total if total else 1.0
        state: State = "fails" if good < total else "to be looked at" if look else "holds"
        return state, share, [*wrong, *said, *look]

    def _gradients(self) -> Found:
        if not self.run_code:
            return "not checked", 0.0, ["it would run the student's code: add --run-code"]
        said, good = [], 0
        for layer in self.asked.rubric.gradients:
            holds, found = self._gradient(layer)
            good += holds
            said += found
        total = len(self.asked.rubric.gradients)
        return ("holds" if good == total else "fails"), good / total, said

    def _gradient(self, layer: AskedLayer) -> tuple[bool, list[str]]:
        file = parse_reference(layer.code).file
        if not (self.lab.path / file).is_file():
            return False, [f"{layer.code}: there is no file {file}"]
        try:
            files.read(self.lab.path / file, files.STUDENTS_REPORT)  # refused if it is too large or not a plain file
        except EailabError as error:
            return False, [f"{layer.code}: {error}"]
        arguments = ("-m", "eailab", "gradcheck", layer.code, "--input", layer.input, "--json")
        outcome = run_limited(arguments, self.lab.path, self.asked.rubric.limits)
        result = outcome.result
        if result is None:
            return False, [f"{layer.code}: {outcome.why}"]
        if "error" in result:
            return False, [f"{layer.code}: {result['error']['what']}"]
        wrong = [one for one in result["checks"] if one["state"] != "right"]
        said = [
            f"{layer.code}: the gradient of {one['name']} is {one['state']}"
            + "".join(f"; {it}" for it in one["suspects"])
            for one in wrong
        ] + [f"{layer.code}: {one}" for one in result["faults"]]
        if not result["passed"]:
            return False, said or [f"{layer.code}: it does not pass"]
        return True, [f"{layer.code}: {counted(len(result['checks']), 'gradient')} right"]


def _listed(blocks: Iterable[int]) -> str:
    return ", ".join(map(str, blocks))
