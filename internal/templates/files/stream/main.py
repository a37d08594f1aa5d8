"""Sends events one by one: each yield reaches the caller at once."""

import json
import time


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    count = min(int(query.get("count", "5")), 100)
    print(f"sending {count} events")
    if "requestContext" not in event:
        return events(count)  # `cove invoke`, which has no headers.
    return {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream", "cache-control": "no-cache"},
        "body": events(count),
    }


def events(count):
    for number in range(1, count + 1):
        yield f"data: {json.dumps({'number': number})}\n\n"
        time.sleep(0.2)
