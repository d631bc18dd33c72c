//! Encrypts what flows through it: plain bytes on one side, TLS on the other.
//!
//! `cargo run --example tlscat -- client tcp://example.org:443` talks to a server as typed; and back to back over two FIFOs:
//!
//! ```text
//! mkfifo there back
//! tlscat server --cert server.crt --key server.key there,back </dev/null >copy &
//! tlscat client --name example.org --ca ca.pem back,there <file
//! ```
//!
//! Each side is an endpoint, or `IN,OUT`: two paths, `-` for standard input and output. The plain one comes second, and is
//! standard input and output if it is left out. A server takes one connection. An end on one side is carried over to the other, by close_notify
//! on that of TLS; whoever is slow slows down all. It fails, and says why, unless both directions ended in good order.
use std::os::fd::{AsFd, OwnedFd};
use std::{collections::HashMap, fs::File, io, process::ExitCode};

use marline::prelude::*;
use marline::{GatherError, tls::TlsFilter};

const USAGE: &str = "usage: tlscat client [--name NAME] [--ca FILE] [--cert FILE --key FILE] TLS [PLAIN]
       tlscat server --cert FILE --key FILE [--client-ca FILE] TLS [PLAIN]";

struct Arguments {
    is_server: bool,
    options: HashMap<String, String>,
    sides: Vec<String>,
}

impl Arguments {
    fn parse(mut all: impl Iterator<Item = String>) -> Option<Self> {
        let (is_server, known): (_, &[&str]) = match all.next()?.as_str() {
            "client" => (false, &["--name", "--ca", "--cert", "--key"]),
            "server" => (true, &["--client-ca", "--cert", "--key"]),
            _ => return None,
        };
        let mut arguments = Self { is_server, options: HashMap::new(), sides: Vec::new() };
        while let Some(argument) = all.next() {
            if known.contains(&argument.as_str()) {
                arguments.options.insert(argument, all.next()?);
            } else {
                arguments.sides.push(argument);
            }
        }
        (1..=2).contains(&arguments.sides.len()).then_some(arguments)
    }

    fn filter(&self) -> Result<TlsFilter> {
        let option = |name: &str| self.options.get(name).map(String::as_str);
        let roots = option("--client-ca").or(option("--ca")).map(|path| Roots::new().with_pem_file(path));
        let key = option("--key").or(option("--cert"));
        let identity = option("--cert").zip(key).map(|(cert, key)| Identity::from_pem_files(cert, key));
        if self.is_server {
            let mut builder = ServerTls::builder(identity.ok_or(USAGE)??);
            if let Some(roots) = roots {
                builder = builder.require_client_certificates(roots?);
            }
            return Ok(builder.build()?.filter());
        }
        let mut builder = ClientTls::builder();
        if let Some(roots) = roots {
            builder = builder.roots(roots?);
        }
        if let Some(identity) = identity {
            builder = builder.identity(identity?);
        }
        let host = self.sides[0].strip_prefix("tcp://").and_then(|rest| rest.split(':').next());
        let name = option("--name").or(host).ok_or("whose certificate? --name NAME")?;
        Ok(builder.build()?.filter(name)?)
    }
}

/// The other end of a FIFO may come later, and in whichever order: so each is opened by a thread of its own.
async fn open(side: String, listens: bool) -> Result<Stream> {
    if let Some((input, output)) = side.split_once(',') {
        let opening = [(input, false), (output, true)].map(|(path, writes)| {
            let path = path.to_owned();
            spawn_blocking(move || open_path(&path, writes).map_err(|error| format!("{path}: {error}")))
        });
        let mut opened = gather(opening).await?.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (output, input) = (opened.pop(), opened.pop());
        return Ok(Stream::adopt(input.zip(output).ok_or("two paths")?)?);
    }
    if !listens {
        return Ok(Stream::connect(side).await?);
    }
    let listener = Listener::bind(side)?;
    eprintln!("{}", greeting(&listener.local_address()?));
    Ok(listener.accept().await?)
}

fn open_path(path: &str, writes: bool) -> io::Result<OwnedFd> {
    match (path, writes) {
        ("-", false) => io::stdin().as_fd().try_clone_to_owned(),
        ("-", true) => io::stdout().as_fd().try_clone_to_owned(),
        _ => Ok(File::options().read(!writes).write(writes).open(path)?.into()),
    }
}

async fn join(arguments: Arguments) -> Result<()> {
    let filter = arguments.filter()?;
    let mut sides = arguments.sides.into_iter();
    let mut wire = open(sides.next().ok_or(USAGE)?, arguments.is_server).await?;
    wire.start_tls(filter, ReadAhead::Feed).await?;
    let plain = match sides.next() {
        Some(side) => open(side, false).await?,
        None => stdio()?,
    };
    gather([copy(&plain, &wire), copy(&wire, &plain)]).await.map_err(GatherError::into_error)?;
    Ok(wire.close().await?)
}

fn main() -> ExitCode {
    let arguments = Arguments::parse(std::env::args().skip(1)).ok_or(USAGE.into());
    let Err(error) = arguments.and_then(|arguments| marline::run(join(arguments))) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("tlscat: {error}");
    ExitCode::FAILURE
}
