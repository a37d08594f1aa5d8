"""Compresses the body; with ?decompress=1 the other way. Bytes in, bytes out."""

import base64
import gzip


def handler(event, context):
    body = event.get("body") or ""
    data = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    if (event.get("queryStringParameters") or {}).get("decompress"):
        try:
            out = gzip.decompress(data)
        except (OSError, EOFError) as error:
            return {"statusCode": 422, "body": {"error": str(error)}}
        content_type = "application/octet-stream"
    else:
        out, content_type = gzip.compress(data, mtime=0), "application/gzip"
    return {
        "statusCode": 200,
        "headers": {"content-type": content_type, "x-ratio": f"{len(out) / max(len(data), 1):.2f}"},
        "body": base64.b64encode(out).decode(),
        "isBase64Encoded": True,
    }
