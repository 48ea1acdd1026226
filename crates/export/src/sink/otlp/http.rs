//! OTLP as protobuf over HTTP/1.1.

use super::{
    Answer,
    message::{ExportLogsServiceRequest, ExportLogsServiceResponse},
};
use crate::{connection::Route, fault::Fault, spec::OtlpTarget};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use std::time::Duration;

/// Bytes of an answer.
const LONGEST_ANSWER: usize = 64 << 10;
const KIND: &str = "application/x-protobuf";

pub struct Http {
    target: OtlpTarget,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Http {
    pub fn new(target: &OtlpTarget) -> Self {
        Self { target: target.clone(), sender: None }
    }

    pub async fn export(&mut self, request: &ExportLogsServiceRequest) -> Result<Answer, Fault> {
        let body = Bytes::from(request.encode_to_vec());
        let timeout = self.target.timeout;
        let exchange = self.exchange(body);
        match tokio::time::timeout(timeout, exchange).await {
            Ok(answered) => answered,
            Err(_) => Err(self.wrong("it does not answer", None)),
        }
    }

    async fn exchange(&mut self, body: Bytes) -> Result<Answer, Fault> {
        let mut sender = match self.sender.take().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await.map_err(|error| self.broke(&error))?;
        let mut request = Request::post(self.target.path.as_str())
            .header(HOST, self.target.route.address.to_string())
            .header(USER_AGENT, concat!("ciliate/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, KIND);
        for (name, value) in &self.target.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|error| self.wrong(&error.to_string(), None))?;
        let response = sender.send_request(request).await.map_err(|error| self.broke(&error))?;
        let answer = self.understand(response).await?;
        self.sender = Some(sender);
        Ok(answer)
    }

    /// What may be tried again (OTLP 1.7, "Failures" of OTLP/HTTP).
    async fn understand(&self, response: Response<Incoming>) -> Result<Answer, Fault> {
        let (head, body) = response.into_parts();
        let wait = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| self.wrong(&error.to_string(), None))?.to_bytes();
        match head.status {
            status if status.is_success() => {
                let taken = ExportLogsServiceResponse::decode(body).unwrap_or_default();
                Ok(Answer::Taken(taken))
            }
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            // A wrong key may be put right.
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN) => Err(self.wrong(&status.to_string(), wait.map(Duration::from_secs))),
            status => Ok(Answer::Refused(status.to_string())),
        }
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Fault> {
        let connection = Route::connect(&self.target.route, &[b"http/1.1"]).await?;
        let (sender, driver) =
            handshake(TokioIo::new(connection)).await.map_err(|error| self.broke(&error))?;
        tokio::spawn(async move {
            // Who sends hears of what goes wrong.
            let _ = driver.await;
        });
        Ok(sender)
    }

    fn broke(&self, error: &hyper::Error) -> Fault {
        self.wrong(&error.to_string(), None)
    }

    fn wrong(&self, what: &str, wait: Option<Duration>) -> Fault {
        Fault::Otlp { to: self.target.route.address.clone(), what: what.to_owned(), wait }
    }
}
