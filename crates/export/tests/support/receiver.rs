//! A receiver of logs that is a process of its own and can be stopped and started.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

pub struct Receiver {
    program: String,
    arguments: Vec<String>,
    running: Option<Child>,
}

impl Receiver {
    pub fn new(program: &str, arguments: &[String]) -> Self {
        Self { program: program.to_owned(), arguments: arguments.to_vec(), running: None }
    }

    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let started = command.spawn();
        self.running = Some(
            started.unwrap_or_else(|error| unreachable!("{}: {error}: run scripts/setup test", self.program)),
        );
    }

    /// As a person would, by SIGTERM.
    pub fn stop(&mut self) {
        let Some(mut child) = self.running.take() else { return };
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            // A test that failed leaves nothing behind.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One that nobody listened on a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Files in PEM: an authority, and certificates with their keys.
pub struct Certificates {
    pub ca: String,
    pub server: (String, String),
    pub client: (String, String),
}

impl Certificates {
    pub fn make(folder: &Path) -> Self {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = parameters.self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(parameters, key);
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let signed = |name: &str, usage| {
            let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            parameters.extended_key_usages = vec![usage];
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = parameters.signed_by(&key, &issuer).unwrap();
            (
                write(&format!("{name}.pem"), certificate.pem()),
                write(&format!("{name}.key"), key.serialize_pem()),
            )
        };
        Self {
            ca: write("ca.pem", authority.pem()),
            server: signed("server", rcgen::ExtendedKeyUsagePurpose::ServerAuth),
            client: signed("client", rcgen::ExtendedKeyUsagePurpose::ClientAuth),
        }
    }
}
