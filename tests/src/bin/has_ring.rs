//! Tells scripts whether this system lets the completion backend be made: by success, or else by status 3, and the reason.

use std::process::ExitCode;

use marline_reactor::backend::named;

fn main() -> ExitCode {
    match named("completion") {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::from(3)
        }
    }
}
