#!/usr/bin/env python3
"""Django's command line, with voxgov's settings."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxgov.settings")
    if sys.argv[1:2] == ["bench"] and "VOXGOV_BENCH" not in os.environ:
        # A benchmark brings its own services and their settings; before they run there may be none.
        from voxgov import bench_services  # noqa: PLC0415 (nothing else needs it)

        sys.exit(bench_services.run(sys.argv[2:]))
    from django.core.management import execute_from_command_line  # noqa: PLC0415 (Django must not load before the settings are named)

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
