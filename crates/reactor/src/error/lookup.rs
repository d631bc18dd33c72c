//! What a resolver answers if not with addresses.

use std::io;

use thiserror::Error;

/// A host name could not be looked up.
///
/// ```
/// use marline_reactor::{ConnectError, LookupError, Reactor};
///
/// let reactor = Reactor::new()?;
/// reactor.handle().set_resolver(|_: &_, _, _| ()); // drops every question
/// let refuse = |_: &_| None::<fn(&marline_reactor::Transport, &[u8])>;
/// reactor.handle().connect("tcp://example.org:80", refuse, |outcome| match outcome {
///     Err(ConnectError::Lookup { source: LookupError::Abandoned, .. }) => println!("as was to be expected"),
///     other => panic!("{other:?}"),
/// });
/// reactor.run()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The resolver dropped the question.
    #[error("the resolver abandoned the question")]
    Abandoned,
    /// The resolver failed.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl LookupError {
    /// The kind that this is as an [`io::Error`]: `NotFound` if there is no address, `Other` if the question was abandoned.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::NoAddress => io::ErrorKind::NotFound,
            Self::Abandoned => io::ErrorKind::Other,
            Self::Failed(error) => error.kind(),
        }
    }
}
