"""The handler that every arm runs; started by itself it answers one event."""


def handler(event, context):
    return {"statusCode": 200, "body": event["body"]}


if __name__ == "__main__":
    import sys

    print(handler({"body": sys.argv[1]}, None)["body"], flush=True)
