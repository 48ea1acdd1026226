//! Everything is taken down: the host is as it was before.

use super::{Engine, Presence};
use crate::{
    failure::{Failure, Result},
    stored::kind,
};
use ciliate_store::Write;
use std::{fs, io};

impl Engine {
    /// Objects stay in the store; endpoints go with their devices. What fails does not keep the rest from going.
    pub fn take_down(&mut self) -> Result<()> {
        tracing::info!("taking everything down");
        self.presence = Presence::Down;
        let mut errors: Vec<String> = self.kernel.take_down().iter().map(ToString::to_string).collect();
        errors.extend(self.proxy.end().err().map(|e| e.to_string()));
        let ids: Vec<_> = self.state.endpoints.iter().map(|(id, _)| *id).collect();
        let writes: Vec<Write> =
            ids.iter().map(|id| Write::delete(kind::ENDPOINT, &id.to_string())).collect();
        errors.extend(self.store.commit(&writes).err().map(|e| e.to_string()));
        for id in ids {
            self.state.endpoints.remove(&id);
            self.locals.remove(&id);
        }
        self.published.send_replace(std::sync::Arc::new(self.state.clone()));
        let run_dir = &self.config.run_dir;
        for gone in [
            fs::remove_file(run_dir.join("hosts")),
            fs::remove_file(self.config.hubble_socket()),
            fs::remove_dir_all(run_dir.join("cni")),
        ] {
            match gone {
                Err(error) if error.kind() != io::ErrorKind::NotFound => errors.push(error.to_string()),
                Ok(()) | Err(_) => {}
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => {
                Err(Failure::conflict(format!("not everything could be taken down: {}", errors.join("; "))))
            }
        }
    }
}
