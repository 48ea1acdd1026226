//! Answers that the proxy gives itself. Each function empties `out` and writes one message into it.

use crate::{
    malformed::Malformed,
    message::{DNSSEC_OK, id_and_flags},
    message::{Edns, Flags, PLAIN_UDP_LIMIT, Query, Question, RecordType, ResponseCode},
    pending::Asked,
    wire,
};

/// What a client is told instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Policy does not allow the name: REFUSED.
    Refused,
    /// Policy does not allow the name: NXDOMAIN, for resolvers that try the next server after REFUSED.
    NxDomain,
    /// The query is malformed.
    FormErr,
    /// The operation is none that is forwarded.
    NotImp,
    /// No answer came in time, or it could not be used.
    ServFail,
    /// The proxy has too much to do.
    Busy,
}

/// The largest datagram that the proxy says to take: what fits into IPv6's least MTU (DNS flag day 2020).
pub const OWN_UDP_SIZE: u16 = 1232;

/// The option that explains an error (RFC 8914, 2).
const EXTENDED_ERROR: u16 = 15;

impl Reply {
    #[must_use]
    pub const fn code(self) -> ResponseCode {
        match self {
            Self::Refused => ResponseCode::REFUSED,
            Self::NxDomain => ResponseCode::NXDOMAIN,
            Self::FormErr => ResponseCode::FORMERR,
            Self::NotImp => ResponseCode::NOTIMP,
            Self::ServFail | Self::Busy => ResponseCode::SERVFAIL,
        }
    }

    /// Number and text of the extended error (RFC 8914, 4): 15 is "blocked", 14 "not ready", 23 "network error".
    const fn explanation(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Refused | Self::NxDomain => Some((15, "denied by policy")),
            Self::ServFail => Some((23, "no usable answer from the server")),
            Self::Busy => Some((14, "too many queries under way")),
            Self::FormErr | Self::NotImp => None,
        }
    }
}

/// Answers a query. With EDNS in the query there is EDNS in the answer, with an explanation.
pub fn to_query(query: &Query<'_>, reply: Reply, out: &mut Vec<u8>) {
    answer(query.id, query.flags, reply, query.question_bytes(), query.edns, out);
}

/// Answers a query that was forwarded in vain.
pub fn to_asked<T>(asked: &Asked<T>, reply: Reply, out: &mut Vec<u8>) {
    answer(asked.client_id, asked.flags, reply, asked.question_bytes(), asked.edns, out);
}

/// Answers what could not be read: FORMERR, or NOTIMP to other operations. False: nothing may be answered, because there is no
/// header, or it is an answer itself, and two who answer answers would never stop.
#[must_use]
pub fn to_malformed(message: &[u8], malformed: Malformed, out: &mut Vec<u8>) -> bool {
    out.clear();
    let Ok((id, flags)) = id_and_flags(message) else { return false };
    if message.len() < wire::HEADER || flags.has(Flags::ANSWER) {
        return false;
    }
    let reply = if malformed == Malformed::Operation { Reply::NotImp } else { Reply::FormErr };
    let question = match (wire::u16_at(message, 4), Question::read(message)) {
        (Some(1), Ok((_, end))) => message.get(wire::HEADER..end).unwrap_or_default(),
        _ => &[],
    };
    answer(id, flags, reply, question, None, out);
    true
}

/// What is left of an answer that is larger than the client takes: header with TC, question, EDNS. The client asks again by TCP.
pub fn truncate(message: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    out.clear();
    let answer = crate::Answer::parse(message)?;
    let flags = answer.flags.0 | Flags::TRUNCATED;
    header(answer.id, Flags(flags), answer.question_bytes(), answer.edns.is_some(), out);
    if let Some(edns) = answer.edns {
        opt(edns.udp_size, edns.dnssec_ok, None, out);
    }
    Ok(())
}

fn answer(id: u16, query: Flags, reply: Reply, question: &[u8], edns: Option<Edns>, out: &mut Vec<u8>) {
    out.clear();
    let kept = query.0 & (Flags::OPERATION | Flags::RECURSION_DESIRED | Flags::CHECKING_DISABLED);
    let flags = Flags::ANSWER | kept | Flags::RECURSION_AVAILABLE | u16::from(reply.code().0);
    header(id, Flags(flags), question, edns.is_some(), out);
    if let Some(edns) = edns {
        opt(OWN_UDP_SIZE, edns.dnssec_ok, reply.explanation(), out);
    }
}

fn header(id: u16, flags: Flags, question: &[u8], edns: bool, out: &mut Vec<u8>) {
    let questions = u16::from(!question.is_empty());
    for number in [id, flags.0, questions, 0, 0, u16::from(edns)] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(question);
}

fn opt(udp_size: u16, dnssec_ok: bool, explanation: Option<(u16, &str)>, out: &mut Vec<u8>) {
    let flags = if dnssec_ok { DNSSEC_OK } else { 0 };
    out.push(0);
    for number in [RecordType::OPT.0, udp_size.max(PLAIN_UDP_LIMIT), 0, flags] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let Some((number, text)) = explanation else { return out.extend_from_slice(&[0, 0]) };
    let text_and_number = u16::try_from(text.len()).unwrap_or_default().saturating_add(2);
    for number in [text_and_number.saturating_add(4), EXTENDED_ERROR, text_and_number, number] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
