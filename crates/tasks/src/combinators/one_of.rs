//! Which of two to eight futures was the first, and what it gave.

use std::pin::Pin;

use super::tuple::{Futures, Futures2, Futures3, Futures4, Futures5, Futures6, Futures7, Futures8};

/// Two to eight futures, the first of which is wanted.
pub trait Alternatives: Futures {
    /// The output of one of them, with its position.
    type One;

    /// The output of the future at `index`, if it has come.
    fn take_one(self: Pin<&mut Self>, index: usize) -> Option<Self::One>;
}

macro_rules! one_of {
    ($name:ident $futures:ident: $($future:ident $field:ident $variant:ident $index:literal),+) => {
        #[doc = concat!(
            "The output of one of ", stringify!($($variant),+), ": what [`select`](super::select()) of a tuple ",
            "of as many futures resolves to."
        )]
        ///
        /// ```
        #[doc = concat!("use marline_tasks::combinators::", stringify!($name), "::{self, Second};")]
        #[doc = concat!("let one: ", stringify!($name), "<", $(one_of!(@unit $field), ", ",)+ "> = Second(());")]
        /// assert_eq!(one.index(), 1);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name<$($future),+> {
            $(
                #[doc = concat!("The output of the future at index ", $index, ".")]
                $variant($future),
            )+
        }

        impl<$($future),+> $name<$($future),+> {
            /// The position of the future that was the first, counted from 0.
            pub const fn index(&self) -> usize {
                match self {
                    $(Self::$variant(_) => $index,)+
                }
            }
        }

        impl<$($future: Future),+> Alternatives for $futures<$($future),+> {
            type One = $name<$($future::Output),+>;

            fn take_one(self: Pin<&mut Self>, index: usize) -> Option<Self::One> {
                let this = self.project();
                match index {
                    $($index => this.$field.take().map($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
    (@unit $field:ident) => { "()" };
}

one_of!(OneOf2 Futures2: A a First 0, B b Second 1);
one_of!(OneOf3 Futures3: A a First 0, B b Second 1, C c Third 2);
one_of!(OneOf4 Futures4: A a First 0, B b Second 1, C c Third 2, D d Fourth 3);
one_of!(OneOf5 Futures5: A a First 0, B b Second 1, C c Third 2, D d Fourth 3, E e Fifth 4);
one_of!(OneOf6 Futures6: A a First 0, B b Second 1, C c Third 2, D d Fourth 3, E e Fifth 4, F f Sixth 5);
one_of!(
    OneOf7 Futures7: A a First 0, B b Second 1, C c Third 2, D d Fourth 3,
    E e Fifth 4, F f Sixth 5, G g Seventh 6
);
one_of!(
    OneOf8 Futures8: A a First 0, B b Second 1, C c Third 2, D d Fourth 3,
    E e Fifth 4, F f Sixth 5, G g Seventh 6, H h Eighth 7
);
