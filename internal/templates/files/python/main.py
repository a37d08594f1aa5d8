import os


def handler(event, context):
    """Answers an HTTP request, or the event of `cove invoke`."""
    name = (event.get("pathParameters") or {}).get("name", "you")
    print(f"greeting {name}")
    return {
        "statusCode": 200,
        "headers": {"content-type": "text/plain; charset=utf-8"},
        "body": f"{os.environ['GREETING']}, {name}!\n",
    }
