//! `ciliate policy trace`: the question.

pub(crate) mod answer;

use crate::{
    context::Context,
    endpoint::label,
    exit::{Code, Failure},
    output::OutputArgs,
};
use anyhow::{Context as _, bail};
use ciliate_api::{TracePeer, TraceRequest};
use ciliate_types::{Identity, Protocol};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the packet comes from: endpoint (number, NAME, NAMESPACE/NAME), address or labels (a=b,c=d)
    #[arg(value_name = "SOURCE")]
    from: Option<String>,
    /// Where it goes to, in the same forms
    #[arg(value_name = "DESTINATION")]
    to: Option<String>,
    /// Label of the source. May be repeated
    #[arg(short = 's', long = "src", value_name = "LABEL", value_delimiter = ',', value_parser = label)]
    src: Vec<String>,
    /// Label of the destination. May be repeated
    #[arg(short = 'd', long = "dst", value_name = "LABEL", value_delimiter = ',', value_parser = label)]
    dst: Vec<String>,
    /// Endpoint that is the source
    #[arg(long, value_name = "ENDPOINT")]
    src_endpoint: Option<String>,
    /// Endpoint that is the destination
    #[arg(long, value_name = "ENDPOINT")]
    dst_endpoint: Option<String>,
    /// Identity of the source
    #[arg(long, value_name = "NUMBER", value_parser = crate::identity::number)]
    src_identity: Option<Identity>,
    /// Identity of the destination
    #[arg(long, value_name = "NUMBER", value_parser = crate::identity::number)]
    dst_identity: Option<Identity>,
    /// Source, as NAMESPACE:NAME
    #[arg(long, value_name = "NAMESPACE:NAME")]
    src_k8s_pod: Option<String>,
    /// Destination, as NAMESPACE:NAME
    #[arg(long, value_name = "NAMESPACE:NAME")]
    dst_k8s_pod: Option<String>,
    /// Port and protocol, or the type of an ICMP message: 80/TCP, 53 (TCP, UDP and SCTP), ICMP:8, ICMPv6:128
    #[arg(short = 'p', long = "dport", visible_alias = "port", value_name = "PORT[/PROTOCOL]", value_parser = traffic)]
    dport: Traffic,
    /// Request within the connection: 'POST /v1/x', 'GET http://HOST/x', dns:NAME, sni:NAME, 'kafka:produce topic=NAME'
    #[arg(long, value_name = "REQUEST", value_parser = request)]
    l7: Option<String>,
    /// Header of the HTTP request. May be repeated
    #[arg(long, value_name = "NAME: VALUE", requires = "l7")]
    header: Vec<String>,
    /// Fail unless the verdict is this one
    #[arg(long, value_name = "VERDICT", value_parser = ["allowed", "redirected", "denied", "audit"])]
    expect: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What to ask about, in the form of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Traffic(String);

fn traffic(text: &str) -> Result<Traffic, String> {
    let wrong = || format!("{text:?} is no traffic: write 80/TCP, 53, ICMP:8 or ICMPv6:128");
    if let Some((protocol, kind)) = text.split_once(':') {
        let protocol: Protocol = protocol.parse().map_err(|_| wrong())?;
        let kind: u8 = kind.parse().map_err(|_| wrong())?;
        return match protocol {
            Protocol::ICMP | Protocol::ICMPV6 => Ok(Traffic(format!("{protocol}:{kind}"))),
            _ => Err(wrong()),
        };
    }
    let (port, protocol) = text.split_once('/').unwrap_or((text, "ANY"));
    let port: u16 = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
    if protocol.eq_ignore_ascii_case("any") {
        return Ok(Traffic(format!("{port}/ANY")));
    }
    match protocol.parse::<Protocol>() {
        Ok(protocol) if protocol.has_ports() => Ok(Traffic(format!("{port}/{protocol}"))),
        Ok(_) | Err(_) => Err(wrong()),
    }
}

/// The agent reads it again; here a typing error is found before it is asked.
fn request(text: &str) -> Result<String, String> {
    text.parse::<ciliate_policy::l7::Request>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// One side, from whichever flag names it.
struct Side<'a> {
    name: &'a str,
    plain: Option<&'a String>,
    labels: &'a [String],
    endpoint: Option<&'a String>,
    identity: Option<Identity>,
    pod: Option<&'a String>,
}

impl Side<'_> {
    fn peer(&self) -> anyhow::Result<TracePeer> {
        let labels = Some(self.labels).filter(|l| !l.is_empty()).map(|l| TracePeer::Labels(l.to_vec()));
        let pod = self.pod.map(|pod| TracePeer::Endpoint(pod.replacen(':', "/", 1)));
        let named = [
            self.plain.map(|text| plain(text)),
            labels,
            self.endpoint.cloned().map(TracePeer::Endpoint),
            self.identity.map(TracePeer::Identity),
            pod,
        ];
        let mut named = named.into_iter().flatten();
        let first = named.next().with_context(|| {
            format!(
                "the {} is missing: name it by endpoint, address or labels, as in \
                 `ciliate policy trace xwing deathstar --dport 80/TCP`",
                self.name
            )
        })?;
        if named.next().is_some() {
            bail!("the {} is given in more than one way", self.name);
        }
        Ok(first)
    }
}

fn plain(text: &str) -> TracePeer {
    if let Ok(address) = text.parse() {
        return TracePeer::Address(address);
    }
    // A label with an empty value, such as reserved:world, has a colon; names of endpoints have none.
    let is_container = text.starts_with("container-id:");
    match (text.contains('=') || text.contains(':')) && !is_container {
        true => TracePeer::Labels(text.split(',').map(str::to_owned).collect()),
        false => TracePeer::Endpoint(text.to_owned()),
    }
}

impl Args {
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let source = Side {
            name: "source",
            plain: self.from.as_ref(),
            labels: &self.src,
            endpoint: self.src_endpoint.as_ref(),
            identity: self.src_identity,
            pod: self.src_k8s_pod.as_ref(),
        };
        let destination = Side {
            name: "destination",
            plain: self.to.as_ref(),
            labels: &self.dst,
            endpoint: self.dst_endpoint.as_ref(),
            identity: self.dst_identity,
            pod: self.dst_k8s_pod.as_ref(),
        };
        let (source, destination) = (source.peer()?, destination.peer()?);
        let client = context.client()?;
        let lines = |first: String| std::iter::once(first).chain(self.header).collect::<Vec<_>>().join("\n");
        let request = self.l7.map(lines);
        let answers = client.trace(&TraceRequest { source, destination, traffic: self.dport.0, request })?;
        let verdicts: Vec<String> = answers.iter().map(|a| a.verdict.to_string().to_lowercase()).collect();
        self.output.print(&context.page, &answer::Answers(answers))?;
        match self.expect {
            Some(expected) => match verdicts.iter().find(|verdict| **verdict != expected) {
                Some(verdict) => {
                    Err(Failure::new(Code::Failure, format!("the verdict is {verdict}, not {expected}"))
                        .into())
                }
                None => Ok(()),
            },
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_read_in_the_forms_that_people_write() {
        for (text, expected) in [
            ("80/tcp", "80/TCP"),
            ("80", "80/ANY"),
            ("53/any", "53/ANY"),
            ("icmp:8", "ICMP:8"),
            ("ICMPV6:128", "ICMPv6:128"),
        ] {
            assert_eq!(traffic(text).map(|t| t.0), Ok(expected.to_owned()));
        }
        for text in ["", "http", "0/TCP", "80/ICMP", "tcp:80", "70000"] {
            assert!(traffic(text).is_err(), "{text}");
        }
    }

    #[test]
    fn requests_are_checked_before_the_agent_is_asked() {
        for text in
            ["POST /v1/request-landing", "dns:api.twitter.com", "sni:api.twitter.com", "kafka:fetch topic=a"]
        {
            assert_eq!(request(text).as_deref(), Ok(text));
        }
        assert!(request("v1").unwrap_err().contains("METHOD PATH"));
    }

    #[test]
    fn a_side_is_an_address_an_endpoint_or_labels() {
        for (text, expected) in [
            ("10.0.0.1", TracePeer::Address("10.0.0.1".parse().unwrap())),
            ("xwing", TracePeer::Endpoint("xwing".to_owned())),
            ("demo/xwing", TracePeer::Endpoint("demo/xwing".to_owned())),
            ("a=b,c=d", TracePeer::Labels(vec!["a=b".to_owned(), "c=d".to_owned()])),
            ("reserved:world", TracePeer::Labels(vec!["reserved:world".to_owned()])),
            ("fd00::1", TracePeer::Address("fd00::1".parse().unwrap())),
        ] {
            assert_eq!(plain(text), expected);
        }
    }
}
