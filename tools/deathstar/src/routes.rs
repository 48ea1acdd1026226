//! What the station answers.

/// An answer with a body; the connection's handling is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: Status,
    pub content_type: &'static str,
    pub body: &'static str,
    /// The methods the path takes, where the request's was another one.
    pub allow: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    TooLarge,
    Unavailable,
}

impl Status {
    /// Code and reason phrase, as the first line of an answer has them.
    pub fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::TooLarge => "413 Content Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

const DESCRIPTION: &str = r#"{
  "name": "Death Star",
  "model": "DS-1 battle station",
  "affiliation": "empire",
  "endpoints": {
    "GET /v1/": "this description",
    "POST /v1/request-landing": "ask for permission to land",
    "PUT /v1/exhaust-port": "never let anyone reach this"
  }
}
"#;

const EXPLOSION: &str = "\
Panic: deathstar exploded

stack backtrace:
   0: deathstar::reactor::meltdown
             at reactor.rs:1138
   1: deathstar::shaft::fall(torpedoes: 2)
             at shaft.rs:66
   2: deathstar::port::exhaust
             at port.rs:2
";

pub fn answer(method: &str, target: &str) -> Answer {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    match path {
        "/v1" | "/v1/" => only(method, "GET, HEAD", text(Status::Ok, "application/json", DESCRIPTION)),
        "/v1/request-landing" => only(method, "POST", plain(Status::Ok, "Ship landed\n")),
        "/v1/exhaust-port" => only(method, "PUT", plain(Status::Unavailable, EXPLOSION)),
        _ => plain(Status::NotFound, "no such place on this station; GET /v1/ describes it\n"),
    }
}

pub fn plain(status: Status, body: &'static str) -> Answer {
    text(status, "text/plain; charset=utf-8", body)
}

fn text(status: Status, content_type: &'static str, body: &'static str) -> Answer {
    Answer { status, content_type, body, allow: None }
}

fn only(method: &str, allowed: &'static str, answer: Answer) -> Answer {
    match allowed.split(", ").any(|one| one == method) {
        true => answer,
        false => Answer {
            allow: Some(allowed),
            ..plain(Status::MethodNotAllowed, "this place takes another method; GET /v1/ says which\n")
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_story() {
        for (method, target, status, body) in [
            ("POST", "/v1/request-landing", Status::Ok, "Ship landed\n"),
            ("POST", "/v1/request-landing?ship=xwing", Status::Ok, "Ship landed\n"),
            ("PUT", "/v1/exhaust-port", Status::Unavailable, EXPLOSION),
            ("GET", "/v1/", Status::Ok, DESCRIPTION),
        ] {
            let answer = answer(method, target);
            assert_eq!((answer.status, answer.body), (status, body), "{method} {target}");
        }
        assert!(EXPLOSION.starts_with("Panic: deathstar exploded\n"));
    }

    #[test]
    fn other_methods_and_places() {
        assert_eq!(answer("GET", "/v1/request-landing").allow, Some("POST"));
        assert_eq!(answer("post", "/v1/request-landing").status, Status::MethodNotAllowed);
        assert_eq!(answer("GET", "/").status, Status::NotFound);
        assert_eq!(answer("POST", "/v1/request-landing/").status, Status::NotFound);
    }
}
