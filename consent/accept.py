"""Which of two forms of an answer a client asks for (RFC 9110, 12.5.1). No Django here."""


def prefers(accept: str, media: str) -> bool:
    """Whether an `Accept` header puts `media` before JSON. Wildcards want JSON."""
    weights = {media: 0.0, "application/json": 0.0}
    for part in accept.split(","):
        named, *parameters = [piece.strip().lower() for piece in part.split(";")]
        if named in weights:
            weights[named] = next((_weight(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
    return weights[media] > weights["application/json"]


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0
