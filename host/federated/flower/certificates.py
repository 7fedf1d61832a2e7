"""Self-made certificates for Flower: an authority, and a server that it vouches for.

``python -m trident.host.federated.flower.certificates FOLDER HOST..`` writes them.
"""

import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trident.hw.errors import TridentError

LOCAL = ("localhost", "127.0.0.1")
_DAYS = 30


def make_certificates(folder: Path, hosts: tuple[str, ...] = LOCAL) -> tuple[Path, Path, Path]:
    """Write ``authority.pem``, ``server.pem`` and ``server.key`` (readable by the owner only) into ``folder``, for a
    server that is reached by one of ``hosts``, names or IP addresses; returns the three paths. The authority's own key
    is not kept. Valid for 30 days. Raises :class:`TridentError` for a host that is neither."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _name("Trident test authority")
    root = (
        _certificate(authority, authority, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _certificate(_name("Trident server"), authority, server_key)
        .add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    paths = tuple(folder / name for name in ("authority.pem", "server.pem", "server.key"))
    paths[2].touch(mode=0o600)
    paths[0].write_bytes(root.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(server.public_bytes(serialization.Encoding.PEM))
    paths[2].write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(subject: x509.Name, issuer: x509.Name, key) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5)).not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )  # fmt: skip


def _usage(signs: bool) -> x509.KeyUsage:
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
              "decipher_only")  # fmt: skip
    return x509.KeyUsage(digital_signature=True, key_cert_sign=signs, crl_sign=signs, **dict.fromkeys(others, False))


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        return x509.DNSName(text)
    except ValueError:
        raise TridentError(f"{text!r} is neither an IP address nor a name of a computer in ASCII") from None


@click.command()
@click.argument("folder", type=Path)
@click.argument("hosts", nargs=-1)
def certificates(folder: Path, hosts: tuple[str, ...]):
    """Write certificates for a server of Flower that is reached by one of HOSTS (this computer alone without)."""
    try:
        for path in make_certificates(folder, hosts or LOCAL):
            click.echo(path)
    except OSError as fault:
        click.echo(f"error: the certificates cannot be written to {folder}: {fault.strerror}", err=True)
        sys.exit(2)
    except TridentError as fault:
        click.echo(f"error: {fault}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    certificates()
