//! Where in an object a value stands, and what was found wrong there.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Field(String),
    Index(usize),
}

/// The way from the top of an object to one of its fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Segment>);

impl Path {
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }
}

impl fmt::Display for Path {
    /// `spec.ingress[0].toPorts`; keys that a user chose stand in brackets: `matchLabels[app]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if name.chars().all(|c| c.is_ascii_alphanumeric()) => {
                    write!(f, "{}{name}", if at == 0 { "" } else { "." })?;
                }
                Segment::Field(name) => write!(f, "[{name}]")?,
            }
        }
        Ok(())
    }
}

/// One fault of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: Path,
    pub message: String,
}

/// Collects everything that is wrong with an object while it is walked.
#[derive(Debug, Default)]
pub struct Problems {
    path: Path,
    pub errors: Vec<Problem>,
    /// Fields that nobody knows.
    pub unknown: Vec<Problem>,
}

impl Problems {
    /// Notes a fault of the field that is being looked at.
    pub fn fail(&mut self, message: impl Into<String>) {
        self.errors.push(Problem { path: self.path.clone(), message: message.into() });
    }

    /// Notes an unknown field of the mapping that is being looked at.
    pub fn unknown(&mut self, name: &str, known: &[&str]) {
        self.at(name, |this| {
            let message = match nearest(name, known) {
                Some(meant) => format!("unknown field: did you mean {meant}?"),
                None => "unknown field".to_owned(),
            };
            let path = this.path.clone();
            this.unknown.push(Problem { path, message });
        });
    }

    /// Looks at a field.
    pub fn at<T>(&mut self, field: &str, look: impl FnOnce(&mut Self) -> T) -> T {
        self.within(Segment::Field(field.to_owned()), look)
    }

    /// Looks at an element of a list.
    pub fn index<T>(&mut self, index: usize, look: impl FnOnce(&mut Self) -> T) -> T {
        self.within(Segment::Index(index), look)
    }

    fn within<T>(&mut self, segment: Segment, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.0.push(segment);
        let found = look(self);
        self.path.0.pop();
        found
    }

    /// The field that is being looked at.
    pub fn here(&self) -> String {
        self.path.to_string()
    }
}

/// The known name that differs only in case, or by one missing, added or changed letter.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().find(|k| k.eq_ignore_ascii_case(name) || one_edit(k.as_bytes(), name.as_bytes()))
}

fn one_edit(a: &[u8], b: &[u8]) -> bool {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    let rest = |s: &'_ [u8]| s.get(1..).unwrap_or_default().to_vec();
    rest(a) == rest(b) || rest(a) == b || a == rest(b)
}
