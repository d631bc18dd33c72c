//! The same errors for programs whose functions answer with `std::io::Result`. The error is inside, and can be got at with
//! [`get_ref`](std::io::Error::get_ref).

use std::io::{self, ErrorKind};

use super::{
    ConnectError, CreateError, ListenError, NotInLoop, OpenError, RunError, SendDescriptorError,
    SendFileError, SendFileErrorKind,
};

impl From<CreateError> for io::Error {
    /// Of the kind of the system's error.
    fn from(error: CreateError) -> Self {
        Self::new(error.cause.kind(), error)
    }
}

impl From<RunError> for io::Error {
    /// Of the kind of the backend's error, and otherwise `Other`, also for a stop: callers try again what is `Interrupted`.
    fn from(error: RunError) -> Self {
        let kind = error.cause.as_ref().map_or(ErrorKind::Other, io::Error::kind);
        Self::new(kind, error)
    }
}

impl From<NotInLoop> for io::Error {
    /// Of the kind `Unsupported`.
    fn from(error: NotInLoop) -> Self {
        Self::new(ErrorKind::Unsupported, error)
    }
}

impl From<SendFileError> for io::Error {
    /// Of the kind of the system's error, and otherwise `InvalidInput`.
    fn from(error: SendFileError) -> Self {
        let kind = match error.kind() {
            SendFileErrorKind::System(cause) => cause.kind(),
            _ => ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl From<ListenError> for io::Error {
    /// Of the kind of the system's error; `InvalidInput` if what was given is no endpoint.
    fn from(error: ListenError) -> Self {
        let kind = match &error {
            ListenError::Endpoint(_) | ListenError::NotAnAddress { .. } | ListenError::WrongKind { .. } => {
                ErrorKind::InvalidInput
            }
            ListenError::InUse { source, .. }
            | ListenError::System { source, .. }
            | ListenError::Adopt { source } => source.kind(),
            ListenError::Over => ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<OpenError> for io::Error {
    /// Of the kind of the system's error.
    fn from(error: OpenError) -> Self {
        let kind = match &error {
            OpenError::System { source } => source.kind(),
            OpenError::Over => ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<ConnectError> for io::Error {
    /// Of the kind of the system's error, the last where several attempts failed; `InvalidInput` if what was given is no
    /// endpoint; `TimedOut`; `ConnectionAborted` if our own side refused; that of the loss if the connection ended at once;
    /// `AddrNotAvailable` if no address is of the family of the local one.
    fn from(error: ConnectError) -> Self {
        let kind = match &error {
            ConnectError::Endpoint(_) | ConnectError::WrongKind { .. } => ErrorKind::InvalidInput,
            ConnectError::Open { source, .. } => source.kind(),
            ConnectError::Lookup { source, .. } => source.kind(),
            ConnectError::Failed { attempts, .. } => {
                attempts.last().map_or(ErrorKind::Other, |(_, cause)| cause.kind())
            }
            ConnectError::WrongFamily { .. } => ErrorKind::AddrNotAvailable,
            ConnectError::TimedOut { .. } => ErrorKind::TimedOut,
            ConnectError::Refused { .. } | ConnectError::Panicked { .. } => ErrorKind::ConnectionAborted,
            ConnectError::Lost(lost) => lost.to_io_error().kind(),
            ConnectError::Cancelled { .. } | ConnectError::Over => ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<SendDescriptorError> for io::Error {
    /// Of the kind `Unsupported`, `QuotaExceeded` if too many wait for one byte, or `BrokenPipe`. The descriptor is closed with
    /// the error.
    fn from(error: SendDescriptorError) -> Self {
        Self::new(error.io_kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::IntoEndpoint;

    #[test]
    fn they_keep_the_kind_and_the_error() {
        let timed_out =
            ConnectError::TimedOut { target: "there".to_owned(), after: std::time::Duration::ZERO };
        let error = io::Error::from(timed_out);
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.get_ref().is_some_and(|inner| inner.is::<ConnectError>()));

        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into();
        let refused = vec![(address, ErrorKind::ConnectionRefused.into())];
        let error = io::Error::from(ConnectError::Failed {
            target: "there".to_owned(),
            attempts: refused,
            look_up: None,
        });
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains("there"));
    }

    #[test]
    fn what_is_no_endpoint_is_invalid_input() {
        let no_endpoint = || "nothing of the kind".into_endpoint().expect_err("no endpoint");
        assert_eq!(io::Error::from(ListenError::from(no_endpoint())).kind(), ErrorKind::InvalidInput);
        assert_eq!(io::Error::from(ConnectError::from(no_endpoint())).kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_stop_is_not_tried_again() {
        assert_eq!(io::Error::from(RunError::stopped()).kind(), ErrorKind::Other);
        let broken = RunError::backend(ErrorKind::PermissionDenied.into());
        assert_eq!(io::Error::from(broken).kind(), ErrorKind::PermissionDenied);
    }
}
