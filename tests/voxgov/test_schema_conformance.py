"""Requests generated from the OpenAPI document, valid and not: no answer is a fault of the service, each is as documented."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from accounts.roles import Role
from tests import factories
from tests.callers import Caller
from voxgov.wsgi import application

schema = schemathesis.openapi.from_wsgi("/v1/schema/", application, headers={"Host": "localhost"})
schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])


@pytest.fixture(scope="module")
def caller() -> Caller:
    world = factories.make_world()
    return Caller(world.project, *Role)


@schema.parametrize()
@settings(
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_as_the_document_says(case: schemathesis.Case[Any], caller: Caller) -> None:
    response = case.call(headers={"Authorization": f"Bearer {caller.token}", "Host": "localhost"})
    case.validate_response(
        response,
        checks=[not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance],
    )
