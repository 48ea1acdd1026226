//! Bodies in and out.

use crate::failure::{Failure, Result};
use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use ciliate_api::ApiError;
use serde::{Serialize, de::DeserializeOwned};

/// Longest body of a request: a policy file of 10,000 rules has some megabytes.
pub const LONGEST_BODY: usize = 64 << 20;

pub struct Json<T>(pub T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

pub fn answer<T>(result: Result<T>) -> Result<Json<T>> {
    result.map(Json)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(%status, "{}", self.0.message);
        }
        (status, axum::Json(self.0)).into_response()
    }
}

/// A body of JSON, whatever the content type says.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| Failure(ApiError::new(error.status().as_u16(), error.body_text())))?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| Failure::invalid(format!("the body of the request does not fit: {error}")))
    }
}
