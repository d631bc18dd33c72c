//! See the files one level up.
