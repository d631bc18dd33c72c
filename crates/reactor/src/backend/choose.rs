//! Which backend a loop runs on, where a program does not say.

use std::io;

use super::readiness::Readiness;
use super::{Backend, completion};
use crate::error::CreateError;

/// The backend that the variable `MARLINE_BACKEND` names (`readiness`, `completion`, or `auto`), or else the one that suits
/// this machine best. A loop that is given no backend runs on this.
///
/// Left to itself it tries io_uring, and takes readiness where that is refused: forbidden, too old, out of locked memory. It
/// says what it chose and why in one `tracing` event, of level `DEBUG`.
///
/// ```
/// use marline_reactor::{Builder, backend};
///
/// let reactor = Builder::new().boxed_backend(backend::auto()?).build()?;
/// # Ok::<(), marline_reactor::CreateError>(())
/// ```
///
/// # Errors
///
/// If the variable names a backend that is not there or that the system refuses, or the system refuses both.
pub fn auto() -> Result<Box<dyn Backend>, CreateError> {
    match std::env::var_os("MARLINE_BACKEND") {
        Some(name) if !name.is_empty() => named(&name.to_string_lossy()),
        _ => chosen(),
    }
}

/// The backend of this name: `readiness`, `completion`, or `auto`, which leaves the choice.
///
/// # Errors
///
/// If there is no such backend here, or the system refuses it.
pub fn named(name: &str) -> Result<Box<dyn Backend>, CreateError> {
    match name {
        "auto" => chosen(),
        "readiness" => readiness(),
        "completion" => completion::boxed().map_err(|error| CreateError::system(name, error)),
        _ => Err(CreateError::unknown(name.to_owned(), io::ErrorKind::Unsupported)),
    }
}

fn chosen() -> Result<Box<dyn Backend>, CreateError> {
    match completion::boxed() {
        Ok(backend) => {
            tracing::debug!(backend = backend.name(), "the kernel offers io_uring");
            Ok(backend)
        }
        Err(error) => {
            let backend = readiness()?;
            tracing::debug!(backend = backend.name(), %error, "io_uring cannot be used");
            Ok(backend)
        }
    }
}

fn readiness() -> Result<Box<dyn Backend>, CreateError> {
    let backend = Readiness::new().map_err(|error| CreateError::system("readiness", error))?;
    Ok(Box::new(backend))
}
