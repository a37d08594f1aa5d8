# Takes a large event and answers as much.
def handler(event, context):
    return {"statusCode": 200, "body": event["data"]}
