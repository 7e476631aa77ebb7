"""One writer of `bench audit`, in a process of its own: `python -m benchmarks.audit_writer WAY LOG SECONDS`.

Says that it is ready, begins when it is told to, and prints how many events it committed.
"""

import os
import sys
import time

import django


def main() -> None:
    way, log, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxgov.settings")
    django.setup()
    from benchmarks import audit_writing  # noqa: PLC0415 (after setup)
    from vault.codes import new_code  # noqa: PLC0415

    write = audit_writing.WAYS[way]
    write(new_code())  # connects
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        write(log)
        count += 1
    sys.stdout.write(f"{count}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
