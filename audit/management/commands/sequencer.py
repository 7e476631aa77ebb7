"""`manage.py sequencer`: gives events their place in the log and signs checkpoints, for as long as it runs. Several may run."""

import signal
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any, Final

import structlog
from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from audit import configuration, sequencing, signing, standing
from audit.errors import AuditError, LogInconsistent, ServiceClosed
from audit.trail import CHANNEL
from vault.errors import VaultError

log = structlog.get_logger(__name__)

_POLL: Final = 0.2
"""Seconds after which it looks by itself: a notification may be lost, and several may be one."""
_PACE: Final = 0.25
"""Seconds from one round that found something to the next: under load a signature then covers many events instead of a few, and the
processor is the writers'. After a pause an event is taken up at once."""
_MISSED_EVERY: Final = 3600.0
_PATIENCE: Final = 5.0
"""Seconds to wait after a failure that time may heal."""


class Command(BaseCommand):
    help = "Sequences audit events into the signed log."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="sequence and sign what is there, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        self._stopping = False
        self._looked_for_missed = float("-inf")
        self._to_sign: set[str] = set()
        if options["once"]:
            standing.require_open()
            while self._round():
                pass
            return
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        while not self._stopping:
            try:
                standing.require_open()
                self._listen()
                while not self._stopping:
                    began = time.monotonic()
                    found = self._round()
                    if not found:
                        self._wait()
                    elif found < sequencing.BATCH:
                        self._pause(began + _PACE - time.monotonic())
            except ServiceClosed as closed:
                log.error("sequencer_waits", reason=str(closed))
                self._pause(_PATIENCE)
            except (DatabaseError, InterfaceError, AuditError, VaultError) as error:
                log.error("sequencer_interrupted", error=type(error).__name__)
                connection.close()
                standing.compare_again()
                self._looked_for_missed = float("-inf")
                self._pause(1.0)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _listen(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def _round(self) -> int:
        """One batch of every log that has events, each signed; returns how many events. Raises `ServiceClosed`."""
        now = time.monotonic()
        if now - self._looked_for_missed > _MISSED_EVERY:
            self._looked_for_missed = now
            if missed := sequencing.adopt_missed_events():
                log.warning("events_were_missed", count=missed)
            self._to_sign.update(signing.logs_to_sign())
            standing.require_open()
            configuration.record_changes()
        standing.require_open()
        count = 0
        for code in sequencing.logs_with_events():
            self._to_sign.add(code)
            count += self._each(code, sequencing.sequence)
        for code in sorted(self._to_sign):
            self._each(code, self._sign)
        return count

    def _each(self, code: str, step: Callable[[str], int]) -> int:
        """One step of one log: what goes wrong with it holds up no other."""
        try:
            return step(code)
        except (ServiceClosed, DatabaseError, InterfaceError):
            raise
        except (AuditError, VaultError) as error:
            log.error("log_interrupted", log=code, error=type(error).__name__, reason=str(error))
            return 0

    def _sign(self, code: str) -> int:
        """Signs, or keeps the log in mind for the next round when that fails."""
        try:
            signing.sign_newest(code)
        except LogInconsistent as objection:
            standing.close([str(objection)])
            standing.require_open()
        self._to_sign.discard(code)
        return 0

    def _wait(self) -> None:
        """Until somebody recorded an event, or a moment has passed."""
        connection.ensure_connection()
        driver = connection.connection
        for _ in driver.notifies(timeout=_POLL, stop_after=1):
            break

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(0.05, left))
