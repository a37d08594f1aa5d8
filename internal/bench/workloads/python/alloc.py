# Many small objects that live for a while, and a few large ones: the allocator,
# page faults, the collector.
def handler(event, context):
    kept = 0
    for round in range(4):
        rows = [{"id": i, "name": "row %d" % i, "tags": [i, i + 1]} for i in range(5_000)]
        blocks = [bytearray(256 << 10) for _ in range(8)]
        kept += len(rows) + sum(len(b) >> 18 for b in blocks)
    return {"statusCode": 200, "body": str(kept)}
