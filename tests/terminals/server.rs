//! The example as a server.

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use marline_tests::PATIENCE;
use marline_tests::examples::example;
use marline_tests::files::Folder;
use marline_tests::running::Running;

use crate::window::{PROMPT, Window};

/// Those of these shells that there are.
pub fn shells() -> impl Iterator<Item = &'static str> {
    ["/bin/sh", "/bin/bash"].into_iter().filter(|path| std::path::Path::new(path).exists())
}

/// A server of shells that runs until it is dropped.
pub struct Server {
    child: Child,
    program: PathBuf,
    backend: String,
    /// The home of the shells.
    pub home: Folder,
}

impl Server {
    /// `None` if the example is not built.
    pub fn start(backend: &str, shell: &str) -> Option<Self> {
        let (program, home) = (example("terminal")?, Folder::new("shells"));
        let setup = home.path(".bashrc");
        std::fs::write(&setup, format!("PS1='{PROMPT} '\nunset HISTFILE\n")).expect("a file");
        let errors = std::fs::File::create(home.path("errors")).expect("a file");
        let mut command = Command::new(&program);
        command.arg(format!("unix://{}", home.path("socket")));
        command.env("MARLINE_BACKEND", backend).env("SHELL", shell).env("LC_ALL", "C");
        command.env("HOME", home.path("")).env("ENV", setup).env_remove("PROMPT_COMMAND");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors).spawn().expect("the example");
        let mut greeting = String::new();
        let output = child.stdout.take().expect("its output");
        BufReader::new(output).read_line(&mut greeting).expect("a greeting");
        assert!(greeting.contains("listening on unix://"), "{greeting}");
        Some(Self { child, program, backend: backend.to_owned(), home })
    }

    /// The command that is a client.
    fn client(&self) -> String {
        let (backend, program) = (&self.backend, self.program.display());
        format!("MARLINE_BACKEND={backend} {program} --connect unix://{}", self.home.path("socket"))
    }

    /// A window with a client in it, whose shell is there.
    pub fn visit(&self) -> Window {
        self.visit_between(":", ":")
    }

    /// A window with a client in it, with a command before and one after that. Then the window stays: tmux may lose what the last
    /// program in it wrote, and how it ended.
    pub fn visit_between(&self, first: &str, then: &str) -> Window {
        let client = self.client();
        let window = Window::open(&format!("{first}; {client}; echo client: $?; {then}; cat"));
        window.wait_for_prompt();
        window
    }

    /// A connection without a terminal.
    pub fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.home.path("socket")).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        stream
    }

    pub fn process(&self) -> Running {
        Running::find(self.child.id()).expect("it runs")
    }

    /// What it said of its shells.
    pub fn errors(&self) -> String {
        std::fs::read_to_string(self.home.path("errors")).expect("a file")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
