"""Fetches TARGET, an address out in the world, and says what came back."""

import os
import urllib.error
import urllib.request


def handler(event, context):
    target = os.environ["TARGET"]
    # Leave time to answer when the other side does not.
    limit = max(1, context.get_remaining_time_in_millis() / 1000 - 2)
    request = urllib.request.Request(target, headers={"user-agent": "cove-example", "x-request-id": context.aws_request_id})
    try:
        with urllib.request.urlopen(request, timeout=limit) as response:
            text = response.read(64 * 1024).decode("utf-8", "replace")
            return {"status": response.status, "type": response.headers.get_content_type(), "text": text}
    except urllib.error.HTTPError as error:
        return {"statusCode": 502, "body": {"error": f"the service answered {error.code}"}}
    except OSError as error:
        return {"statusCode": 504, "body": {"error": f"the service cannot be reached: {error}"}}
