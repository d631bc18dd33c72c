//! One to twelve futures of different types, polled by their position.
//!
//! Users meet the traits in signatures only; they are what [`gather_tuple`](super::gather_tuple),
//! [`settle_tuple`](super::settle_tuple) and [`select`](super::select()) ask of a tuple.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::slot::Slot;

/// Keeps the traits to the tuples in this file, so that they may grow.
pub(crate) mod sealed {
    #[allow(unreachable_pub)]
    pub trait Sealed {}
}
use sealed::Sealed;

/// A tuple of one to twelve futures, or of what turns into futures by [`IntoFuture`].
pub trait FutureTuple: Sealed {
    /// The same futures, in a form that can be polled.
    type Futures: Futures;

    /// Turns each member into its future.
    fn into_futures(self) -> Self::Futures;
}

/// A few futures, each of which is replaced by its output once it is ready.
pub trait Futures: Sealed {
    /// A tuple of the outputs.
    type Outputs;

    /// How many futures there are.
    const LEN: usize;

    /// Polls the future at `index`. It is ready once; after that, and for an index out of range, it stays
    /// pending.
    fn poll_at(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Poll<()>;

    /// Empties the tuple, dropping every future that is still there. The answer is the outputs, if all were
    /// ready.
    fn take_all(self: Pin<&mut Self>) -> Option<Self::Outputs>;
}

/// A few futures whose outputs are `Result`s with one error type.
pub trait FallibleFutures: Futures {
    /// A tuple of the values.
    type Values;

    /// The error that all of them have in common.
    type Error;

    /// The error with which the future at `index` ended, if it did.
    fn take_error(self: Pin<&mut Self>, index: usize) -> Option<Self::Error>;

    /// The values, if every output is one.
    fn values(outputs: Self::Outputs) -> Option<Self::Values>;
}

macro_rules! tuple {
    ($name:ident $len:literal: $($future:ident $field:ident $value:ident $index:literal),+) => {
        pin_project! {
            #[doc = concat!("The futures of a tuple of ", $len, ".")]
            pub struct $name<$($future: Future),+> {
                $(#[pin] pub(super) $field: Slot<$future>,)+
            }
        }

        impl<$($future: Future),+> Sealed for $name<$($future),+> {}
        impl<$($future: IntoFuture),+> Sealed for ($($future,)+) {}

        impl<$($future: IntoFuture),+> FutureTuple for ($($future,)+) {
            type Futures = $name<$($future::IntoFuture),+>;

            fn into_futures(self) -> Self::Futures {
                let ($($field,)+) = self;
                $name { $($field: Slot::new($field.into_future())),+ }
            }
        }

        impl<$($future: Future),+> Futures for $name<$($future),+> {
            type Outputs = ($($future::Output,)+);

            const LEN: usize = $len;

            fn poll_at(self: Pin<&mut Self>, index: usize, cx: &mut Context<'_>) -> Poll<()> {
                let this = self.project();
                match index {
                    $($index => this.$field.poll(cx),)+
                    _ => Poll::Pending,
                }
            }

            fn take_all(self: Pin<&mut Self>) -> Option<Self::Outputs> {
                let this = self.project();
                // All are emptied before the first that has no output ends the function.
                $(let $field = this.$field.take();)+
                Some(($($field?,)+))
            }
        }

        impl<Fault, $($future, $value),+> FallibleFutures for $name<$($future),+>
        where
            $($future: Future<Output = Result<$value, Fault>>,)+
        {
            type Values = ($($value,)+);
            type Error = Fault;

            fn take_error(self: Pin<&mut Self>, index: usize) -> Option<Fault> {
                let this = self.project();
                match index {
                    $($index => this.$field.take_if(Result::is_err)?.err(),)+
                    _ => None,
                }
            }

            fn values(outputs: Self::Outputs) -> Option<Self::Values> {
                let ($($field,)+) = outputs;
                Some(($($field.ok()?,)+))
            }
        }
    };
}

tuple!(Futures1 1: A a TA 0);
tuple!(Futures2 2: A a TA 0, B b TB 1);
tuple!(Futures3 3: A a TA 0, B b TB 1, C c TC 2);
tuple!(Futures4 4: A a TA 0, B b TB 1, C c TC 2, D d TD 3);
tuple!(Futures5 5: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4);
tuple!(Futures6 6: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5);
tuple!(Futures7 7: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5, G g TG 6);
tuple!(Futures8 8: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5, G g TG 6, H h TH 7);
tuple!(Futures9 9: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5, G g TG 6, H h TH 7, I i TI 8);
tuple!(
    Futures10 10: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5, G g TG 6,
    H h TH 7, I i TI 8, J j TJ 9
);
tuple!(
    Futures11 11: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5, G g TG 6,
    H h TH 7, I i TI 8, J j TJ 9, K k TK 10
);
tuple!(
    Futures12 12: A a TA 0, B b TB 1, C c TC 2, D d TD 3, E e TE 4, F f TF 5, G g TG 6,
    H h TH 7, I i TI 8, J j TJ 9, K k TK 10, L l TL 11
);
