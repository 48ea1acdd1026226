//! TLS, judged by the server name in its first message and passed on unread.

use super::{Next, Step, Surroundings};
use crate::{
    gate::{Decided, Gate},
    message::{Side, Verdict, What},
};
use ciliate_tls::{ACCESS_DENIED, DEFAULT_LIMIT, HelloReader, OuterName, Progress};

#[derive(Debug)]
pub struct Tls {
    /// None once the client has said hello.
    reader: Option<HelloReader>,
    name: Option<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self { reader: Some(HelloReader::new(DEFAULT_LIMIT)), name: None }
    }
}

impl Tls {
    pub fn client(&mut self, input: &[u8], around: &mut Surroundings<'_>) -> Step {
        let Some(reader) = &mut self.reader else { return Step::all(input.len()) };
        match reader.read(input) {
            Ok(Progress::More { .. }) => Step::nothing(Next::More),
            Ok(Progress::Complete(hello)) => {
                self.reader = None;
                self.name = hello.name(OuterName::Ignored).map(str::to_owned);
                let decided = around.gate.tls(self.name.as_deref());
                let name = self.name.clone();
                (around.tell)(decided, &|| What::Tls { server_name: name.clone() });
                match decided.verdict {
                    Verdict::Forwarded | Verdict::Audited => Step::all(input.len()),
                    Verdict::Denied | Verdict::Refused => {
                        around.to_client.extend_from_slice(&ACCESS_DENIED);
                        Step { consumed: input.len(), forward: 0..0, next: Next::Finish }
                    }
                }
            }
            Err(error) => {
                let decided = Decided { verdict: Verdict::Refused, side: Side::Egress, rule: 0 };
                (around.tell)(decided, &|| What::Malformed { reason: error.to_string() });
                Step::nothing(Next::Cut("tls-hello"))
            }
        }
    }

    /// Whether the name is still allowed; one that is not known yet will be asked for.
    pub fn still_allowed(&self, gate: &Gate) -> bool {
        self.reader.is_some()
            || matches!(gate.tls(self.name.as_deref()).verdict, Verdict::Forwarded | Verdict::Audited)
    }
}
