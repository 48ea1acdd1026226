//! How both ends show that they know the shared key, and who the user is.

use super::wire::{Inbox, Opaque};
use crate::{connection::Connection, fault::Fault, spec::FluentdKeys};
use serde::Deserialize;
use sha2::{Digest as _, Sha512};
use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher as _, Hasher as _},
    path::Path,
    time::Duration,
};

/// How long each answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// `["HELO", options]`
#[derive(Debug, Deserialize)]
struct Helo(String, HeloOptions);

#[derive(Debug, Default, Deserialize)]
struct HeloOptions {
    #[serde(default)]
    nonce: Opaque,
    /// Salt of the password; empty if none is wanted.
    #[serde(default)]
    auth: Opaque,
}

/// `["PONG", whether it may, why not, the receiver's name, its digest]`
#[derive(Debug, Deserialize)]
struct Pong(String, bool, Opaque, Opaque, Opaque);

/// Files are read each time, so that new keys count from the next connection on.
pub async fn greet(
    connection: &mut Connection,
    inbox: &mut Inbox,
    keys: &FluentdKeys,
    host: &str,
) -> Result<(), Fault> {
    let to = connection.to().clone();
    let wrong = |what: &str| Fault::Protocol { to: to.clone(), what: what.to_owned() };
    let shared = secret(&keys.shared_key_file)?;
    let Helo(word, options) = inbox.read(connection, PATIENCE).await?;
    if word != "HELO" {
        return Err(wrong("it does not greet: has it a shared key?"));
    }
    let salt = format!("{:016x}", RandomState::new().build_hasher().finish());
    let HeloOptions { nonce: Opaque(nonce), auth: Opaque(auth) } = options;
    let digest = hex_digest(&[salt.as_bytes(), host.as_bytes(), &nonce, shared.as_bytes()]);
    let (user, password) = match &keys.login {
        Some((user, file)) if !auth.is_empty() => {
            let password = secret(file)?;
            (user.as_str(), hex_digest(&[&auth, user.as_bytes(), password.as_bytes()]))
        }
        Some(_) | None => ("", String::new()),
    };
    let mut ping = Vec::new();
    // Writing to memory does not fail.
    let _ = rmp::encode::write_array_len(&mut ping, 6);
    for text in ["PING", host, &salt, &digest, user, &password] {
        let _ = rmp::encode::write_str(&mut ping, text);
    }
    connection.write(&ping).await?;
    let Pong(word, allowed, Opaque(why), Opaque(name), Opaque(proof)) =
        inbox.read(connection, PATIENCE).await?;
    if word != "PONG" || !allowed {
        let why = String::from_utf8_lossy(&why);
        return Err(wrong(&format!("it does not let us in: {}", why.escape_debug())));
    }
    let expected = hex_digest(&[salt.as_bytes(), &name, &nonce, shared.as_bytes()]);
    match proof == expected.as_bytes() {
        true => Ok(()),
        false => Err(wrong("it does not know the shared key")),
    }
}

fn hex_digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha512::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file's contents without the end of the line.
fn secret(path: &Path) -> Result<String, Fault> {
    let read = fs::read_to_string(path);
    let text = read.map_err(|error| Fault::Secret { path: path.to_owned(), what: error.to_string() })?;
    let text = text.trim_end_matches(['\r', '\n']);
    match text.is_empty() {
        true => Err(Fault::Secret { path: path.to_owned(), what: "it is empty".to_owned() }),
        false => Ok(text.to_owned()),
    }
}
