"""Read the tagged claims of a student's text, and hold each to what the studies say.

<!-- claim: lr 0.0001 WORSE -->
<!-- claim: optimizer tuned sgd UNDECIDED -->
<!-- claim: lr 0.001 reaches 97% -->
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from eailab.errors import EailabError, UsageError
from eailab.findings.arm import ArmFindings
from eailab.findings.study import StudyFindings
from eailab.labs.folder import TUNED, LabFolder
from eailab.labs.places import without_places
from eailab.stats.p_values import bonferroni_critical_value
from eailab.stats.verdict import Verdict
from eailab.studies.lookup import same_label

TAG = re.compile(r"<!--\s*claim:(.*?)-->", re.DOTALL)
QUOTED = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
"""Code, in which a tag is an example."""
REACHES = re.compile(r"(?P<level>.*?)\s*\breaches\s+(?P<value>[-+0-9.eE]+)\s*\S*")
UNTAGGED = re.compile(
    r"(?:\breach(?:es|ed)?|\bachiev\w+|達到|達)\s*(?:over\s+|about\s+)?(\d+(?:\.\d+)?)\s*%", re.IGNORECASE
)


@dataclass(frozen=True)
class Claim:
    """One tagged claim."""

    text: str
    line: int
    factor: tuple[str, ...]
    """As a mark names it: the factor, and `tuned`."""
    level: str
    verdict: Verdict | None
    """None where it is about a value that the arm's mean reaches."""
    value: float | None = None


@dataclass(frozen=True)
class JudgedClaim:
    """A claim, held to the studies."""

    claim: Claim
    holds: bool
    said: str


def own_text(lab: LabFolder) -> str:
    """Return what the student wrote, without code, on the lines where it stands."""
    text = without_places(lab.text, lab.places)
    return QUOTED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def claims_of(lab: LabFolder) -> tuple[list[Claim], list[str]]:
    """Return the tagged claims of a report, and what is wrong with tags that say none."""
    text = own_text(lab)
    claims, wrong = [], []
    for found in TAG.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        try:
            claims.append(_claim(" ".join(found[1].split()), line))
        except UsageError as error:
            wrong.append(f"line {line}: {error}")
    return claims, wrong


def untagged(lab: LabFolder) -> Iterator[str]:
    """Yield sentences that say what is reached, and that no tag holds to the interval."""
    text = own_text(lab)
    tagged = {claim.value for claim in claims_of(lab)[0] if claim.value is not None}
    for found in UNTAGGED.finditer(TAG.sub(lambda one: re.sub(r"[^\n]", " ", one[0]), text)):
        if float(found[1]) not in tagged:
            yield f"line {text.count(chr(10), 0, found.start()) + 1}: {found[0]!r} has no tag, so nothing held it"


def _claim(text: str, line: int) -> Claim:
    factor, _, rest = text.partition(" ")
    names: tuple[str, ...] = (factor,)
    if rest.startswith(f"{TUNED} "):
        names, rest = (factor, TUNED), rest.removeprefix(f"{TUNED} ")
    if reached := REACHES.fullmatch(rest):
        try:
            return Claim(text, line, names, reached["level"], None, float(reached["value"]))
        except ValueError:
            pass
    level, _, verdict = rest.rpartition(" ")
    known = [one.value for one in Verdict if one is not Verdict.SCREEN]
    if not level or verdict not in known:
        raise UsageError(f"{text!r:.100} is not a claim: write FACTOR LEVEL and {', '.join(known)} or reaches N%")
    return Claim(text, line, names, level, Verdict(verdict))


def judge_claim(lab: LabFolder, claim: Claim) -> JudgedClaim:
    """Hold a claim to the study of its factor."""
    try:
        study = lab.load(lab.wanted(claim.factor))
    except EailabError as error:
        return JudgedClaim(claim, False, str(error))
    if study is None:
        return JudgedClaim(claim, False, f"{' '.join(claim.factor)} was not trained")
    findings = study.findings
    arm = arm_of(findings, claim.level)
    if arm is None:
        labels = ", ".join(one.label for one in findings.arms)
        return JudgedClaim(claim, False, f"{' '.join(claim.factor)} has no level {claim.level}: it has {labels}")
    if claim.verdict is None:
        return _reached(claim, findings, arm)
    result = arm.against_baseline
    verdict = None if result is None or arm.is_baseline else result.verdict
    if verdict is None:
        return JudgedClaim(claim, False, f"{arm.label} has no verdict: it is the baseline, or has too few blocks")
    holds = claim.verdict in (verdict, Verdict.UNDECIDED)
    return JudgedClaim(
        claim, holds, f"the verdict is {verdict.value}" + ("" if holds else ", and the claim goes beyond it")
    )


def arm_of(findings: StudyFindings, level: str) -> ArmFindings | None:
    """Return the arm that a level names: by its label, what it was before it was tuned, or its variant alone."""
    befores = [one.before for one in findings.tuning.arms] if findings.tuning else [""] * len(findings.arms)
    for arm, before in zip(findings.arms, befores, strict=True):
        if same_label(arm.label, level) or (before and same_label(before, level)):
            return arm
    short = [arm for arm in findings.arms if same_label(arm.label.partition(" (")[0], level)]
    return short[0] if len(short) == 1 else None


def _reached(claim: Claim, findings: StudyFindings, arm: ArmFindings) -> JudgedClaim:
    """Hold "reaches" to the end of the interval of the arm's mean that is nearer to chance."""
    assert claim.value is not None  # noqa: S101 - a claim without a verdict has one
    measure, values = findings.measure, arm.values
    if len(values) < 2:
        return JudgedClaim(claim, False, f"{arm.label} has {len(values)} finished blocks: an interval takes two")
    mean, half = fmean(values), mean_half_width(values)
    low, high = mean - half, mean + half
    holds = low >= claim.value if measure.higher_is_better else high <= claim.value
    digits = max(2, findings.decimals)
    said = f"the mean is {mean:.{digits}f}, its 95% interval [{low:.{digits}f}, {high:.{digits}f}]"
    end = "lower" if measure.higher_is_better else "upper"
    return JudgedClaim(claim, holds, said if holds else f"{said}: the {end} end does not reach {claim.value:g}")


def mean_half_width(values: list[float]) -> float:
    """Return half the width of the 95% interval of a mean over blocks, by Student's t."""
    return bonferroni_critical_value(0.95, 1, len(values) - 1) * stdev(values) / sqrt(len(values))
