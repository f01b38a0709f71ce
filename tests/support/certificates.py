"""Certificates for servers of tests."""
import subprocess


def certificate(folder, name, address="127.0.0.1"):
    """`NAME.key` and `NAME.crt` in the folder: a certificate that vouches for itself, for this address."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt"], check=True, capture_output=True)
