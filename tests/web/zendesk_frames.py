"""Zendesk, as far as it opens a page of its app: a tenant that has the app's key, and the tokens that it signs."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from functools import cache

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TENANT = """
tenant: acme
name: Acme
sources:
- {name: my desk, kind: zendesk, credentials: {signing_secret: zendesk-secret, app: {subdomain: acme, public_key: KEY}}}
- {name: other, kind: generic, credentials: {bearer: desk-token}}
- {name: bare, kind: zendesk, credentials: {signing_secret: zendesk-secret}}
connections:
- {name: lab, vendor: surveylab, settings: {origin: VENDOR, api_token: lab-token}}
rules:
- {name: solved, when: {events: [ticket.closed]}, connection: lab, call: add_respondent,
   parameters: {cId: "837", email: "{{ person.email }}", crk: "{{ delivery.reference }}"}}
"""
AUDIENCE = "https://acme.zendesk.com/api/v2/apps/installations/4711.json"
FRAME = "/frames/acme/my%20desk"


@cache
def key_of(whose):
    return rsa.generate_private_key(65537, 2048)


def pem_of(whose):
    return key_of(whose).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def part(value):
    return urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).decode().rstrip("=")


def token(installation, whose="acme", algorithm="RS256", **changed):
    now = int(installation.clock().timestamp())
    claims = {"iss": "acme.zendesk.com", "aud": AUDIENCE, "iat": now, "exp": now + 300, **changed}
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part({k: v for k, v in claims.items() if v is not None})}"
    signature = key_of(whose).sign(signed.encode(), padding.PKCS1v15(), SHA256())
    return f"{signed}.{part(signature)}"


def tenant_file():
    return TENANT.replace("KEY", json.dumps(pem_of("acme")))
