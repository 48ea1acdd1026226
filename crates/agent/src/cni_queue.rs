//! Containers that went away while the agent was down: the CNI plug-in leaves a file for each.

use crate::{engine::Engine, failure::Result};
use ciliate_api::EndpointRef;
use std::{fs, io, path::Path};

/// Deletes their endpoints and then the files. What fails is tried again at the next start.
pub fn process(engine: &mut Engine, run_dir: &Path) {
    let folder = run_dir.join("cni/deleted");
    let files = match fs::read_dir(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => {
            tracing::warn!(folder = %folder.display(), %error, "cannot read which containers are gone");
            return;
        }
    };
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let done = delete(engine, &name).and_then(|()| Ok(fs::remove_file(file.path())?));
        if let Err(failure) = done {
            tracing::warn!(container = name, %failure, "cannot delete the endpoint of a container that is gone");
        }
    }
}

fn delete(engine: &mut Engine, name: &str) -> Result<()> {
    let (id, interface) = name.split_once(':').unwrap_or((name, ""));
    let interface = (!interface.is_empty()).then(|| interface.to_owned());
    match engine.delete_endpoint(&EndpointRef::Container { id: id.to_owned(), interface }) {
        Err(failure) if failure.0.status != 404 => Err(failure),
        Ok(_) | Err(_) => Ok(()),
    }
}
