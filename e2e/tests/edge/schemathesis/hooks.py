"""What schemathesis does not know of the gateway: signing in, and lines of JSON."""

import json
import os

import requests
import schemathesis

EMAIL = os.environ.get("QUIPU_EMAIL")

if EMAIL:

    @schemathesis.auth(refresh_interval=240)
    class SignIn:
        """A new session now and then: no case may end the one that the others use."""

        def get(self, case, context):
            body = {"email": EMAIL, "password": os.environ["QUIPU_PASSWORD"]}
            answer = requests.post(os.environ["QUIPU_URL"] + "/v1/auth/login", json=body, timeout=20)
            answer.raise_for_status()
            return answer.json()["access_token"]

        def set(self, case, data, context):
            case.headers = case.headers or {}
            case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def map_body(context, body):
    """Random scopes are nobody's: a key that could be made gets some that are, so that some are made."""
    if context.operation.label == "POST /v1/auth/api-keys" and isinstance(body, dict):
        scopes = body.get("scopes")
        # A time may be one on purpose that is none.
        is_plain = not isinstance(body.get("expires_at"), str)
        if is_plain and isinstance(scopes, list) and scopes and all(isinstance(scope, str) for scope in scopes):
            body["scopes"] = ["profile:read"]
    return body


@schemathesis.serializer("application/x-ndjson")
def one_line(context, value):
    """A stream of one line."""
    if isinstance(value, bytes):
        return value
    return json.dumps(value).encode() + b"\n"


@schemathesis.deserializer("application/x-ndjson")
def answered(context, response):
    """One line in, one line out: the contract describes a line."""
    lines = response.content.splitlines()
    if len(lines) != 1:
        raise ValueError(f"{len(lines)} lines came for one")
    return json.loads(lines[0])
