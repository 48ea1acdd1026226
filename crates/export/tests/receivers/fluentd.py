"""A receiver of the forward protocol that acknowledges: fluentd.py PORT OUT [KEY]

Each event is a line of JSON in OUT. With a key the greeting is that of the package fluentbit-server-py."""

import json
import socketserver
import sys
import threading

import msgpack
from fluentbit_server.fluentbit_authentication import FluentbitAuthentication

port, out = int(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
key = sys.argv[3] if len(sys.argv) > 3 else None
lock = threading.Lock()


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        if key and not FluentbitAuthentication(key, "receiver").process_authentication(self.request):
            return
        unpacker = msgpack.Unpacker(timestamp=0, strict_map_key=True)
        while data := self.request.recv(1 << 16):
            unpacker.feed(data)
            for tag, events, options in unpacker:
                assert options["size"] == len(events), options
                with lock:
                    for time, record in events:
                        assert time.code == 0 and len(time.data) == 8, time
                        record["tag"] = tag
                        record["second"] = int.from_bytes(time.data[:4], "big")
                        out.write(json.dumps(record) + "\n")
                if "chunk" in options:
                    self.request.sendall(msgpack.packb({"ack": options["chunk"]}))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", port), Handler).serve_forever()
