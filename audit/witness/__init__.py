"""A witness (https://c2sp.org/tlog-witness): remembers the newest checkpoint of each log it watches, and cosigns what extends it.

Meant to run elsewhere and for others than the log's operator. `python -m audit.witness` is its command; `client` is the log's side.
No Django, no database; standard library and `cryptography`.
"""
