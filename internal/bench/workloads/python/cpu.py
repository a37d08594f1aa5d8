# A chain of multiplications that nothing can shorten: pure interpreter work.
def handler(event, context):
    x = 1
    for _ in range(100_000):
        x = x * 16807 % 2147483647
    return {"statusCode": 200, "body": str(x)}
