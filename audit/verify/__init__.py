"""The offline verifier: checks an export bundle, or a running log, against keys and checkpoints that the auditor holds.

Standard library and `cryptography` only; deploy/build_verifier.py packs it into one file. `python -m audit.verify` is its command.
"""
