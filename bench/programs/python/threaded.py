"""The handler behind http.server, as fast as that gets: threaded, connections
kept, an answer written in one piece, and nothing logged."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from main import handler


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Buffered: head and body leave together.
    disable_nagle_algorithm = True

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = handler({"body": body}, None)
        data = answer["body"].encode()
        self.send_response(answer["statusCode"])
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_request(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
