"""Keeps state in a global: it lives as long as the instance, and each instance has its own."""

import uuid

INSTANCE = str(uuid.uuid4())
count = 0


def handler(event, context):
    global count
    count += 1
    return {"instance": INSTANCE, "count": count}
