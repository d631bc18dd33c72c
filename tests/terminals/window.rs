//! A window of tmux, which no screen shows.

use std::process::Command;

use marline_tests::examples::has_program;
use marline_tests::files::Folder;
use marline_tests::wait_for;

/// What the prompt of shells is here.
pub const PROMPT: &str = "ready>";

/// A window. With it ends the tmux that has nothing else.
pub struct Window {
    folder: Folder,
}

/// Whether there is tmux; if not, the reason is printed.
pub fn has_tmux() -> bool {
    has_program("tmux", "-V")
}

impl Window {
    /// A window of 80 columns and 24 rows, in which a shell runs these commands.
    pub fn open(commands: &str) -> Self {
        let window = Self { folder: Folder::new("tmux") };
        let options = "set -g status off ; set -g history-limit 100000";
        let options: Vec<&str> = options.split(' ').collect();
        let session = [";", "new-session", "-d", "-x", "80", "-y", "24"];
        window.tmux(&[&["start-server", ";"][..], &options, &session, &["sh", "-c", commands]].concat());
        window
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-u", "-f", "/dev/null", "-S", &self.folder.path("socket")]).args(arguments);
        command.env("TERM", "xterm").env("SHELL", "/bin/sh").env_remove("TMUX");
        command
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("tmux runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Presses a key, by tmux's name of it.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Types a line.
    pub fn type_line(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// All that it shows and has shown.
    pub fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-"])
    }

    /// Waits until a line is shown of which `matches` makes something. It gets them without a prompt that came after what was
    /// typed, and before the answer.
    #[track_caller]
    pub fn wait_for_line<T>(&self, what: &str, mut matches: impl FnMut(&str) -> Option<T>) -> T {
        wait_for(what, || {
            let shown = self.shown();
            let found = shown.lines().find_map(|line| matches(answer(line)));
            found.ok_or(shown)
        })
    }

    /// Waits until the shell asks for a command.
    #[track_caller]
    pub fn wait_for_prompt(&self) {
        wait_for("a prompt", || {
            let shown = self.shown();
            if shown.trim_end().ends_with(&format!("\n{PROMPT}")) || shown.trim_end() == PROMPT {
                return Ok(());
            }
            Err(shown)
        });
    }

    /// Types a line when the shell asks for one, and waits until this one is shown, which is not part of that.
    #[track_caller]
    pub fn answers(&self, line: &str, answer: &str) {
        self.wait_for_prompt();
        self.type_line(line);
        self.wait_for_line(answer, |shown| (shown == answer).then_some(()));
    }

    /// Closes the window, as a person does who has seen enough.
    pub fn close(&self) {
        self.tmux(&["kill-pane"]);
    }
}

/// What a line says, without prompts before it.
pub fn answer(line: &str) -> &str {
    line.trim_end().trim_start_matches(PROMPT).trim_start()
}

impl Drop for Window {
    fn drop(&mut self) {
        // There is none any more where it was closed.
        drop(self.command(&["kill-server"]).output());
    }
}
