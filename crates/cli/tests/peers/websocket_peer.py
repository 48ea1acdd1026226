"""A server and a client of WebSocket.

websocket_peer.py serve             serves on port 8080: messages come back in upper case, plain requests get the headers they came with
websocket_peer.py call ADDRESS      connects at the path of each line of its input that begins with /, and says the other lines; answers each with one line
"""

import http
import sys

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve


def plain(connection, request):
    if "websocket" not in request.headers.get("Upgrade", "").lower():
        lines = [f"{name.lower()}: {value}" for name, value in request.headers.raw_items()]
        return connection.respond(http.HTTPStatus.OK, "\n".join(lines) + "\n")


def shout(connection):
    for message in connection:
        connection.send(message.upper())


def main():
    if sys.argv[1] == "serve":
        with serve(shout, "", 8080, process_request=plain) as server:
            server.serve_forever()
    connection = None
    for line in map(str.strip, sys.stdin):
        try:
            if line.startswith("/"):
                connection = connect(f"ws://{sys.argv[2]}:8080{line}", open_timeout=20)
                print("open", flush=True)
                continue
            if line != "(wait)":
                connection.send(line)
            print(connection.recv(timeout=20), flush=True)
        except InvalidStatus as refused:
            print("refused", refused.response.status_code, refused.response.body.decode().strip(), flush=True)
        except ConnectionClosed as closed:
            print("closed", closed.rcvd, flush=True)
        except TimeoutError:
            print("nothing", flush=True)


main()
