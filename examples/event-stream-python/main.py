"""Sends events one by one: each yield reaches the caller at once."""

import json
import time


def handler(event, context):
    query = event.get("queryStringParameters") or {}
    count, pause = int(query.get("count", "5")), float(query.get("pause", "1"))
    return {
        "statusCode": 200,
        "headers": {"content-type": "text/event-stream", "cache-control": "no-cache"},
        "body": events(count, pause),
    }


def events(count, pause):
    for number in range(1, count + 1):
        yield f"id: {number}\nevent: tick\ndata: {json.dumps({'number': number})}\n\n"
        time.sleep(pause)
    yield "event: done\ndata: {}\n\n"
