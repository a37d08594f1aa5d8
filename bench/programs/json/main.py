"""A handler that imports what many do, and what a stem cell has imported as well."""

import json


def handler(event, context):
    return {"statusCode": 200, "body": json.loads(json.dumps(event["body"]))}
