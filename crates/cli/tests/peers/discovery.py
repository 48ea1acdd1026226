"""Knows nothing of Hubble's interface: asks a server what it has, and calls that.

discovery.py SERVER     prints the services, whether they are healthy, and what some calls are answered with
"""

import sys

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

# Of a socket this library makes an authority with percent signs, which servers of the http crate take for none.
channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.default_authority", "localhost")])
described = ProtoReflectionDescriptorDatabase(channel)
pool = DescriptorPool(described)
health = health_pb2_grpc.HealthStub(channel)


def call(service, name, **fields):
    method = pool.FindServiceByName(service).FindMethodByName(name)
    request = message_factory.GetMessageClass(method.input_type)
    answer = message_factory.GetMessageClass(method.output_type)
    kind = channel.unary_stream if method.server_streaming else channel.unary_unary
    made = kind(
        f"/{service}/{name}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    answers = made(request(**fields), timeout=20)
    for each in answers if method.server_streaming else [answers]:
        print(name, json_format.MessageToJson(each, preserving_proto_field_name=True, indent=None, descriptor_pool=pool))


for service in sorted(described.get_services()):
    print("service", service)
for service in ["", "observer.Observer", "peer.Peer"]:
    answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=20)
    print("health", service or "all", health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
call("observer.Observer", "ServerStatus")
call("observer.Observer", "GetNodes")
call("observer.Observer", "GetNamespaces")
call("observer.Observer", "GetFlows", number=2, whitelist=[{"verdict": ["DROPPED"]}])
try:
    call("observer.Observer", "GetFlows", whitelist=[{"http_path": ["("]}])
except grpc.RpcError as error:
    print("error", error.code().name, error.details())
