"""Makes one export in a process of its own and prints the most memory, in MB, that the process ever had.

`python -m benchmarks.audit_export CODE`, for `bench audit`.
"""

import resource
import sys

import django


def main() -> None:
    django.setup()
    from audit import exports  # noqa: PLC0415 (after setup)

    exports.make(sys.argv[1])
    sys.stdout.write(f"\n{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.1f}\n")


if __name__ == "__main__":
    main()
