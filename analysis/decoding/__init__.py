"""Decoding of untrusted media in a sandbox: a warm server process and the child it forks for each recording.

The face that the pipeline uses is `analysis/decode.py`. Server and child import the standard library, numpy and PyAV, and
nothing of Django, of keys or of any other room; the parent's side (`job`, `errors`) is never loaded by them.

What holds the child (`sandbox`):

| layer | where it does not hold |
|---|---|
| no descriptor but the job's socket; no environment; a working directory of `/` | required |
| resource limits: CPU, address space, no new descriptors, no file growth, no processes, no core | required |
| `no_new_privs`, no capabilities, not dumpable (nobody of the same user can read its memory) | required |
| a seccomp filter that allows memory, time and the open socket, and refuses all else (x86-64 and AArch64) | required |
| dies with the server, which dies with its parent | required |
| root only: a user id of its own, that nobody else has | kept as root where the container took the right to change it |
| network, IPC and UTS namespaces of its own (with a user namespace when not root) | kernels that forbid it |

"Required" means that a child that cannot put the layer up refuses to decode, and the caller gets `DecoderUnavailable`.
The rest is done where the kernel permits; `DecodeServer.self_test()` tells what holds on this machine, tried from inside.
"""
