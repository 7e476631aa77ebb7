"""What this service does for the security of processing (GDPR art. 32(1)), in general terms, as it is configured now. What an
organization does besides (premises, training, contracts) is not known here, and the record of processing says so.
"""

from dataclasses import dataclass
from typing import Final

from django.conf import settings

OUTSIDE: Final = (
    "Organisational measures outside this service (premises, staff, contracts with processors) are not known to it: keep their "
    "description beside this record."
)
_PROVIDERS: Final = {
    "keyring": "a keyring file of this installation",
    "transit": "HashiCorp Vault's Transit engine",
    "kms": "a key management service",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure and the letter of art. 32(1) that it serves."""

    article: str
    description: str


def measures() -> tuple[Measure, ...]:
    """In the order of the article's letters."""
    kind = str(settings.VOXGOV_KEY_PROVIDER["kind"])
    term = settings.VOXGOV_AUDIT_DAYS
    second = "A second factor is required of" if settings.VOXGOV_SECOND_FACTOR else "No second factor is required of"
    kept = f"kept for {term} days" if term else "kept for good"
    return (
        Measure(
            "32(1)(a)",
            "People are known by opaque codes; who they are is sealed apart. Audio and results are sealed under a random key for "
            f"each person and scope, wrapped under keys of {_PROVIDERS.get(kind, kind)} that change every "
            f"{settings.VOXGOV_EPOCH_DAYS} days. Erasure and withdrawal destroy the keys, with a signed certificate.",
        ),
        Measure(
            "32(1)(b)",
            "Nothing is opened or analysed without a recorded decision that consent, purpose and law allow it. Access follows "
            f"roles of a project. {second} people who sign in; failed sign-ins are throttled; identities open by recorded acts.",
        ),
        Measure(
            "32(1)(b)",
            f"Every change, decision and look is an entry of an append-only, signed log, {kept}, which the application cannot "
            "change and an outsider can verify.",
        ),
        Measure(
            "32(1)(c)",
            "Jobs are rows of the database and survive the loss of queue and workers; after a restored backup the service stays "
            "closed until what ended since is in force again.",
        ),
        Measure(
            "32(1)(d)",
            "Each rule, and each attack that the service is to withstand, has a test that runs with every change; the log is "
            "checked against checkpoints kept outside the database at every start.",
        ),
    )
