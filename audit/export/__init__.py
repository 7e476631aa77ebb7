"""Export bundles: a range of the log that proves itself offline. Format, writing, reading and sealing; see docs/auditing.md.

No Django. All but `writing` is part of the offline verifier and needs nothing beyond the standard library and `cryptography`.
"""
