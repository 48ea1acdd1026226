"""A receiver of OpenTelemetry's logs made from its published messages: otlp.py PORT grpc|http OUT

Each record is a line of JSON in OUT. The records of the first request that says so in a header (x-reject: 1) are taken but for one; one
that says x-refuse: 1 is refused for good."""

import json
import sys
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc

port, protocol, out = int(sys.argv[1]), sys.argv[2], open(sys.argv[3], "a", buffering=1)
partly = False


def take(request, headers):
    global partly
    answer = logs_service_pb2.ExportLogsServiceResponse()
    records = []
    for logs in request.resource_logs:
        for scope in logs.scope_logs:
            for record in scope.log_records:
                line = MessageToDict(record)
                line["resource"] = MessageToDict(logs.resource)
                line["scope"] = scope.scope.name
                records.append(json.dumps(line))
    if headers.get("x-reject") and not partly:
        partly = True
        records.pop()
        answer.partial_success.rejected_log_records = 1
        answer.partial_success.error_message = "one too many"
    out.write("".join(record + "\n" for record in records))
    return answer


class Logs(logs_service_pb2_grpc.LogsServiceServicer):
    def Export(self, request, context):
        headers = dict(context.invocation_metadata())
        if headers.get("x-refuse"):
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not wanted")
        return take(request, headers)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path != "/v1/logs" or self.headers["content-type"] != "application/x-protobuf":
            return self.answer(400, b"")
        request = logs_service_pb2.ExportLogsServiceRequest.FromString(body)
        self.answer(200, take(request, self.headers).SerializeToString())

    def answer(self, code, body):
        self.send_response(code)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if protocol == "grpc":
    server = grpc.server(futures.ThreadPoolExecutor(2))
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()
else:
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
