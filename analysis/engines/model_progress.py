"""How far a download is, for whoever watches: a bar that grows on a terminal, a line at its start and one at its end elsewhere."""

import time
from typing import TextIO

_WIDTH = 30


class Bar:
    def __init__(self, label: str, total: int, out: TextIO) -> None:
        """`total` is in bytes."""
        self._label, self._total, self._out = label, total, out
        self._live = out.isatty()
        self._drawn = -1
        self._started = time.monotonic()
        if not self._live:
            say(f"  {label} ({total / 1e6:.0f} MB)", out)

    def show(self, done: int) -> None:
        share = min(100, 100 * done // max(1, self._total))
        if self._live and share != self._drawn:
            self._drawn = share
            filled = share * _WIDTH // 100
            bar = "#" * filled + "." * (_WIDTH - filled)
            megabytes = f"{done / 1e6:.0f} of {self._total / 1e6:.0f} MB"
            self._out.write(f"\r\033[K  [{bar}] {share:3d} %  {megabytes}  {self._label}")
            self._out.flush()

    def end(self, note: str) -> None:
        seconds = time.monotonic() - self._started
        self._out.write("\r\033[K" if self._live else "")
        say(f"  {self._label}: {note} in {seconds:.1f} s", self._out)


def say(line: str, out: TextIO) -> None:
    out.write(line + "\n")
    out.flush()
