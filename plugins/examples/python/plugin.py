"""A plugin in Python: certificates from CFSSL's multirootca."""

import json
from base64 import b64encode
from dataclasses import dataclass

from componentize_py_types import Err
from http_client import Unreachable, post
from wit_world import exports
from wit_world.imports import wasm_issuer_plugin_types as types
from wit_world.imports import secrets

# What the server answers where the Issuer is at fault.
FAULTS = ("bad label", "invalid profile", "invalid token", "authentication required", "no authentication provider")


class Refused(Exception):
    """The CA will not sign this CSR, or could not: it has one answer for both."""


def fail(kind: types.FailureKind, message: str) -> Err:
    return Err(types.Failure(kind, message, None))


RETRY = types.FailureKind_Retry(None)
PERMANENT = types.FailureKind_Permanent()
ISSUER = types.FailureKind_Issuer()


class Signer(exports.Signer):
    """What the operator calls."""

    def check(self, issuer: types.Issuer) -> None:
        ca = Ca.of(issuer)
        ca.ask("info", ca.request(""))
        try:
            # Nothing is signed: the server looks at the token before the CSR, which is none.
            ca.authsign("")
        except Refused:
            pass

    def sign(self, issuer: types.Issuer, request: types.CertificateRequest) -> types.Certificate:
        ca = Ca.of(issuer)
        try:
            leaf = ca.authsign(pem(request.csr))
        except Refused as refused:
            raise fail(RETRY, f"{refused}; the CA refuses the CSR or failed to sign it: its log says which")
        own = ca.ask("info", ca.request(""))
        return types.Certificate(chain=f"{leaf.strip()}\n{own}", ca=None)


@dataclass
class Ca:
    """`spec.config` of the Issuer."""

    url: str
    label: str = ""
    profile: str = ""

    @staticmethod
    def of(issuer: types.Issuer) -> "Ca":
        try:
            ca = Ca(**json.loads(issuer.config))
        except TypeError as error:
            raise fail(PERMANENT, f"spec.config has url, label and profile: {error}")
        if not str(ca.url).startswith(("https://", "http://")):
            example = "give the server's address, such as https://cfssl.pki.svc:8888"
            raise fail(PERMANENT, f"spec.config.url is {ca.url!r}: {example}")
        return ca

    def request(self, csr: str) -> dict[str, str]:
        return {"certificate_request": csr, "label": self.label, "profile": self.profile}

    def authsign(self, csr: str) -> str:
        """Asks with a token: the HMAC of the request, which the operator makes with the key of the Secret."""
        request = json.dumps(self.request(csr)).encode()
        return self.ask("authsign", {"token": base64(hmac("key", request)), "request": base64(request)})

    def ask(self, endpoint: str, body: dict[str, str]) -> str:
        """Returns the certificate in the answer."""
        address = f"{self.url.rstrip('/')}/api/v1/cfssl/{endpoint}"
        try:
            status, text = post(address, json.dumps(body).encode())
        except Unreachable as error:
            raise fail(RETRY, f"{address}: {error}")
        answer = parsed(text)
        if status == 200 and answer.get("success"):
            return answer["result"]["certificate"]
        errors = answer.get("errors") or [{"message": text[:200].decode(errors="replace")}]
        message = errors[0]["message"]
        told = f"{address}: {message} (HTTP {status})"
        if message in FAULTS or status in (401, 403, 404):
            raise fail(ISSUER, told)
        if status == 400:
            raise Refused(told)
        raise fail(RETRY, told)


def hmac(key: str, message: bytes) -> bytes:
    try:
        hex_key = secrets.HmacKey(secrets.Encoding.HEX, b"", None)
        return secrets.get(key).hmac(secrets.Hash.SHA256, hex_key, [message])
    except Err as error:
        raise fail(ISSUER, f"the key {key!r} of the Secret in spec.authSecretName: {error.value.value}")


def parsed(text: bytes) -> dict:
    """Nothing of what is no JSON object."""
    try:
        answer = json.loads(text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def base64(content: bytes) -> str:
    return b64encode(content).decode()


def pem(der: bytes) -> str:
    text = base64(der)
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"
