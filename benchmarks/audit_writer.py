"""One writer of `bench audit`, in a process of its own: `python -m benchmarks.audit_writer trail|insert LOG START SECONDS`.

Prints how many events it committed.
"""

import json
import os
import sys
import time

import django


def main() -> None:
    way, log, start, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "voxgov.settings")
    django.setup()
    from benchmarks import audit_writing  # noqa: PLC0415 (after setup)
    from vault.codes import new_code  # noqa: PLC0415

    write = audit_writing.trail_event if way == "trail" else audit_writing.plain_event
    write(new_code())  # connects
    time.sleep(max(0.0, start - time.time()))
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        write(log)
        count += 1
    sys.stdout.write(json.dumps(count))


if __name__ == "__main__":
    main()
