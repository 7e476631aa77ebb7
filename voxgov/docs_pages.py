"""The OpenAPI document, its browsable page (served from this machine, nothing from elsewhere), and what each problem code means."""

from typing import Any

from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from voxgov import problems


@extend_schema(exclude=True)
class Schema(SpectacularAPIView):
    """`/v1/schema/`: OpenAPI 3.1 as YAML, or as JSON with `?format=json`."""


@extend_schema(exclude=True)
class Docs(SpectacularSwaggerView):
    """`/v1/docs/`."""


@require_safe
def problem_page(request: HttpRequest, code: str) -> JsonResponse:
    """What a problem's `type` points to."""
    known: dict[str, Any] | None = problems.catalogue().get(code)
    if known is None:
        raise Http404
    return JsonResponse(known)
