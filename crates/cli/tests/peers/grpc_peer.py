"""A server and a client of gRPC, without schemas: messages are bytes.

grpc_peer.py serve             serves package.Service on port 50051
grpc_peer.py call ADDRESS      does what the lines of its input say, and answers each with one line
"""

import queue
import sys
from concurrent import futures

import grpc

TRAILERS = (("x-trailer", "survives"),)


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        methods = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "ServerStream": grpc.unary_stream_rpc_method_handler(self.server_stream),
            "ClientStream": grpc.stream_unary_rpc_method_handler(self.client_stream),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
        }
        package, _, name = details.method.rpartition("/")
        return methods.get(name) if package == "/package.Service" else None

    def unary(self, message, context):
        context.set_trailing_metadata(TRAILERS)
        return message.upper()

    def server_stream(self, message, context):
        for byte in message:
            yield bytes([byte])
        context.set_trailing_metadata(TRAILERS)

    def client_stream(self, messages, context):
        context.set_trailing_metadata(TRAILERS)
        return b"".join(messages)

    def both(self, messages, context):
        context.set_trailing_metadata(TRAILERS)
        for message in messages:
            yield message.upper()

    def fail(self, message, context):
        context.set_trailing_metadata(TRAILERS)
        context.abort(grpc.StatusCode.OUT_OF_RANGE, message.decode())


class Requests:
    """Messages of a stream that is fed one by one."""

    def __init__(self):
        self.waiting = queue.Queue()

    def __iter__(self):
        return iter(self.waiting.get, None)


class Client:
    def __init__(self, address):
        self.channel = grpc.insecure_channel(f"{address}:50051")
        self.requests = self.stream = None

    def do(self, words):
        verb, rest = words[0], [word.encode() for word in words[1:]]
        path = f"/package.Service/{verb}"
        match verb:
            case "Unary" | "Fail":
                message, call = self.channel.unary_unary(path).with_call(rest[0], timeout=20)
                return self.ended(call, message)
            case "ServerStream":
                call = self.channel.unary_stream(path)(rest[0], timeout=20)
                return self.ended(call, b",".join(call))
            case "ClientStream":
                message, call = self.channel.stream_unary(path).with_call(iter(rest), timeout=20)
                return self.ended(call, message)
            case "Both":
                self.requests = Requests()
                self.stream = self.channel.stream_stream(path)(iter(self.requests), timeout=60)
                self.requests.waiting.put(rest[0])
                return next(self.stream).decode()
            case "more":
                self.requests.waiting.put(rest[0])
                return next(self.stream).decode()
            case "await":
                return next(self.stream).decode()
            case "end":
                self.requests.waiting.put(None)
                return self.ended(self.stream, b",".join(self.stream))

    def ended(self, call, message):
        trailers = dict(call.trailing_metadata()).get("x-trailer")
        return f"{call.code().name} {message.decode()} {trailers}"


def main():
    if sys.argv[1] == "serve":
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), handlers=[Service()])
        server.add_insecure_port("[::]:50051")
        server.start()
        server.wait_for_termination()
    client = Client(sys.argv[2])
    for line in sys.stdin:
        try:
            print(client.do(line.split()), flush=True)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ()).get("x-trailer")
            print(error.code().name, error.details(), trailers, flush=True)


main()
