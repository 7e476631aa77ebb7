# Sourced by deploy/quickstart and deploy/test with HERE and PROGRAM set: finds a Python 3.11 or newer and hands over to it.
# PYTHON=/path/to/python3 names one.
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$candidate" "$HERE/$PROGRAM" "$@"
    fi
done
echo "voxgov needs Python 3.11 or newer and found none: install one, or name it with PYTHON=/path/to/python3." >&2
exit 1
