"""How log lines look. Tracebacks show where, never the values of locals, and messages carry codes only."""

import logging


class PlainFormatter(logging.Formatter):
    """`time level logger: message`, UTC."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
