# System calls that do next to nothing, one after the other: the way into the
# kernel and back, which every sandbox changes in its own way.
import os


def handler(event, context):
    n = 0
    for _ in range(2_000):
        n += os.getppid() >= 0
        n += os.stat("/").st_nlink > 0
    return {"statusCode": 200, "body": str(n)}
