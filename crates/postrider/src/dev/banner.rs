//! What `serve --dev` says when it has started.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the banner is made of.
#[derive(Debug)]
pub struct Banner {
    pub bound: SocketAddr,
    /// The dashboard's address, which lets whoever opens it in.
    pub dashboard: String,
    pub admin_key: String,
    /// Absolute, so that the commands work in any directory.
    pub data_dir: PathBuf,
    /// The running binary: whoever started it has it, whatever else is installed.
    pub program: PathBuf,
}

impl Banner {
    /// Create a webhook at the inbox, publish an event, show what arrived: for a shell, as they
    /// stand. They find the key in the data directory, so it stays out of the shell's history.
    pub fn commands(&self) -> [String; 3] {
        let program = quoted(&self.program.to_string_lossy());
        let data_dir = quoted(&self.data_dir.to_string_lossy());
        let command =
            |verb: &str, rest: &str| format!("{program} {verb} --data-dir {data_dir}{rest}");
        let url = self.inbox_url();
        [
            command("webhook create", &format!(" --url {url} --events 'code.*'")),
            command(
                "event send",
                " code.generated --data '{\"repository\":\"acme/web\",\"files\":3}'",
            ),
            command("inbox", ""),
        ]
    }

    fn inbox_url(&self) -> String {
        format!("http://{}/dev/inbox", self.bound)
    }
}

impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nPostrider is running for development; its data is in {}\n",
            self.data_dir.display()
        )?;
        writeln!(f, "  API        http://{}", self.bound)?;
        writeln!(f, "  Dashboard  {}", self.dashboard)?;
        writeln!(f, "  Inbox      {} (a receiver; open it in a browser)", self.inbox_url())?;
        writeln!(f, "  Admin key  {}", self.admin_key)?;
        writeln!(
            f,
            "\nTry it in another terminal: register the inbox, publish an event, see it arrive.\n"
        )?;
        for command in self.commands() {
            writeln!(f, "  {command}")?;
        }
        writeln!(f)
    }
}

/// A word for a POSIX shell, in quotes if it needs them.
fn quoted(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-+@%,:".contains(&b);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banner_holds_key_addresses_and_three_commands() {
        let banner = Banner {
            bound: "127.0.0.1:4711".parse().unwrap(),
            dashboard: "http://127.0.0.1:4711/dashboard/portal#token".into(),
            admin_key: "prk_key".into(),
            data_dir: "/home/o'neil/my data".into(),
            program: "/bin/postrider".into(),
        };
        let text = banner.to_string();
        assert!(text.contains("  Admin key  prk_key\n"), "{text}");
        assert!(text.contains("  API        http://127.0.0.1:4711\n"), "{text}");
        let dashboard = "  Dashboard  http://127.0.0.1:4711/dashboard/portal#token\n";
        assert!(text.contains(dashboard), "{text}");
        let dir = r"'/home/o'\''neil/my data'";
        assert_eq!(banner.commands()[2], format!("/bin/postrider inbox --data-dir {dir}"));
        for command in banner.commands() {
            assert!(text.contains(&format!("  {command}\n")), "{text}");
            assert!(!command.contains("prk_key"), "{command}");
        }
    }
}
