"""moto's AWS Private CA with what the tests need of an account: a CA, two users and a role, all of which outlive the process.

    server.py HOST PORT CERTIFICATE KEY

Requests are authenticated: moto computes their signatures with botocore. In the current folder:

    account.json   what a client has to know; written before the server listens
    state          what outlives the process; without it there are a new CA and new keys
    hold           while it is there, certificates are not ready yet: moto has them at once, AWS some seconds later

Each order is logged. moto signs whatever it is sent, so a CSR for refused.example.com is refused here, in AWS's words.
"""

import base64
import datetime
import json
import pickle
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from moto import server, settings
from moto.acmpca.exceptions import RequestInProgressException
from moto.acmpca.models import ACMPCABackend, acmpca_backends
from moto.core.exceptions import JsonRESTError
from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

ACCOUNT, REGION = "123456789012", "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/issuer"
ALLOWED = [f"acm-pca:{action}" for action in ("DescribeCertificateAuthority", "IssueCertificate", "GetCertificate")]


def policy(actions, **more):
    statement = {"Effect": "Allow", "Action": actions, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def new_state():
    """A CA and keys, as plain data and moto's own objects."""
    backend = acmpca_backends[ACCOUNT][REGION]
    arn = backend.create_certificate_authority(
        certificate_authority_configuration={
            "KeyAlgorithm": "RSA_2048",
            "SigningAlgorithm": "SHA256WITHRSA",
            "Subject": {"CommonName": "moto test root"},
        },
        revocation_configuration={},
        certificate_authority_type="ROOT",
        security_standard=None,
        tags=[],
    )
    authority = backend.describe_certificate_authority(arn)
    authority.import_certificate_authority_certificate(root(authority), None)
    return {"authority": authority, "issuer": None, "assumer": None, "role": None}


def root(authority):
    """moto's own would end as soon as what it signs."""
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
    usages = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
    usages = {usage: False for usage in [*usages, "encipher_only", "decipher_only"]}
    builder = (
        x509.CertificateBuilder()
        .subject_name(authority.issuer)
        .issuer_name(authority.issuer)
        .public_key(authority.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usages), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key()), False)
    )
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def user(name, known, actions):
    """A user with the key that it had before, if it had one."""
    backend = iam_backends[ACCOUNT]["aws"]
    backend.create_user(region_name=REGION, user_name=name)
    key = backend.create_access_key(name)
    if known:
        key.access_key_id, key.secret_access_key = known
    backend.put_user_policy(name, "all", policy(actions, Resource="*"))
    return key.access_key_id, key.secret_access_key


def role(known):
    """A role that may issue, and that the user `assumer` may take on; and temporary credentials of it, which are those of before."""
    backend = iam_backends[ACCOUNT]["aws"]
    trust = policy("sts:AssumeRole", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/assumer"})
    backend.create_role("issuer", trust, "/", None, "", [], "3600")
    backend.put_role_policy("issuer", "all", policy(ALLOWED, Resource="*"))
    assumed = sts_backends[ACCOUNT]["aws"].assume_role(REGION, "test", ROLE, "", 3600, "")
    if known:
        assumed.access_key_id, assumed.secret_access_key, assumed.session_token = known
    return assumed.access_key_id, assumed.secret_access_key, assumed.session_token


def prepare():
    state_file = Path("state")
    state = pickle.loads(state_file.read_bytes()) if state_file.exists() else new_state()
    authority = state["authority"]
    acmpca_backends[ACCOUNT][REGION].certificate_authorities[authority.arn] = authority
    state["issuer"] = user("issuer", state["issuer"], ALLOWED)
    state["assumer"] = user("assumer", state["assumer"], ["sts:AssumeRole"])
    state["role"] = role(state["role"])
    state_file.write_bytes(pickle.dumps(state))
    account = {"arn": authority.arn, "root": authority.certificate_bytes.decode()}
    account |= {who: state[who] for who in ["issuer", "assumer", "role"]}
    Path("account.json").write_text(json.dumps(account))


def behave_as_aws_does():
    get, issue = ACMPCABackend.get_certificate, ACMPCABackend.issue_certificate

    def get_certificate(self, certificate_authority_arn, certificate_arn):
        if Path("hold").exists():
            raise RequestInProgressException("The request to issue this certificate is still in progress.")
        return get(self, certificate_authority_arn, certificate_arn)

    def issue_certificate(self, certificate_authority_arn, csr, template_arn):
        names = x509.load_pem_x509_csr(base64.b64decode(csr)).extensions
        names = names.get_extension_for_class(x509.SubjectAlternativeName).value
        if "refused.example.com" in names.get_values_for_type(x509.DNSName):
            raise JsonRESTError("MalformedCSRException", "The certificate signing request is invalid.")
        print("ordered", flush=True)
        return issue(self, certificate_authority_arn, csr, template_arn)

    ACMPCABackend.get_certificate, ACMPCABackend.issue_certificate = get_certificate, issue_certificate


host, port, certificate, key = sys.argv[1:]
prepare()
behave_as_aws_does()
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
server.main(["--host", host, "--port", port, "--ssl-cert", certificate, "--ssl-key", key])
