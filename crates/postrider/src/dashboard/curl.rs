//! A request as a command for a shell, to be sent again by hand.

use crate::api::attempt::HeaderView;

/// The command. Every part that strangers wrote is one quoted word of a POSIX shell, and none can
/// be read as an option, a file name or a pattern by curl.
pub(super) fn command(url: &str, headers: &[HeaderView], body: &str) -> String {
    let mut lines = vec![format!("curl --globoff --request POST --url {}", quoted(url))];
    for HeaderView { name, value } in headers {
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        lines.push(format!("--header {}", quoted(&header)));
    }
    lines.push(format!("--data-raw {}", quoted(body)));
    lines.join(" \\\n  ")
}

/// One word: nothing within single quotes means anything but the quote that ends it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_shell_reads_what_was_meant() {
        let header =
            |name: &str, value: &str| HeaderView { name: name.to_owned(), value: value.to_owned() };
        let headers = [
            header("content-type", "application/json"),
            header("x-own", "it's $(touch x) `id` \"q\" \\"),
            header("x-empty", ""),
        ];
        let url = "https://a.example/hook?a=1&b='c'&d=[1-3]{x}";
        let body = "{\"a\":\"it's <b> $HOME \\n ! @file\u{202e}\"}\n";
        let told = command(url, &headers, body);
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; }}\n{told}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let words = String::from_utf8(output.stdout).unwrap();
        let words: Vec<_> = words.trim_end_matches('\0').split('\0').collect();
        assert_eq!(
            words,
            [
                "--globoff",
                "--request",
                "POST",
                "--url",
                url,
                "--header",
                "content-type: application/json",
                "--header",
                "x-own: it's $(touch x) `id` \"q\" \\",
                "--header",
                "x-empty;",
                "--data-raw",
                body,
            ]
        );
        assert!(output.stderr.is_empty());
    }
}
