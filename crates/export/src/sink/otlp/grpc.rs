//! OTLP by gRPC.

use super::{
    Answer,
    message::{ExportLogsServiceRequest, ExportLogsServiceResponse},
};
use crate::{connection::Route, fault::Fault, spec::OtlpTarget};
use hyper_util::rt::TokioIo;
use std::time::Duration;
use tonic::{
    Code, Request, Status,
    codegen::http::{Uri, uri::PathAndQuery},
    metadata::{MetadataKey, MetadataValue},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

const METHOD: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

pub struct Grpc {
    route: Route,
    headers: Vec<(String, String)>,
    timeout: Duration,
    channel: Option<Channel>,
}

impl Grpc {
    pub fn new(target: &OtlpTarget) -> Self {
        let OtlpTarget { route, headers, timeout, .. } = target;
        Self { route: route.clone(), headers: headers.clone(), timeout: *timeout, channel: None }
    }

    pub async fn export(&mut self, request: &ExportLogsServiceRequest) -> Result<Answer, Fault> {
        let channel = match self.channel.take() {
            Some(channel) => channel,
            None => self.connect().await?,
        };
        let mut client = tonic::client::Grpc::new(channel.clone());
        client.ready().await.map_err(|error| self.wrong(&error.to_string()))?;
        let mut call = Request::new(request.clone());
        call.set_timeout(self.timeout);
        for (name, value) in &self.headers {
            // The configuration was checked.
            if let (Ok(name), Ok(value)) =
                (MetadataKey::from_bytes(name.as_bytes()), MetadataValue::try_from(value))
            {
                call.metadata_mut().insert(name, value);
            }
        }
        let codec = ProstCodec::<ExportLogsServiceRequest, ExportLogsServiceResponse>::default();
        let calling = client.unary(call, PathAndQuery::from_static(METHOD), codec);
        // The server may not care for the deadline that it was told.
        let answer = match tokio::time::timeout(self.timeout, calling).await {
            Ok(Ok(answer)) => Ok(Answer::Taken(answer.into_inner())),
            Ok(Err(status)) => return self.understand(&status),
            Err(_) => Err(self.wrong("it does not answer")),
        };
        if answer.is_ok() {
            self.channel = Some(channel);
        }
        answer
    }

    /// What may be tried again (OTLP 1.7, "Failures").
    fn understand(&self, status: &Status) -> Result<Answer, Fault> {
        let text = format!("{}: {}", status.code(), status.message());
        match status.code() {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            // What gives a reason to wait is told more precisely by a detail that is not read here.
            | Code::ResourceExhausted
            // A wrong key may be put right.
            | Code::Unauthenticated
            | Code::PermissionDenied
            // Of a connection that broke.
            | Code::Unknown => Err(self.wrong(&text)),
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Internal => Ok(Answer::Refused(text)),
        }
    }

    fn wrong(&self, what: &str) -> Fault {
        Fault::Otlp { to: self.route.address.clone(), what: what.to_owned(), wait: None }
    }

    async fn connect(&self) -> Result<Channel, Fault> {
        let connection = self.route.connect(&[b"h2"]).await?;
        let scheme = if self.route.tls.is_some() { "https" } else { "http" };
        let address = &self.route.address;
        let origin: Uri =
            format!("{scheme}://{address}").parse().map_err(|_| self.wrong("its name is no name"))?;
        // One connection; what comes after it is another channel.
        let mut once = Some(connection);
        let connector = tower::service_fn(move |_: Uri| {
            let connection = once.take().ok_or_else(|| std::io::Error::other("it hung up"));
            async move { connection.map(TokioIo::new) }
        });
        Endpoint::from_static("http://receiver")
            .origin(origin)
            .connect_with_connector(connector)
            .await
            .map_err(|error| self.wrong(&error.to_string()))
    }
}
