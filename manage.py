#!/usr/bin/env python3
"""Django's command line, with voxgov's settings."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxgov.settings")
    from django.core.management import execute_from_command_line  # noqa: PLC0415 (Django must not load before the settings are named)

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
