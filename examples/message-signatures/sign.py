"""Sends a request with a signature of hmac-sha256 (RFC 9421): sign.py METHOD URL [BODY [OTHER-BODY]]

With OTHER-BODY that is what is sent, though BODY is signed.
"""

import base64
import hashlib
import hmac
import http.client
import secrets
import sys
import time
from urllib.parse import urlsplit

KEY_ID, SECRET = "acme-2026", b"no-secret-since-everybody-can-read-it"


def encoded(data):
    return ":" + base64.b64encode(data).decode() + ":"


def signature_headers(method, url, body):
    parts = urlsplit(url)
    headers = {}
    covered = {"@method": method, "@authority": parts.netloc.lower(), "@path": parts.path or "/"}
    if parts.query:
        covered["@query"] = "?" + parts.query
    if body:
        headers["Content-Digest"] = covered["content-digest"] = "sha-256=" + encoded(hashlib.sha256(body).digest())
    names = " ".join(f'"{name}"' for name in covered)
    params = f'({names});created={int(time.time())};keyid="{KEY_ID}";alg="hmac-sha256";nonce="{secrets.token_hex(16)}"'
    lines = [f'"{name}": {value}' for name, value in covered.items()] + [f'"@signature-params": {params}']
    mac = hmac.new(SECRET, "\n".join(lines).encode(), hashlib.sha256).digest()
    return headers | {"Signature-Input": "sig1=" + params, "Signature": "sig1=" + encoded(mac)}


def main():
    method, url, *bodies = sys.argv[1:]
    bodies = [b.encode() for b in bodies] or [b""]
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    connection.request(method, target, body=bodies[-1] or None, headers=signature_headers(method, url, bodies[0]))
    response = connection.getresponse()
    print(response.status)
    print(response.read().decode())


if __name__ == "__main__":
    main()
