//! The command line.

use crate::{client::Request, url::Url};
use std::time::Duration;

pub const USAGE: &str = "\
usage: deathstar [serve] [--port PORT]
       deathstar request METHOD URL [--timeout SECONDS] [-4|-6]

serve    answers on every IPv4 and IPv6 address, port 80 unless told; port 0 takes a free one and prints it
request  prints the answer's body
         exit status: 0 answered below 400, 22 answered with 400 or more, 7 not connected, 28 no answer in time,
         6 the name is unknown, 2 wrong usage (curl's numbers)
";

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Serve { port: u16 },
    Request(Request),
}

/// Which addresses of a name the client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Any,
    Ipv4,
    Ipv6,
}

pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.peekable();
    match arguments.peek().map(String::as_str) {
        Some("help" | "-h" | "--help") => Ok(Command::Help),
        Some("request") => {
            arguments.next();
            request(arguments)
        }
        Some("serve") => {
            arguments.next();
            serve(arguments)
        }
        Some(_) | None => serve(arguments),
    }
}

fn serve(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut port = 80;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => port = value(&argument, &mut arguments, "a number from 0 to 65535")?,
            _ => return Err(format!("unknown argument {argument:?}")),
        }
    }
    Ok(Command::Serve { port })
}

fn request(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut timeout = Duration::from_secs(30);
    let mut family = Family::Any;
    let mut words = Vec::new();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--timeout" => {
                let expected = "a number of seconds above 0, such as 2 or 0.5";
                let seconds: f64 = value(&argument, &mut arguments, expected)?;
                timeout = Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|time| !time.is_zero())
                    .ok_or_else(|| format!("--timeout {seconds}: {expected} is needed"))?;
            }
            "-4" => family = Family::Ipv4,
            "-6" => family = Family::Ipv6,
            flag if flag.starts_with('-') => return Err(format!("unknown argument {flag:?}")),
            _ => words.push(argument),
        }
    }
    let [method, url] = words.as_slice() else {
        return Err(
            "request needs a method and a URL, such as: request POST http://deathstar/v1/request-landing"
                .into(),
        );
    };
    if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("method {method:?} is not a word of capital letters, such as GET or POST"));
    }
    let url: Url = url.parse()?;
    Ok(Command::Request(Request { method: method.clone(), url, timeout, family }))
}

fn value<T: std::str::FromStr>(
    flag: &str,
    arguments: &mut impl Iterator<Item = String>,
    expected: &str,
) -> Result<T, String> {
    let text = arguments.next().ok_or_else(|| format!("{flag} needs {expected}"))?;
    text.parse().map_err(|_| format!("{flag} {text:?}: {expected} is needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn serving_is_the_default() {
        for line in ["", "serve", "--port 80"] {
            assert_eq!(parsed(line), Ok(Command::Serve { port: 80 }), "{line:?}");
        }
        assert_eq!(parsed("serve --port 0"), Ok(Command::Serve { port: 0 }));
    }

    #[test]
    fn a_request_carries_its_limits() {
        let Ok(Command::Request(request)) =
            parsed("request PUT http://deathstar/v1/exhaust-port --timeout 0.5 -6")
        else {
            panic!("not a request");
        };
        assert_eq!(request.method, "PUT");
        assert_eq!(request.timeout, Duration::from_millis(500));
        assert_eq!(request.family, Family::Ipv6);
    }

    #[test]
    fn wrong_usage_says_what_is_right() {
        for (line, part) in [
            ("--port", "--port needs a number from 0 to 65535"),
            ("--port 65536", "--port \"65536\""),
            ("sreve", "unknown argument \"sreve\""),
            ("request GET", "needs a method and a URL"),
            ("request get http://a/", "not a word of capital letters"),
            ("request GET http://a/ --timeout 0", "above 0"),
            ("request GET http://a/ --timeout -1", "above 0"),
            ("request GET ftp://a/", "http://"),
        ] {
            let problem = parsed(line).expect_err(line);
            assert!(problem.contains(part), "{line}: {problem}");
        }
    }
}
