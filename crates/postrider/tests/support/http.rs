//! HTTP/1.1 as bytes: a client that sends what it is told, and a reader of what came.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A request, or an answer, as it went over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exchanged {
    /// The first line, without its end.
    pub(crate) start: String,
    /// Names as they were spelled.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// All bytes, as they came.
    pub(crate) raw: Vec<u8>,
}

impl Exchanged {
    /// The one value of a header.
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<&str> = self.header_values(name).collect();
        assert_eq!(values.len(), 1, "{name} stands once in {:?}", self.headers);
        values[0]
    }

    pub(crate) fn header_values(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_it = move |known: &str| known.eq_ignore_ascii_case(name);
        self.headers.iter().filter(move |(known, _)| is_it(known)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {:?}", String::from_utf8_lossy(&self.raw)))
    }

    /// Of an answer.
    pub(crate) fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("an answer begins with {:?}", self.start))
    }

    /// The same with another value of a header that is there.
    pub(crate) fn with_header(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        let slot = changed.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let slot = slot.unwrap_or_else(|| panic!("there is no {name}"));
        value.clone_into(&mut slot.1);
        changed.written_anew()
    }

    pub(crate) fn with_body(&self, body: &[u8]) -> Self {
        let changed = Self { body: body.to_owned(), ..self.clone() };
        changed.with_header("content-length", &body.len().to_string())
    }

    /// The same with one part of the body replaced, which must be there once.
    pub(crate) fn with_text(&self, part: &str, other: &str) -> Self {
        let text = self.text();
        assert_eq!(text.matches(part).count(), 1, "{part} stands once in {text}");
        self.with_body(text.replace(part, other).as_bytes())
    }

    fn written_anew(mut self) -> Self {
        let mut raw = format!("{}\r\n", self.start).into_bytes();
        for (name, value) in &self.headers {
            raw.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        raw.extend_from_slice(b"\r\n");
        raw.extend_from_slice(&self.body);
        self.raw = raw;
        self
    }
}

/// A request with a body, on a connection of its own.
pub(crate) fn send(
    to: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Exchanged {
    let (host, length) = (to.to_string(), body.len().to_string());
    let own = [("host", &*host), ("connection", "close"), ("content-length", &*length)];
    let headers = own.iter().chain(headers);
    let request = Exchanged {
        start: format!("{method} {target} HTTP/1.1"),
        headers: headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: body.to_owned(),
        raw: Vec::new(),
    };
    send_raw(to, &request.written_anew().raw)
}

/// Sends bytes as they are on a connection of their own, and reads one answer.
pub(crate) fn send_raw(to: SocketAddr, bytes: &[u8]) -> Exchanged {
    let exchange = || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(bytes)?;
        read(&mut BufReader::new(stream), Side::Client)
    };
    match exchange() {
        Ok(Some(answer)) => answer,
        Ok(None) => panic!("{to} closed the connection instead of answering"),
        Err(error) => panic!("{to} did not answer: {error}"),
    }
}

/// Who reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// Reads one request or answer; `None` at the end of the connection.
pub(crate) fn read(stream: &mut impl BufRead, side: Side) -> io::Result<Option<Exchanged>> {
    let mut exchanged = Exchanged::default();
    let Some(start) = line(stream, &mut exchanged.raw)? else {
        return Ok(None);
    };
    exchanged.start = start;
    while let Some(header) = line(stream, &mut exchanged.raw)?.filter(|line| !line.is_empty()) {
        let (name, value) = header.split_once(':').unwrap_or((&header, ""));
        exchanged.headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let length = exchanged.header_values("content-length").next().map(str::parse::<usize>);
    let is_chunked = exchanged.header_values("transfer-encoding").next().is_some();
    let has_no_body = side == Side::Client && matches!(exchanged.status(), 100..=199 | 204 | 304);
    match length {
        _ if has_no_body => {}
        Some(length) => {
            exchanged.body = vec![0; length.map_err(io::Error::other)?];
            stream.read_exact(&mut exchanged.body)?;
            exchanged.raw.extend_from_slice(&exchanged.body);
        }
        None if is_chunked => chunks(stream, &mut exchanged)?,
        None if side == Side::Client => {
            stream.read_to_end(&mut exchanged.body)?;
            exchanged.raw.extend_from_slice(&exchanged.body);
        }
        None => {}
    }
    Ok(Some(exchanged))
}

fn chunks(stream: &mut impl BufRead, exchanged: &mut Exchanged) -> io::Result<()> {
    loop {
        let size = line(stream, &mut exchanged.raw)?.unwrap_or_default();
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
        let mut chunk = vec![0; size];
        stream.read_exact(&mut chunk)?;
        exchanged.raw.extend_from_slice(&chunk);
        exchanged.body.extend_from_slice(&chunk);
        // after the last chunk this is the empty trailer section
        line(stream, &mut exchanged.raw)?;
        if size == 0 {
            return Ok(());
        }
    }
}

/// A line without its end; `None` when the stream has ended.
fn line(stream: &mut impl BufRead, raw: &mut Vec<u8>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if stream.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    raw.extend_from_slice(&bytes);
    Ok(Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned()))
}
