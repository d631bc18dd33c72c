//! From messages to bytes.

/// Writes frames in the form that a parser finds them in.
///
/// The parsers here are encoders too, for code that has one at hand; [`Prefix`](super::Prefix) and
/// [`Netstring`](super::Netstring) are small values that only encode, for code that has none.
///
/// ```
/// use marline_reactor::framing::{Encode, Netstring, Prefix};
///
/// assert_eq!(Prefix::U16.to_bytes(b"hello")?, b"\0\x05hello");
/// assert_eq!(Netstring.to_bytes(b"hello")?, b"5:hello,");
/// assert!(Prefix::U8.to_bytes(&[0; 300]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Encode {
    /// What is sent.
    type Item: ?Sized;

    /// Why something cannot be expressed.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Adds the frame to the end of `into`.
    ///
    /// # Errors
    ///
    /// If the framing cannot express the item. Then nothing was added.
    fn encode(&self, item: &Self::Item, into: &mut Vec<u8>) -> Result<(), Self::Error>;

    /// The frame alone, for [`write_owned`](crate::Transport::write_owned).
    ///
    /// # Errors
    ///
    /// Those of [`encode`](Self::encode).
    fn to_bytes(&self, item: &Self::Item) -> Result<Vec<u8>, Self::Error> {
        let mut bytes = Vec::new();
        self.encode(item, &mut bytes)?;
        Ok(bytes)
    }
}
