"""Write sizes and times in words, and read times from words."""

import re

LONGEST_SECONDS = 1e9
"""Of any time: thirty years."""
_SECONDS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_TIME = re.compile(r"(\d{1,12}(?:\.\d{0,9})?|\.\d{1,9}) ?(s|m|min|h)")


def size(count: int) -> str:
    """Write a number of bytes.

    >>> [size(n) for n in (900, 2_500, 40_000_000, 123_000_000_000)]
    ['900 bytes', '2.5 kB', '40.0 MB', '123.0 GB']
    """
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


def duration(seconds: float) -> str:
    """Write a time.

    >>> [duration(s) for s in (0.4, 61, 3725, 200000)]
    ['less than a second', '1 min 1 s', '1 h 2 min', '2 days 7 h']
    """
    whole = int(seconds)
    if whole < 1:
        return "less than a second"
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        return f"{days} day{'s' * (days > 1)} {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {left} s" if minutes else f"{left} s"


def roughly(seconds: float) -> str:
    """Write an estimate with two digits or so, which is all that it knows; empty where next to nothing is left.

    >>> [roughly(s) for s in (0.4, 7.2, 43, 185, 754, 4000, 50_000, 2_000_000, 40_000_000)]
    ['', '7 s', '45 s', '3 min', '13 min', '1 h 5 min', '14 h', '23 days', '460 days']
    """
    if seconds < 1.0:
        return ""
    if seconds < 100.0:
        return f"{_rounded(seconds, 1 if seconds < 20.0 else 5)} s"
    minutes = _rounded(seconds / 60.0, 1)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 600:
        hours, rest = divmod(_rounded(minutes, 5), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    hours = _rounded(minutes / 60.0, 1)
    if hours < 72:
        return f"{hours} h"
    days = hours / 24.0
    return f"{_rounded(days, 1 if days < 100.0 else 10)} days"


def _rounded(value: float, unit: int) -> int:
    return unit * round(value / unit)


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a time with its unit; None where it is not one above 0.

    >>> [parse_seconds(text) for text in ("90s", "1.5h", "10 min", "5", "0s")]
    [90.0, 5400.0, 600.0, None, None]
    """
    match = _TIME.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    return seconds if 0.0 < seconds < LONGEST_SECONDS else None
