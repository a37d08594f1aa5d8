"""A handler that sleeps for as long as the event says."""

import time


def handler(event, context):
    time.sleep(float(event["body"]))
    return {"statusCode": 200, "body": event["body"]}
