# Makes, reads, looks at and removes small files.
import os
import tempfile

BLOCK = b"x" * 16384


def handler(event, context):
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        names = [os.path.join(folder, "file-%d" % i) for i in range(50)]
        for name in names:
            with open(name, "wb") as f:
                f.write(BLOCK)
        for entry in os.scandir(folder):
            total += entry.stat().st_size
        for name in names:
            with open(name, "rb") as f:
                total += len(f.read())
            os.unlink(name)
    return {"statusCode": 200, "body": str(total)}
