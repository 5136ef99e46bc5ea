//! Enums whose variants are listed and named in one place.

/// Gives an enum its list and its names: `ALL` in the order of declaration, and `name`. A variant
/// that is not in the list, or out of order, does not compile. Both are public, save with
/// `pub(crate)` before the type.
macro_rules! names {
    ($(#[$attribute:meta])* pub(crate) $type:ident { $($all:tt)+ }) => {
        $crate::names::names! { @pub(crate), $(#[$attribute])* $type { $($all)+ } }
    };
    ($(#[$attribute:meta])* $type:ident { $($all:tt)+ }) => {
        $crate::names::names! { @pub, $(#[$attribute])* $type { $($all)+ } }
    };
    (@$vis:vis, $(#[$attribute:meta])* $type:ident { $($variant:ident => $name:literal,)+ }) => {
        impl $type {
            /// Every variant, in the order of declaration: `ALL[v as usize]` is `v`.
            $vis const ALL: [$type; [$($name),+].len()] = [$($type::$variant),+];

            $(#[$attribute])*
            $vis const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name,)+
                }
            }
        }

        const _: () = {
            let mut index = 0;
            while index < $type::ALL.len() {
                assert!($type::ALL[index] as usize == index);
                index += 1;
            }
        };
    };
}
pub(crate) use names;
