"""The transparency log as published specifications have it: tree, notes, checkpoints, tiles, proofs, cosignatures.

Bytes in, bytes out. No Django, no database, no network and no settings; nothing beyond the standard library and
`cryptography`, because the offline verifier is made of these modules. What an entry says is none of their business.
"""
