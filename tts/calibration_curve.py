"""The saving curve of a calibration: as a table, and as a picture."""

from __future__ import annotations

from html import escape

from tts.pictures import Figure, Mark
from tts.stopping.base import StoppingRule
from tts.stopping.calibration import Calibration

__all__ = ["figure", "plot", "setting", "table"]

_WIDTH, _HEIGHT, _EDGE = 640, 400, 56


def table(found: Calibration) -> str:
    """Return the curve as lines of text, the chosen setting marked."""
    lines = [
        f"{'':2}{'setting':<34}{'failed':>8}{'bound':>9}{'samples':>9}{'tokens':>9}{'rounds':>8}"
    ]
    for point in found.curve:
        mark = "*" if point.rule == found.rule else "+" if point.certified else " "
        lines.append(
            f"{mark:2}{setting(point.rule):<34}{point.failures:>8}{point.bound:>9.4f}"
            f"{point.samples:>9.2f}{point.tokens:>9.1f}{point.rounds:>8.2f}"
        )
    lines += [
        f"* chosen, + certified; {found.n} problems, {found.samples} samples in full",
        *_unanswered(found),
        f"saves {found.saved:.1%} of the tokens; {found.guarantee}",
    ]
    return "\n".join(lines)


def _unanswered(found: Calibration) -> list[str]:
    """Say how many samples and problems have no answer, and what those problems count as."""
    told = []
    if found.unanswered and found.target.kind == "error":
        told.append(
            f"{found.unanswered} of these have no answer in any sample: they count as failed"
        )
    elif found.unanswered:
        told.append(
            f"{found.unanswered} more have no answer in any sample: nothing to agree with, so they "
            "are left out of the certificate (samples, tokens and rounds are over all)"
        )
    if found.abstentions:
        told.append(f"{found.abstentions} of {found.drawn} samples abstain: no answer that counts")
    return told


def setting(rule: StoppingRule) -> str:
    """Return a rule's name with the settings that were changed, short enough for a table.

    >>> from tts.stopping.beta import Beta
    >>> setting(Beta(confidence=0.9))
    'beta confidence=0.9'
    """
    changed = ((name, getattr(rule, name)) for name in type(rule).model_fields)
    pairs = [f"{name}={_said(value)}" for name, value in changed if name in rule.model_fields_set]
    return " ".join([rule.name, *pairs])


def _said(value: object) -> str:
    if isinstance(value, StoppingRule):
        return setting(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_said, value)) + ")"
    return str(value)


def figure(found: Calibration) -> Figure:
    """Return the curve as a figure: tokens sent for against the share of failures, with bounds."""
    marks = [
        Mark(
            x=point.tokens,
            y=point.failures / found.n,
            low=point.failures / found.n,
            high=point.bound,
            name=setting(point.rule),
            color="seagreen" if point.certified else "gray",
            large=point.rule == found.rule,
        )
        for point in found.curve
    ]
    return Figure(
        marks=marks,
        across="completion tokens a problem",
        up=f"{found.target.kind}, with upper bound",
        level=found.target.level,
        level_name=str(found.target),
    )


def plot(found: Calibration) -> str:
    """Return the curve as SVG: tokens sent for against the share of failures, with bounds."""
    most = max(point.tokens for point in found.curve) or 1.0
    worst = max(*(point.bound for point in found.curve), found.target.level)

    def across(tokens: float) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * tokens / most

    def up(share: float) -> float:
        return _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * share / worst

    level, right, floor = up(found.target.level), _WIDTH - _EDGE, _HEIGHT - _EDGE
    target = escape(str(found.target))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<path d="M{_EDGE} {_EDGE}V{floor}H{right}" fill="none" stroke="black"/>',
        f'<path d="M{_EDGE} {level:.1f}H{right}" stroke="crimson" stroke-dasharray="4"/>',
        f'<text x="{right}" y="{level - 5:.1f}" text-anchor="end">{target}</text>',
        f'<text x="{right}" y="{floor + 30}" text-anchor="end">completion tokens a problem</text>',
        f'<text x="{right}" y="{floor + 14}" text-anchor="end">{most:.0f}</text>',
        f'<text x="{_EDGE - 6}" y="{_EDGE + 4}" text-anchor="end">{worst:.3f}</text>',
        f'<text x="{_EDGE}" y="{_EDGE - 14}">{escape(found.target.kind)}, with upper bound</text>',
    ]
    for point in found.curve:
        x, y = across(point.tokens), up(point.failures / found.n)
        color = "seagreen" if point.certified else "gray"
        size = 6 if point.rule == found.rule else 3
        parts.append(f'<path d="M{x:.1f} {y:.1f}V{up(point.bound):.1f}" stroke="{color}"/>')
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" fill="{color}">'
            f"<title>{escape(setting(point.rule))}</title></circle>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"
