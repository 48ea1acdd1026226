//! OTLP: logs for OpenTelemetry, by gRPC or as protobuf over HTTP.

mod attributes;
mod grpc;
mod http;
mod message;

use super::{Load, Sent, Shape};
use crate::{
    buffer::Entry,
    fault::Fault,
    spec::{OtlpProtocol, OtlpTarget},
};
use message::{ExportLogsServiceRequest, ExportLogsServiceResponse, ResourceLogs, ScopeLogs};
use prost::Message as _;

/// Bytes of one request, about; servers take 4 MiB.
const MOST: usize = 1 << 20;

pub struct Otlp {
    target: OtlpTarget,
    road: Road,
    request: ExportLogsServiceRequest,
}

enum Road {
    Grpc(grpc::Grpc),
    Http(http::Http),
}

impl Otlp {
    pub fn new(target: &OtlpTarget) -> Self {
        let road = match target.protocol {
            OtlpProtocol::Grpc => Road::Grpc(grpc::Grpc::new(target)),
            OtlpProtocol::Http => Road::Http(http::Http::new(target)),
        };
        Self { target: target.clone(), road, request: ExportLogsServiceRequest::default() }
    }

    pub fn load<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>, shape: &Shape) -> Load {
        let mut load = Load::default();
        let (mut records, mut bytes) = (Vec::new(), 0_usize);
        for entry in entries {
            load.entries = load.entries.saturating_add(1);
            match attributes::record(entry, shape) {
                Ok(record) => {
                    bytes = bytes.saturating_add(record.encoded_len());
                    records.push(record);
                }
                Err(_) => load.unfit = load.unfit.saturating_add(1),
            }
            if bytes >= MOST {
                break;
            }
        }
        let scope = ScopeLogs { scope: Some(attributes::scope()), log_records: records };
        let resource = attributes::resource(&shape.node, &self.target.resource);
        let logs = ResourceLogs { resource: Some(resource), scope_logs: vec![scope] };
        self.request = ExportLogsServiceRequest { resource_logs: vec![logs] };
        load
    }

    /// A receiver that takes only a part says how much it does not take; that is not sent again (OTLP 1.7, "Partial Success").
    pub async fn send(&mut self) -> Result<Sent, Fault> {
        let answer = match &mut self.road {
            Road::Grpc(grpc) => grpc.export(&self.request).await?,
            Road::Http(http) => http.export(&self.request).await?,
        };
        let records = || self.request.resource_logs.iter().flat_map(|logs| &logs.scope_logs);
        let all = records().map(|scope| scope.log_records.len()).sum();
        Ok(match answer {
            Answer::Taken(ExportLogsServiceResponse { partial_success: None }) => Sent::Settled,
            Answer::Taken(ExportLogsServiceResponse { partial_success: Some(part) }) => {
                match usize::try_from(part.rejected_log_records) {
                    Ok(0) | Err(_) => Sent::Settled,
                    Ok(flows) => Sent::Refused { flows: flows.min(all), why: part.error_message },
                }
            }
            Answer::Refused(why) => Sent::Refused { flows: all, why },
        })
    }
}

/// What a receiver says to a request.
enum Answer {
    Taken(ExportLogsServiceResponse),
    /// It would not take it another time, either.
    Refused(String),
}

#[cfg(test)]
mod tests;
