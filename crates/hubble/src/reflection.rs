//! What a server has, for clients that ask it instead of having files that describe it.

use crate::DESCRIPTORS;
use tonic::service::Routes;
use tonic_reflection::{pb, server::Builder};

/// The services of these names, such as `observer.Observer`, health and reflection itself are described by `grpc.reflection` in both of its
/// versions: clients know one or the other.
pub fn describe(mut routes: Routes, services: &[&str]) -> Routes {
    let own = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let sets = [
        DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        pb::v1::FILE_DESCRIPTOR_SET,
        pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let builder = || {
        let described = sets
            .into_iter()
            .fold(Builder::configure(), Builder::register_encoded_file_descriptor_set)
            .include_reflection_service(false);
        services.iter().chain(&own).fold(described, |builder, name| builder.with_service_name(*name))
    };
    // What is built into the program is well-formed; clients would be told that there is no such service.
    if let Ok(service) = builder().build_v1() {
        routes = routes.add_service(service);
    }
    if let Ok(service) = builder().build_v1alpha() {
        routes = routes.add_service(service);
    }
    routes
}
