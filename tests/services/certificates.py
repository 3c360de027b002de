"""Certificates for servers of tests: one signed by an authority of its own, and one that is its own authority."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path


class Certificates(NamedTuple):
    """Files of PEM: what a client trusts, and what a server shows."""

    ca: Path
    certificate: Path
    key: Path


def signed(folder: Path) -> Certificates:
    """For localhost, signed by an authority that nobody knows."""
    root, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("an authority of tests", root, None, root)
    leaf = _certificate("localhost", server, authority, root)
    return _written(folder, "signed", authority, leaf, server)


def self_signed(folder: Path) -> Certificates:
    """For localhost, signed by itself: the certificate is what a client must trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("localhost", key, None, key)
    return _written(folder, "self-signed", certificate, certificate, key)


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, signer: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_signed_by(signer), critical=False)
        .add_extension(_usage(is_authority=issuer is None), critical=True)
        .sign(signer, hashes.SHA256())
    )


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    others = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False
    )  # fmt: skip
    return x509.KeyUsage(digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority, **others)


def _signed_by(signer: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    """RFC 5280 4.2.1.1 asks for it, and so does Python from 3.13 on."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())


def _written(
    folder: Path, stem: str, ca: x509.Certificate, leaf: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Certificates:
    folder.mkdir(parents=True, exist_ok=True)
    files = Certificates(folder / f"{stem}-ca.pem", folder / f"{stem}.pem", folder / f"{stem}-key.pem")
    files.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    files.certificate.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
    return files
