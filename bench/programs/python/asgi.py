"""The handler behind uvicorn, with uvloop and httptools, nothing logged."""

import sys

sys.path.append("/srv")

import uvicorn

from main import handler


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = handler({"body": body.decode()}, None)
    data = answer["body"].encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": answer["statusCode"], "headers": headers})
    await send({"type": "http.response.body", "body": data})


uvicorn.run(
    app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools",
    lifespan="off", timeout_keep_alive=600, access_log=False, log_level="warning",
)
