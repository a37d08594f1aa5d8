import os


def handler(event, context):
    name = event["pathParameters"]["name"]
    print("greeting", name)
    return {"message": f"{os.environ['GREETING']}, {name}!"}
