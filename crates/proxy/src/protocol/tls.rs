//! TLS, judged by the server name in its first message and passed on unread once nothing more can be read.

use super::{Next, Step, Surroundings};
use crate::{
    gate::{Decided, Gate},
    message::{Side, Verdict, What},
};
use ciliate_tls::{
    ACCESS_DENIED, Ahead, Answer, AnswerReader, ClientHello, DEFAULT_LIMIT, HelloError, HelloReader,
    Interlude, OuterName, Progress,
};

#[derive(Debug)]
pub struct Tls {
    client: Client,
    /// None once the server has answered.
    server: Option<AnswerReader>,
    retry: Retry,
    name: Option<String>,
}

/// Where the client is.
#[derive(Debug)]
enum Client {
    Hello(HelloReader),
    /// It has said hello. A second one has to wait until the server has answered: it may be to take the place of the first.
    Between(Interlude),
    SecondHello(HelloReader),
    /// Nothing that it sends can be read.
    Through,
}

/// Whether the server has asked for a second hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    Unknown,
    Wanted,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            client: Client::Hello(HelloReader::new(DEFAULT_LIMIT)),
            server: Some(AnswerReader::default()),
            retry: Retry::Unknown,
            name: None,
        }
    }
}

impl Tls {
    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        match &mut self.client {
            Client::Hello(reader) => match reader.read(input) {
                Ok(Progress::More { .. }) => Step::nothing(Next::More),
                Ok(Progress::Complete(hello)) => {
                    let len = reader.hello_len();
                    self.first(&hello, len, around)
                }
                Err(error) => malformed(&error, around),
            },
            Client::Between(interlude) => {
                let walked = match interlude.walk(input) {
                    Ok(walked) => walked,
                    Err(error) => return malformed(&error, around),
                };
                let next = match (walked.next, self.retry) {
                    (Ahead::Unknown, _) => Next::More,
                    (Ahead::Handshake, Retry::Unknown) => Next::Wait,
                    (Ahead::Handshake, Retry::Wanted) => {
                        self.client = Client::SecondHello(HelloReader::new(DEFAULT_LIMIT));
                        Next::Again
                    }
                };
                Step { consumed: walked.len, forward: 0..walked.len, next }
            }
            Client::SecondHello(reader) => match reader.read(input) {
                Ok(Progress::More { .. }) => Step::nothing(Next::More),
                Ok(Progress::Complete(hello)) => {
                    let len = reader.hello_len();
                    self.second(&hello, len, around)
                }
                Err(error) => malformed(&error, around),
            },
            Client::Through => Step::all(input.len()),
        }
    }

    fn first(&mut self, hello: &ClientHello, len: usize, around: &mut Surroundings<'_>) -> Step {
        self.name = hello.name(OuterName::Ignored).map(str::to_owned);
        let decided = around.gate.tls(self.name.as_deref());
        let name = self.name.clone();
        let what = around.watched.then(|| What::Tls { server_name: name.clone() });
        (around.tell)(decided, what.as_ref());
        match decided.verdict {
            Verdict::Forwarded | Verdict::Audited => {
                self.client = Client::Between(Interlude::default());
                Step { consumed: len, forward: 0..len, next: Next::Again }
            }
            Verdict::Denied | Verdict::Refused => deny(len, around),
        }
    }

    /// It has to ask for the same server (RFC 8446, section 4.1.2), for servers may go by either.
    fn second(&mut self, hello: &ClientHello, len: usize, around: &mut Surroundings<'_>) -> Step {
        let name = hello.name(OuterName::Ignored);
        if name == self.name.as_deref() {
            self.client = Client::Through;
            return Step { consumed: len, forward: 0..len, next: Next::Again };
        }
        let shown = |name: Option<&str>| name.unwrap_or("no name").to_owned();
        let reason = format!(
            "a second ClientHello for {}, the first was for {}",
            shown(name),
            shown(self.name.as_deref())
        );
        let what = around.watched.then(|| What::Malformed { reason: reason.clone() });
        (around.tell)(REFUSED, what.as_ref());
        deny(len, around)
    }

    pub fn server(&mut self, input: &[u8]) -> Step {
        if matches!(self.client, Client::Hello(_)) {
            return foreign(input.len());
        }
        if let Some(reader) = &mut self.server
            && let Some(answer) = reader.read(input)
        {
            self.server = None;
            match answer {
                Answer::ServerHello => self.client = Client::Through,
                Answer::RetryRequest => self.retry = Retry::Wanted,
                Answer::Foreign => return foreign(input.len()),
            }
        }
        Step::all(input.len())
    }

    /// Whether the name is still allowed; one that is not known yet will be asked for.
    pub fn still_allowed(&self, gate: &Gate) -> bool {
        matches!(self.client, Client::Hello(_))
            || matches!(gate.tls(self.name.as_deref()).verdict, Verdict::Forwarded | Verdict::Audited)
    }
}

/// The server does not speak TLS: the client may have what it says, but of what it would answer nothing is known.
fn foreign(len: usize) -> Step {
    Step { consumed: len, forward: 0..len, next: Next::Finish }
}

const REFUSED: Decided = Decided { verdict: Verdict::Refused, side: Side::Egress, rule: 0 };

fn deny(len: usize, around: &mut Surroundings<'_>) -> Step {
    around.to_client.extend_from_slice(&ACCESS_DENIED);
    Step { consumed: len, forward: 0..0, next: Next::Finish }
}

fn malformed(error: &HelloError, around: &mut Surroundings<'_>) -> Step {
    let what = around.watched.then(|| What::Malformed { reason: error.to_string() });
    (around.tell)(REFUSED, what.as_ref());
    Step::nothing(Next::Cut("tls-hello"))
}
