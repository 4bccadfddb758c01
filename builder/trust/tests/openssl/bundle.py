"""Takes a Sigstore bundle apart, or puts one together, with Python's own JSON and base64 alone.

The bytes that are signed follow DSSE's specification (protocol.md, "PAE"), not our implementation of it.
"""

import base64
import json
import pathlib
import sys


def encoded(kind, payload):
    """DSSE's pre-authentication encoding."""
    kind = kind.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def apart(bundle, directory):
    """BUNDLE -> DIRECTORY/{message, signature, payload}."""
    envelope = json.loads(pathlib.Path(bundle).read_bytes())["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"], validate=True)
    (signature,) = envelope["signatures"]
    directory = pathlib.Path(directory)
    (directory / "payload").write_bytes(payload)
    (directory / "message").write_bytes(encoded(envelope["payloadType"], payload))
    (directory / "signature").write_bytes(base64.b64decode(signature["sig"], validate=True))


def together(model, signature, hint, bundle):
    """The bundle MODEL with another SIGNATURE and the HINT of another key -> BUNDLE."""
    value = json.loads(pathlib.Path(model).read_bytes())
    raw = pathlib.Path(signature).read_bytes()
    value["dsseEnvelope"]["signatures"] = [{"sig": base64.b64encode(raw).decode()}]
    value["verificationMaterial"]["publicKey"]["hint"] = hint
    pathlib.Path(bundle).write_text(json.dumps(value))


{"apart": apart, "together": together}[sys.argv[1]](*sys.argv[2:])
