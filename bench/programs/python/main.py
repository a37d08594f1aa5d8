"""The handler that every arm runs; started by itself it answers one event."""


def handler(event, context):
    return {"statusCode": 200, "body": event["body"]}


async def coroutine(event, context):
    """The same for instances that serve several calls at once."""
    return handler(event, context)


if __name__ == "__main__":
    import sys

    print(handler({"body": sys.argv[1]}, None)["body"], flush=True)
