//! The repository's rules, as tests.
//!
//! Each rule reads the workspace's own files and answers with a list of [`Problem`](tree::Problem)s, which name the
//! place and say what to do. A rule is a plain function of a [`Tree`](tree::Tree), so that its own tests feed it a
//! tree of a few lines.
//!
//! - `tree`: the files of the workspace, and problems found in them.
//! - `lexer`: Rust text as tokens, so that nothing is found inside of strings and comments.
//! - `functions`: where functions begin and end, and what stands above them.
//! - `manifest`: as much of TOML as the workspace's manifests use.
//! - `contract`, `budgets`, `words`, `programs`, `book`, `layout`, `forwarding`: the rules.

mod book;
mod budgets;
mod contract;
mod forwarding;
mod functions;
mod layout;
mod lexer;
mod manifest;
mod programs;
mod tree;
mod words;
