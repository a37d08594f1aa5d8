"""Takes a webhook only if the signature over its raw body is right."""

import base64
import hashlib
import hmac
import json
import os

SECRET = os.environ["WEBHOOK_SECRET"].encode()


def handler(event, context):
    raw = event.get("body") or ""
    body = base64.b64decode(raw) if event["isBase64Encoded"] else raw.encode()
    expected = "sha256=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    # compare_digest takes the same time wherever the two differ.
    if not hmac.compare_digest(expected.encode(), event["headers"].get("x-signature", "").encode()):
        print("refused a delivery with a wrong signature")
        return {"statusCode": 401, "body": {"error": "the signature is wrong"}}
    delivery = json.loads(body)
    print("accepted", delivery["action"])
    return {"statusCode": 202, "body": {"accepted": delivery["action"]}}
