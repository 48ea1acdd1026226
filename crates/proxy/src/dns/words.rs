//! Queries and answers as watchers are told of them.

use crate::{
    gate::Decided,
    message::{DnsAnswer, Verdict, What},
    protocol,
};
use ciliate_dns::{Answer, Asked, Question, RecordType, Reply, Resolved, ResponseCode};
use std::time::Instant;

/// A query; of one that is denied, with what the client is told.
pub fn query(question: &Question, decided: Decided, reject: Reply) -> What {
    let answer = match decided.verdict {
        Verdict::Denied | Verdict::Refused => {
            Some(DnsAnswer { code: reject.code().0, ..DnsAnswer::default() })
        }
        Verdict::Forwarded | Verdict::Audited => None,
    };
    what(question, answer)
}

/// A server's answer, which gives these addresses. Times of queries count from `born`.
pub fn answer<T: AsRef<Decided>>(
    asked: &Asked<T>,
    born: Instant,
    answer: &Answer<'_>,
    found: &Resolved,
) -> protocol::Asked {
    let mut kinds: Vec<RecordType> = Vec::new();
    answer.kinds().for_each(|kind| {
        if !kinds.contains(&kind) {
            kinds.push(kind)
        }
    });
    let said = DnsAnswer {
        code: answer.code().0,
        addresses: found.addresses.iter().map(|one| one.address).collect(),
        ttl: found.addresses.iter().map(|one| one.ttl).min().unwrap_or_default(),
        aliases: found.names.iter().skip(1).map(|alias| alias.name.to_string()).collect(),
        kinds: kinds.into_iter().map(|kind| kind.to_string()).collect(),
    };
    response(asked, born, said)
}

/// That the client is told of a failure, for want of an answer that may be passed on.
pub fn failure<T: AsRef<Decided>>(asked: &Asked<T>, born: Instant) -> protocol::Asked {
    response(asked, born, DnsAnswer { code: ResponseCode::SERVFAIL.0, ..DnsAnswer::default() })
}

fn response<T: AsRef<Decided>>(asked: &Asked<T>, born: Instant, said: DnsAnswer) -> protocol::Asked {
    protocol::Asked {
        decided: *asked.tag.as_ref(),
        what: what(&asked.question(), Some(said)),
        at: born.checked_add(asked.sent).unwrap_or(born),
    }
}

fn what(question: &Question, answer: Option<DnsAnswer>) -> What {
    What::Dns { name: question.name.to_string(), kind: question.kind.to_string(), answer }
}
