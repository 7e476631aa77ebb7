"""Files of a model hub, downloaded one by one so that an interrupted download goes on where it stopped.

The hub's own client fetches a file anew each time, and checks what it got against what the hub says. Here the manifest says
what a file must be, so that an address is all that is needed of the hub: `ENDPOINT/REPOSITORY/resolve/REVISION/PATH`. Nothing
else is ever asked of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from analysis.engines.manifest import FetchFailed, ModelFile, Source

_PUBLIC = "https://huggingface.co"
_PATIENCE = httpx.Timeout(30.0, connect=10.0)
"""Seconds without an answer, or without the next block, after which the hub counts as out of reach."""


@dataclass(frozen=True, slots=True, repr=False)
class Hub:
    """Where the hub is and how to ask it. `token` opens models that want a licence accepted first; it goes to no other host."""

    endpoint: str = _PUBLIC
    token: str = ""
    offline: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Hub":
        """From the variables that the hub's own tools read: `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`."""
        return cls(
            endpoint=environment.get("HF_ENDPOINT") or _PUBLIC,
            token=environment.get("HF_TOKEN", ""),
            offline=environment.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"},
        )

    def download(self, source: Source, file: ModelFile, target: Path, progress: Callable[[int], None]) -> None:
        """Makes `target` the file as the hub has it; what an earlier run left of it is kept and completed.

        Raises:
            FetchFailed: the hub is out of reach, switched off, refuses, or has no such file.
        """
        if target.exists():
            return
        name = f"{file.path} of {source.hub}"
        if self.offline:
            raise FetchFailed(f"{name} was not fetched: HF_HUB_OFFLINE keeps this machine from asking {self.endpoint}.")
        draft = target.with_name(f"{target.name}.partial")
        draft.parent.mkdir(parents=True, exist_ok=True)
        address = f"{self.endpoint.rstrip('/')}/{source.hub}/resolve/{source.revision}/{quote(file.path)}"
        try:
            self._complete(address, name, file, draft, progress)
        except httpx.HTTPError as error:
            raise FetchFailed(
                f"{name} could not be fetched: {self.endpoint} was not reached ({type(error).__name__}); "
                "check the network, the proxy and HF_ENDPOINT, then run this again."
            ) from error
        draft.replace(target)

    def _complete(self, address: str, name: str, file: ModelFile, draft: Path, progress: Callable[[int], None]) -> None:
        done = draft.stat().st_size if draft.exists() else 0
        if done > file.size:
            draft.unlink()
            done = 0
        if done == file.size:
            return
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={done}-"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        with httpx.stream("GET", address, headers=headers, timeout=_PATIENCE, follow_redirects=True) as answer:
            if answer.status_code not in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
                raise FetchFailed(f"{name} could not be fetched: {self.endpoint} {_refusal(answer.status_code)}.")
            goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
            with draft.open("ab" if goes_on else "wb") as sink:
                for block in answer.iter_bytes():
                    sink.write(block)
                    if sink.tell() > file.size:
                        raise FetchFailed(f"{name} is larger at {self.endpoint} than the manifest names.")
                    progress(sink.tell())


def _refusal(status: int) -> str:
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return f"refuses it ({status}): accept the model's licence there and set HF_TOKEN"
    if status == httpx.codes.NOT_FOUND:
        return f"has no such file in this revision ({status})"
    return f"answered {status}"
