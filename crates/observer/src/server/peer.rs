//! `peer.Peer`: the nodes that a relay can ask. A node by itself knows one, itself.

use ciliate_hubble::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest, Tls, peer_server};
use std::pin::Pin;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status, async_trait};

/// This node, as relays are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `node`, or `cluster/node`.
    pub name: String,
    /// Where it can be asked: `host:port` or `unix:PATH`.
    pub address: String,
    /// Where that takes TLS, what the certificate's name is.
    pub server_name: Option<String>,
}

#[async_trait]
impl peer_server::Peer for Peer {
    type NotifyStream = Pin<Box<dyn Stream<Item = Result<ChangeNotification, Status>> + Send>>;

    async fn notify(&self, _: Request<NotifyRequest>) -> Result<Response<Self::NotifyStream>, Status> {
        let added = ChangeNotification {
            name: self.name.clone(),
            address: self.address.clone(),
            r#type: ChangeNotificationType::PeerAdded.into(),
            tls: self.server_name.clone().map(|server_name| Tls { server_name }),
        };
        // It stays the only one, and the stream stays open: its end would mean that the node is gone.
        Ok(Response::new(Box::pin(tokio_stream::once(Ok(added)).chain(tokio_stream::pending()))))
    }
}
