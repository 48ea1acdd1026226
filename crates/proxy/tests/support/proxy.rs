//! A proxy on a test's node, and servers behind it.

use crate::node::{Endpoint, Node, SURELY, listen};
use ciliate_proxy::{
    Client, DnsSettings, Limits, Redaction, Settings,
    message::{
        Access, Answer, Configuration, Digest, Filter, FilterRule, Interest, NameRules, Request, Status,
    },
};
use ciliate_types::L7Rules;
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    sync::mpsc::{Receiver, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub struct Proxy {
    socket: PathBuf,
    thread: JoinHandle<()>,
}

impl Proxy {
    /// On this thread's node; the same state and socket for each proxy of the node.
    pub fn start(node: &Node, workers: usize) -> Self {
        Self::start_with(node, workers, DnsSettings::default())
    }

    pub fn start_with(node: &Node, workers: usize, dns: DnsSettings) -> Self {
        Self::start_as(node, workers, |settings| settings.dns = dns)
    }

    pub fn start_as(node: &Node, workers: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let directory = node.settings.root.parent().unwrap().parent().unwrap().to_owned();
        let socket = directory.join("proxy.sock");
        let mut settings = Settings {
            bpf_root: node.settings.root.clone(),
            state_dir: directory,
            socket: socket.clone(),
            workers,
            limits: Limits::default(),
            http: Default::default(),
            kafka: Default::default(),
            dns: DnsSettings::default(),
            redaction: Redaction::default(),
            accesses_per_second: 0,
        };
        change(&mut settings);
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            ciliate_proxy::run(settings, || ready.send(()).unwrap()).unwrap();
        });
        is_ready.recv_timeout(SURELY).expect("the proxy starts");
        Self { socket, thread }
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket).unwrap()
    }

    pub fn ask(&self, request: &Request) -> Answer {
        Client::connect(&self.socket).unwrap().ask(request).unwrap()
    }

    pub fn configure<const N: usize>(&self, filters: [(Digest, Filter); N]) {
        self.configure_with(filters, NameRules::default());
    }

    pub fn configure_with<const N: usize>(&self, filters: [(Digest, Filter); N], names: NameRules) {
        let filters = filters.into_iter().collect();
        self.ask(&Request::Configure(Configuration {
            revision: 1,
            filters,
            names,
            ..Configuration::default()
        }));
    }

    pub fn status(&self) -> Status {
        match self.ask(&Request::Status) {
            Answer::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    pub fn watch(&self) -> Receiver<Access> {
        let (sender, receiver) = channel();
        let (switch, mut answers) = Client::connect(&self.socket).unwrap().watch(Interest::Nothing).unwrap();
        assert!(matches!(answers.next(), Some(Ok(Answer::Done))));
        switch.set(Interest::Requests).unwrap();
        assert!(matches!(answers.next(), Some(Ok(Answer::Done))));
        std::thread::spawn(move || {
            for answer in answers.map_while(Result::ok) {
                if let Answer::Accesses(accesses) = answer
                    && !accesses.into_iter().all(|access| sender.send(access).is_ok())
                {
                    return;
                }
            }
        });
        receiver
    }

    pub fn ended(&self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while Instant::now() < until {
            if self.thread.is_finished() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

/// The filter of the rule with this number, under the digest that the node's rule sets give it.
pub fn filter(rule: u32, l7: L7Rules) -> (Digest, Filter) {
    let rules = vec![FilterRule { rule, policy: "cnp default/test".into(), section: "spec".into(), l7 }];
    (Digest(u64::from(rule) << 32 | 1), Filter { rules })
}

/// An HTTP server that answers everything with 200 and tells the heads it has seen.
pub fn serve(endpoint: &Endpoint, port: u16) -> Receiver<String> {
    let listener = listen(endpoint, port);
    let (seen, told) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let seen = seen.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while let Some(head) = head(&mut reader) {
                    let _nobody = seen.send(head);
                    if reader
                        .get_mut()
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlanded")
                        .is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    told
}

fn head(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    Some(head)
}
