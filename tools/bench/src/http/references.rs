//! How the other proxies and the servers are set up.

use super::place::REQUESTED;
use anyhow::Result;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// One process that stays in the foreground.
pub fn nginx(mut command: Command, config: &Path) -> Command {
    command.args(["exec", "--", "nginx", "-c"]).arg(config);
    command
}

/// What stands behind the proxies; HTTP/2 has a port of its own.
pub fn origin(folder: &Path) -> String {
    format!(
        "server {{ listen 80 backlog=4096; listen 81 http2 backlog=4096; root {};
           location = {REQUESTED} {{ default_type text/plain; return 200 \"Ship landed\\n\"; }} }}",
        folder.display()
    )
}

/// As a plain reverse proxy that keeps its connections to the server.
pub const REVERSE: &str =
    "upstream origin { server 10.201.77.2:80; keepalive 256; keepalive_requests 100000000; }
    server { listen 8081 backlog=4096;
      location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \"\"; } }
    upstream origin2 { server 10.201.77.2:81; keepalive 256; keepalive_requests 100000000; }
    server { listen 8083 http2 backlog=4096; location / { grpc_pass grpc://origin2; } }
    upstream calls { server 10.201.77.2:82; keepalive 256; keepalive_requests 100000000; }
    server { listen 8084 http2 backlog=4096; location / { grpc_pass grpc://calls; } }";

/// The configuration, in a folder of its own.
pub fn nginx_config(folder: &Path, name: &str, servers: &str) -> Result<PathBuf> {
    let own = folder.join(name);
    fs::create_dir_all(&own)?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {}/{kind};\n", own.display()))
        .concat();
    let config = own.join("nginx.conf");
    let text = format!(
        "daemon off; master_process off; user root; pid {0}/pid; error_log stderr crit;
         events {{ worker_connections 12000; multi_accept on; }}
         http {{ access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 3600;
         {temporary}{servers} }}\n",
        own.display()
    );
    fs::write(&config, text)?;
    Ok(config)
}

pub fn haproxy_config() -> &'static str {
    "global\n  nbthread 1\n  maxconn 8000\n\
     defaults\n  mode http\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n  http-reuse always\n\
     frontend in\n  bind :8082\n  default_backend out\n\
     backend out\n  server origin 10.201.77.2:80\n"
}
