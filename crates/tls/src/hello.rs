//! The body of a ClientHello (RFC 8446, section 4.1.2) and its server name (RFC 6066, section 3).

use crate::HelloError;
use ciliate_types::DomainName;
use std::net::IpAddr;

/// What a rule needs to know of a ClientHello.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The name in the clear, in lower case and without a dot at its end. None: the client sent none, or an address.
    pub server_name: Option<DomainName>,
    /// The client sent an Encrypted Client Hello, or something made to look like one: the name in the clear may be a mere front.
    pub encrypted: bool,
    /// The client announced data that it sends before it hears from the server.
    pub early_data: bool,
}

/// What the name in the clear beside an Encrypted Client Hello is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OuterName {
    /// Nothing: such a hello has no name.
    #[default]
    Ignored,
    /// As much as any other name. A client can then reach whatever is served beside an allowed name.
    Counts,
}

impl ClientHello {
    /// The name that rules are asked about.
    #[must_use]
    pub fn name(&self, outer: OuterName) -> Option<&str> {
        match (self.encrypted, outer) {
            (true, OuterName::Ignored) => None,
            (true, OuterName::Counts) | (false, _) => self.server_name.as_ref().map(DomainName::as_str),
        }
    }
}

const SERVER_NAME: u16 = 0;
const EARLY_DATA: u16 = 42;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// Drafts of it, from `encrypted_server_name` on: they hide the name likewise.
const ENCRYPTED_DRAFTS: [u16; 7] = [0xffce, 0xfe07, 0xfe08, 0xfe09, 0xfe0a, 0xfe0b, 0xfe0c];
const HOST_NAME: u8 = 0;

/// `body` is a handshake message of type ClientHello without its four bytes of header.
pub(crate) fn parse(body: &[u8]) -> Result<ClientHello, HelloError> {
    let mut rest = Bytes(body);
    let version = rest.u16("legacy_version")?;
    if version >> 8 != 3 {
        return Err(HelloError::Version(version));
    }
    rest.take(32, "random")?;
    if rest.list8("legacy_session_id")?.0.len() > 32 {
        return Err(HelloError::Length("legacy_session_id"));
    }
    let suites = rest.list16("cipher_suites")?.0.len();
    if suites < 2 || suites % 2 != 0 {
        return Err(HelloError::Length("cipher_suites"));
    }
    if rest.list8("legacy_compression_methods")?.0.is_empty() {
        return Err(HelloError::Length("legacy_compression_methods"));
    }
    let mut hello = ClientHello::default();
    if rest.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = rest.list16("extensions")?;
    if !rest.0.is_empty() {
        return Err(HelloError::Length("extensions"));
    }
    let mut named = false;
    while !extensions.0.is_empty() {
        let kind = extensions.u16("extension_type")?;
        let data = extensions.list16("extension_data")?;
        match kind {
            SERVER_NAME if named => return Err(HelloError::SeveralNames),
            SERVER_NAME => {
                named = true;
                hello.server_name = server_name(data)?;
            }
            EARLY_DATA => hello.early_data = true,
            // Type 1, `inner`, is what a front end hands on after decryption: the name beside it is the true one.
            ENCRYPTED_CLIENT_HELLO => hello.encrypted |= data.0 != [1],
            _ => hello.encrypted |= ENCRYPTED_DRAFTS.contains(&kind),
        }
    }
    Ok(hello)
}

fn server_name(mut data: Bytes<'_>) -> Result<Option<DomainName>, HelloError> {
    let mut names = data.list16("server_name_list")?;
    if !data.0.is_empty() || names.0.is_empty() {
        return Err(HelloError::Length("server_name_list"));
    }
    let kind = names.u8("name_type")?;
    if kind != HOST_NAME {
        return Err(HelloError::NameType(kind));
    }
    let name = names.list16("host_name")?.0;
    if !names.0.is_empty() {
        return Err(HelloError::SeveralNames);
    }
    // Servers have been seen to cut at a zero byte; the check of characters below refuses it with all the rest.
    let text =
        std::str::from_utf8(name).map_err(|_| HelloError::Name(String::from_utf8_lossy(name).into()))?;
    if is_address(text) {
        return Ok(None);
    }
    match text.parse::<DomainName>() {
        Ok(name) if !name.as_str().is_empty() => Ok(Some(name)),
        Ok(_) | Err(_) => Err(HelloError::Name(text.to_owned())),
    }
}

/// Addresses are not names (RFC 6066). Neither is what ends in a number, which many readers take for an address as well.
fn is_address(text: &str) -> bool {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = bare.strip_suffix('.').unwrap_or(bare);
    let last = bare.rsplit('.').next().unwrap_or_default();
    bare.parse::<IpAddr>().is_ok() || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What is left to read; every error names the field that does not fit.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], HelloError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(HelloError::Length(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn u8(&mut self, field: &'static str) -> Result<u8, HelloError> {
        let (first, rest) = self.0.split_first().ok_or(HelloError::Length(field))?;
        self.0 = rest;
        Ok(*first)
    }

    fn u16(&mut self, field: &'static str) -> Result<u16, HelloError> {
        let (first, rest) = self.0.split_first_chunk().ok_or(HelloError::Length(field))?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*first))
    }

    fn list8(&mut self, field: &'static str) -> Result<Self, HelloError> {
        let len = self.u8(field)?;
        self.take(len.into(), field).map(Self)
    }

    fn list16(&mut self, field: &'static str) -> Result<Self, HelloError> {
        let len = self.u16(field)?;
        self.take(len.into(), field).map(Self)
    }
}
