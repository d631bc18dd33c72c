//! A tiny mail server that begins in plain text and is upgraded to TLS, written with callbacks. It takes mail only when it is
//! encrypted, and says on standard output what it got.
//!
//! `cargo run --example starttls -- tcp://127.0.0.1:2525 server.crt server.key`, then
//! `openssl s_client -starttls smtp -connect 127.0.0.1:2525`, or
//! `curl --ssl-reqd --cacert ca.pem smtp://example.org:2525 --mail-from a@example.org --mail-rcpt b@example.org -T letter`.
//!
//! Whoever sits between the two may send commands right behind the client's STARTTLS, to have them taken for encrypted ones.
//! `ReadAhead::Refuse` ends such a connection, and what the session knew before the handshake is forgotten (RFC 3207, 4.2).
use std::mem::take;

use marline::prelude::*;

/// A letter longer than this is refused, and so are recipients beyond as many as that.
const LONGEST: usize = 10 << 20;
const MOST: usize = 100;

struct Session {
    tls: ServerTls,
    letter: Letter,
    is_in_text: bool,
}

#[derive(Default)]
struct Letter {
    from: Option<String>,
    to: Vec<String>,
    size: usize,
}

impl Session {
    fn command(&mut self, transport: &Transport, verb: &str, rest: &str) -> &'static str {
        let is_encrypted = transport.tls().is_some();
        match verb {
            "EHLO" if is_encrypted => "250-example.org\r\n250 8BITMIME\r\n",
            "EHLO" => "250-example.org\r\n250-8BITMIME\r\n250 STARTTLS\r\n",
            "HELO" | "NOOP" => "250 fine\r\n",
            "RSET" => {
                self.letter = Letter::default();
                "250 forgotten\r\n"
            }
            "QUIT" => "221 goodbye\r\n",
            "STARTTLS" if is_encrypted => "503 this is encrypted already\r\n",
            "STARTTLS" => "220 go ahead\r\n",
            "MAIL" | "RCPT" | "DATA" if !is_encrypted => "530 STARTTLS comes first\r\n",
            "MAIL" => {
                self.letter = Letter { from: Some(rest.to_owned()), ..Letter::default() };
                "250 fine\r\n"
            }
            "RCPT" if self.letter.to.len() >= MOST => "452 too many recipients\r\n",
            "RCPT" if self.letter.from.is_some() => {
                self.letter.to.push(rest.to_owned());
                "250 fine\r\n"
            }
            "DATA" if !self.letter.to.is_empty() => {
                self.is_in_text = true;
                "354 end it with a dot on a line of its own\r\n"
            }
            "RCPT" | "DATA" => "503 something comes before that\r\n",
            _ => "500 what?\r\n",
        }
    }

    /// Takes a line of the letter's text.
    fn text(&mut self, transport: &Transport, line: &[u8]) {
        if line != b"." {
            self.letter.size = self.letter.size.saturating_add(line.len() + 1);
            return;
        }
        self.is_in_text = false;
        let Letter { from, to, size } = take(&mut self.letter);
        if size > LONGEST {
            transport.write("552 too long\r\n");
            return;
        }
        println!("{} -> {}: {size} bytes, encrypted", from.unwrap_or_default(), to.join(" "));
        transport.write("250 taken\r\n");
    }
}

impl LineProtocol for Session {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write("220 example.org ESMTP\r\n");
    }

    fn line_received(&mut self, transport: &Transport, line: &[u8]) {
        if self.is_in_text {
            return self.text(transport, line);
        }
        let line = String::from_utf8_lossy(line);
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = self.command(transport, &verb.to_ascii_uppercase(), rest);
        transport.write(answer);
        if answer.starts_with("221") {
            transport.close();
        } else if answer.starts_with("220")
            && transport.start_tls(self.tls.filter(), ReadAhead::Refuse).is_err()
        {
            transport.abort();
        }
    }

    fn filter_established(&mut self, _: &Transport) {
        self.letter = Letter::default();
    }

    fn connection_lost(&mut self, _: &Transport, lost: &Lost) {
        if !matches!(lost.reason(), Reason::Clean) {
            eprintln!("starttls: {lost}");
        }
    }
}

fn main() -> Result<()> {
    let file = |at, default: &str| std::env::args().nth(at).unwrap_or_else(|| default.to_owned());
    let tls = ServerTls::new(Identity::from_pem_files(file(2, "server.crt"), file(3, "server.key"))?)?;
    marline::serve(endpoint_arg("tcp://127.0.0.1:2525"), move |_| {
        Lines(Session { tls: tls.clone(), letter: Letter::default(), is_in_text: false })
    })
}
