import base64
import json
import logging
import os

logger = logging.getLogger()
logger.setLevel(os.environ.get("LOG_LEVEL", "INFO"))

# Made once per instance, as one does with clients.
TABLE = {"17": {"orderId": "17", "status": "shipped"}}


def response(status, body, **headers):
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **headers},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def lambda_handler(event, context):
    http = event["requestContext"]["http"]
    logger.info("request %s: %s %s from %s", context.aws_request_id, http["method"], event["rawPath"], http["sourceIp"])

    if event["version"] != "2.0":
        return response(400, {"message": "unexpected event version"})

    order_id = event["pathParameters"]["orderId"]
    if http["method"] == "GET":
        item = TABLE.get(order_id)
        if item is None:
            return response(404, {"message": "Not Found"})
        return response(200, item, ETag='"1"')

    if http["method"] == "PUT":
        body = event.get("body") or "{}"
        if event.get("isBase64Encoded"):
            body = base64.b64decode(body)
        TABLE[order_id] = {"orderId": order_id, **json.loads(body)}
        return response(201, {
            "stored": TABLE[order_id],
            "table": os.environ["TABLE_NAME"],
            "function": context.function_name,
            "memory": int(context.memory_limit_in_mb),
            "timeLeft": context.get_remaining_time_in_millis() > 0,
            "source": event["queryStringParameters"]["source"],
            "session": dict(c.split("=", 1) for c in event["cookies"])["session"],
            "userAgent": event["headers"]["user-agent"],
        })

    raise ValueError(f"unsupported method {http['method']}")
