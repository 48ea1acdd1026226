//! What a proxy read in a connection.

use super::{Column, Of, Width, filled, number, push, put, put_text, set, text, texts};
use crate::draft::ContentKind;
use ciliate_flow::{Content, Dns, Flow, Http, Kafka, Stage};
use std::borrow::Cow;

pub(super) const COLUMNS: &[Column] = &[
    text(
        "l7_type",
        Of::Kind,
        "what the proxy read: `request`, `response` or `sample`",
        |flow| {
            flow.request.as_ref().map(|request| match request.stage {
                Stage::Request => Cow::Borrowed("request"),
                Stage::Response => Cow::Borrowed("response"),
                Stage::Sample => Cow::Borrowed("sample"),
            })
        },
        |draft, text| {
            draft.stage = Some(match text {
                "request" => Stage::Request,
                "response" => Stage::Response,
                "sample" => Stage::Sample,
                _ => return None,
            });
            Some(())
        },
    ),
    text(
        "l7_protocol",
        Of::Kind,
        "`http`, `dns`, `kafka`, `tls`, `malformed` or `other`",
        |flow| content(flow).map(|content| Cow::Borrowed(ContentKind::of(content).name())),
        |draft, text| ContentKind::named(text).map(|kind| draft.content = kind),
    ),
    number(
        "latency",
        Of::Request,
        "of an answer: nanoseconds since its request",
        Width::U64,
        |flow| {
            flow.request.as_ref().map(|request| request.latency.cast_signed()).filter(|latency| *latency != 0)
        },
        |draft, latency| set(&mut draft.latency, latency.cast_unsigned()),
    ),
    number(
        "http_code",
        Of::Http,
        "status of the answer",
        Width::U32,
        |flow| http(flow).filter(|http| http.code != 0).map(|http| http.code.into()),
        |draft, code| put(&mut draft.http.code, code),
    ),
    text(
        "http_method",
        Of::Http,
        "method of the request",
        |flow| http(flow).and_then(|http| filled(&http.method)),
        |draft, method| put_text(&mut draft.http.method, method),
    ),
    text(
        "http_url",
        Of::Http,
        "whole URL, with what the settings left of it",
        |flow| http(flow).and_then(|http| filled(&http.url)),
        |draft, url| put_text(&mut draft.http.url, url),
    ),
    text(
        "http_protocol",
        Of::Http,
        "such as `HTTP/1.1`",
        |flow| http(flow).and_then(|http| filled(&http.protocol)),
        |draft, protocol| put_text(&mut draft.http.protocol, protocol),
    ),
    texts(
        "http_header_names",
        Of::Http,
        "names of the headers that the settings left",
        |flow, each| {
            http(flow).iter().flat_map(|http| &http.headers).for_each(|header| each((&header.name).into()))
        },
        |draft, name| push(&mut draft.header_names, name),
    ),
    texts(
        "http_header_values",
        Of::Http,
        "their values, one for each",
        |flow, each| {
            http(flow).iter().flat_map(|http| &http.headers).for_each(|header| each((&header.value).into()))
        },
        |draft, value| push(&mut draft.header_values, value),
    ),
    text(
        "dns_query",
        Of::Dns,
        "the name that was asked for, with the dot of the root",
        |flow| dns(flow).and_then(|dns| filled(&dns.query)),
        |draft, query| put_text(&mut draft.dns.query, query),
    ),
    texts(
        "dns_addresses",
        Of::Dns,
        "the answer's addresses",
        |flow, each| dns(flow).iter().flat_map(|dns| &dns.addresses).for_each(|address| each(address.into())),
        |draft, address| push(&mut draft.dns.addresses, address),
    ),
    number(
        "dns_ttl",
        Of::Dns,
        "seconds that the answer may be kept",
        Width::U32,
        |flow| dns(flow).filter(|dns| dns.ttl != 0).map(|dns| dns.ttl.into()),
        |draft, ttl| put(&mut draft.dns.ttl, ttl),
    ),
    texts(
        "dns_cnames",
        Of::Dns,
        "the answer's other names",
        |flow, each| dns(flow).iter().flat_map(|dns| &dns.cnames).for_each(|name| each(name.into())),
        |draft, name| push(&mut draft.dns.cnames, name),
    ),
    text(
        "dns_observer",
        Of::Dns,
        "who read it: `proxy`",
        |flow| dns(flow).and_then(|dns| filled(&dns.observer)),
        |draft, observer| put_text(&mut draft.dns.observer, observer),
    ),
    number(
        "dns_rcode",
        Of::Dns,
        "the answer's code (RFC 6895); 0 = no error",
        Width::U32,
        |flow| dns(flow).map(|dns| dns.rcode.into()),
        |draft, code| put(&mut draft.dns.rcode, code),
    ),
    texts(
        "dns_query_types",
        Of::Dns,
        "types that were asked for, such as `AAAA`",
        |flow, each| dns(flow).iter().flat_map(|dns| &dns.query_types).for_each(|kind| each(kind.into())),
        |draft, kind| push(&mut draft.dns.query_types, kind),
    ),
    texts(
        "dns_record_types",
        Of::Dns,
        "types of the answer's records",
        |flow, each| dns(flow).iter().flat_map(|dns| &dns.record_types).for_each(|kind| each(kind.into())),
        |draft, kind| push(&mut draft.dns.record_types, kind),
    ),
    text(
        "kafka_api",
        Of::Kafka,
        "such as `produce`",
        |flow| kafka(flow).and_then(|kafka| filled(&kafka.api_key)),
        |draft, api| put_text(&mut draft.kafka.api_key, api),
    ),
    number(
        "kafka_api_version",
        Of::Kafka,
        "version of the request",
        Width::I32,
        |flow| kafka(flow).map(|kafka| kafka.api_version.into()),
        |draft, version| put(&mut draft.kafka.api_version, version),
    ),
    text(
        "kafka_topic",
        Of::Kafka,
        "the topic",
        |flow| kafka(flow).and_then(|kafka| filled(&kafka.topic)),
        |draft, topic| put_text(&mut draft.kafka.topic, topic),
    ),
    number(
        "kafka_error_code",
        Of::Kafka,
        "of the answer; 0 = none",
        Width::I32,
        |flow| kafka(flow).map(|kafka| kafka.error_code.into()),
        |draft, code| put(&mut draft.kafka.error_code, code),
    ),
    number(
        "kafka_correlation_id",
        Of::Kafka,
        "what the client numbers its request with",
        Width::I32,
        |flow| kafka(flow).map(|kafka| kafka.correlation_id.into()),
        |draft, id| put(&mut draft.kafka.correlation_id, id),
    ),
    text(
        "tls_name",
        Of::Tls,
        "the server that a TLS client wants; null if it says none",
        |flow| match content(flow)? {
            Content::Tls(name) => name.as_deref().map(Cow::Borrowed),
            Content::Http(_)
            | Content::Dns(_)
            | Content::Kafka(_)
            | Content::Malformed(_)
            | Content::Other => None,
        },
        |draft, name| set(&mut draft.tls, Some(name.to_owned())),
    ),
    text(
        "malformed",
        Of::Malformed,
        "why bytes could not be read in one way only",
        |flow| match content(flow)? {
            Content::Malformed(reason) => filled(reason),
            Content::Http(_) | Content::Dns(_) | Content::Kafka(_) | Content::Tls(_) | Content::Other => None,
        },
        |draft, reason| put_text(&mut draft.malformed, reason),
    ),
];

fn content(flow: &Flow) -> Option<&Content> {
    flow.request.as_ref().map(|request| &request.content)
}

fn http(flow: &Flow) -> Option<&Http> {
    match content(flow)? {
        Content::Http(http) => Some(http),
        Content::Dns(_) | Content::Kafka(_) | Content::Tls(_) | Content::Malformed(_) | Content::Other => {
            None
        }
    }
}

fn dns(flow: &Flow) -> Option<&Dns> {
    match content(flow)? {
        Content::Dns(dns) => Some(dns),
        Content::Http(_) | Content::Kafka(_) | Content::Tls(_) | Content::Malformed(_) | Content::Other => {
            None
        }
    }
}

fn kafka(flow: &Flow) -> Option<&Kafka> {
    match content(flow)? {
        Content::Kafka(kafka) => Some(kafka),
        Content::Http(_) | Content::Dns(_) | Content::Tls(_) | Content::Malformed(_) | Content::Other => None,
    }
}
