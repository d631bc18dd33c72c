//! The two roles: a server that expects a header, and a proxy that sends one.

use std::io::IoSlice;
use std::rc::Rc;
use std::time::Duration;

use marline::Addresses;
use marline::filter::{Filter, FilterError, Flow, Output};

use super::header::{Header, Version};

/// Reads the header that a connection begins with. The transport then tells the real addresses, and
/// [`published`](marline::Transport::published) the whole [`Header`].
pub(crate) struct Expect {
    /// For how long the header is waited for.
    pub(crate) wait: Duration,
}

impl Filter for Expect {
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        // Not established: nobody hears of the connection before it is known whose it is.
        flow.set_deadline(Some(self.wait));
        Ok(())
    }

    fn inbound(
        &mut self,
        flow: &mut Flow<'_>,
        input: &[u8],
        _: &mut Output<'_>,
    ) -> Result<usize, FilterError> {
        // What is left is shown again with more behind it, so nothing has to be kept here. It cannot grow beyond a header.
        let Some((header, length)) = Header::parse(input)? else { return Ok(0) };
        if let Some(addresses) = &header.addresses {
            flow.set_addresses(addresses.clone());
        }
        flow.publish(Rc::new(header));
        // The bytes behind it go to whoever is above, and so do all that come.
        flow.finish();
        Ok(length)
    }

    fn inbound_end(&mut self, _: &mut Flow<'_>) -> Result<(), FilterError> {
        Err(FilterError::truncated())
    }

    fn outbound(&mut self, _: &mut Flow<'_>, _: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        // Nothing is taken from the protocol before the header is there, and then the filter is gone.
        Ok(0)
    }

    fn deadline(&mut self, _: &mut Flow<'_>) -> Result<(), FilterError> {
        Err(FilterError::timeout())
    }
}

/// Sends a header before everything else.
pub(crate) struct Announce {
    pub(crate) version: Version,
    /// The ends of the connection that the proxy accepted. `None` if it speaks for itself, to ask how the server is.
    pub(crate) addresses: Option<Addresses>,
}

impl Filter for Announce {
    fn start(&mut self, flow: &mut Flow<'_>) -> Result<(), FilterError> {
        flow.send(&Header::write(self.version, self.addresses.as_ref())?);
        flow.finish();
        Ok(())
    }

    fn inbound(&mut self, _: &mut Flow<'_>, _: &[u8], _: &mut Output<'_>) -> Result<usize, FilterError> {
        Ok(0)
    }

    fn outbound(&mut self, _: &mut Flow<'_>, _: &[IoSlice<'_>]) -> Result<usize, FilterError> {
        Ok(0)
    }
}
