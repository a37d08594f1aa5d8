# Prints as a chatty program does.
LINE = "a line of a log, of the length that lines of logs have, with a number at its end to tell it from the others:"


def handler(event, context):
    for i in range(500):
        print(LINE, i)
    return {"statusCode": 200, "body": "500"}
