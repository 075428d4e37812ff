//! A way to the S3 server on which requests are refused, cut and held back, as a test says.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is answered with this status and code, and does not reach the server.
    Answer(u16, &'static str),
    /// The connection is cut in the middle of it.
    CutRequest,
    /// The server gets it; the connection is cut in the middle of the answer.
    CutAnswer,
    /// The server gets it; nothing of the answer comes back.
    LoseAnswer,
    /// It waits until [`Way::release`].
    Hold,
}

/// Requests that are disturbed.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The method.
    pub method: &'static str,
    /// What the path with its query holds.
    pub holds: &'static str,
    /// How many of them; all where none.
    pub times: Option<u32>,
    /// What happens to them.
    pub act: Act,
}

/// A request that came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Method, path and query.
    pub line: String,
    /// Whether a rule was applied to it.
    pub disturbed: bool,
}

/// An upload in parts that the server began.
#[derive(Debug, Clone)]
pub struct Begun {
    /// The path of the object, with the bucket.
    pub path: String,
    /// Its id.
    pub upload: String,
}

/// The way.
pub struct Way {
    /// Where it begins, `host:port`.
    pub host: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    begun: Mutex<Vec<Begun>>,
    released: AtomicBool,
    ended: AtomicBool,
}

impl Way {
    /// To a server, `host:port`.
    ///
    /// # Panics
    /// There is no port.
    pub fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("no port: {error}"));
        let host = listener.local_addr().unwrap_or_else(|error| panic!("no port: {error}")).to_string();
        let state = Arc::new(State::default());
        let (shared, server) = (Arc::clone(&state), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.ended.load(Ordering::SeqCst) {
                    break;
                }
                let (shared, server) = (Arc::clone(&shared), server.clone());
                // What breaks off is what is tested.
                thread::spawn(move || shared.serve(client, &server));
            }
        });
        Self { host, state }
    }

    /// Disturbs these requests from now on, and no others; forgets what was seen.
    pub fn disturb(&self, rules: &[Rule]) {
        *held(&self.state.rules) = rules.to_vec();
        held(&self.state.seen).clear();
        self.state.released.store(false, Ordering::SeqCst);
    }

    /// Lets pass what is held back.
    pub fn release(&self) {
        self.state.released.store(true, Ordering::SeqCst);
    }

    /// The requests since the last time that rules were given.
    pub fn seen(&self) -> Vec<Seen> {
        held(&self.state.seen).clone()
    }

    /// How many of these were disturbed.
    pub fn disturbed(&self) -> usize {
        held(&self.state.seen).iter().filter(|seen| seen.disturbed).count()
    }

    /// Waits until a request is disturbed.
    ///
    /// # Panics
    /// None was within a minute.
    pub fn wait(&self) {
        for _ in 0..1200 {
            if self.disturbed() > 0 {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("no request was disturbed: {:?}", self.seen());
    }

    /// All uploads in parts that the server ever began.
    pub fn begun(&self) -> Vec<Begun> {
        held(&self.state.begun).clone()
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.release();
        let _ = TcpStream::connect(&self.host);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// One request; the connection ends with its answer.
    fn serve(&self, mut client: TcpStream, server: &str) -> Option<()> {
        let (head, mut body) = head(&mut client)?;
        let line = head.lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
        let length: usize = header(&head, "content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
        let act = self.act(&line);
        held(&self.seen).push(Seen { line: line.clone(), disturbed: act.is_some() });
        if act == Some(Act::CutRequest) {
            while body.len() < length / 2 {
                more(&mut client, &mut body)?;
            }
            return client.shutdown(Shutdown::Both).ok();
        }
        if header(&head, "expect").is_some() {
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        while body.len() < length {
            more(&mut client, &mut body)?;
        }
        if let Some(Act::Answer(status, code)) = act {
            let text = format!(
                "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test says</Message></Error>"
            );
            let answer = format!(
                "HTTP/1.1 {status} Disturbed\r\nContent-Type: application/xml\r\nETag: \"e\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
                text.len()
            );
            return client.write_all(answer.as_bytes()).ok();
        }
        while act == Some(Act::Hold) && !self.released.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(10));
        }
        let mut upstream = TcpStream::connect(server).ok()?;
        let (first, rest) = head.split_once("\r\n")?;
        upstream.write_all(format!("{first}\r\nConnection: close\r\n{rest}").as_bytes()).ok()?;
        upstream.write_all(&body).ok()?;
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).ok()?;
        self.note(&line, &answer);
        match act {
            Some(Act::LoseAnswer) => {}
            Some(Act::CutAnswer) => {
                client.write_all(&answer[..answer.len() - body_of(&answer).len() / 2 - 1]).ok()?
            }
            _ => client.write_all(&answer).ok()?,
        }
        client.shutdown(Shutdown::Both).ok()
    }

    fn act(&self, line: &str) -> Option<Act> {
        let mut rules = held(&self.rules);
        let fits = |rule: &&mut Rule| {
            let method = line.split(' ').next().unwrap_or_default();
            method == rule.method && line.contains(rule.holds) && rule.times != Some(0)
        };
        let rule = rules.iter_mut().find(fits)?;
        rule.times = rule.times.map(|times| times - 1);
        Some(rule.act)
    }

    fn note(&self, line: &str, answer: &[u8]) {
        let asked = line.strip_prefix("POST ").and_then(|rest| rest.split_once('?'));
        let Some((path, _)) = asked.filter(|(_, query)| query.starts_with("uploads")) else { return };
        let text = String::from_utf8_lossy(answer);
        let id = text.split_once("<UploadId>").and_then(|(_, rest)| rest.split_once("</UploadId>"));
        if let Some((upload, _)) = id {
            held(&self.begun).push(Begun { path: path.to_owned(), upload: upload.to_owned() });
        }
    }
}

/// The head of a request with its empty line, and what came of the body.
fn head(client: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = find(&read, b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            return Some((String::from_utf8(read).ok()?, body));
        }
        more(client, &mut read)?;
    }
}

fn more(client: &mut TcpStream, into: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 1 << 16];
    match client.read(&mut buffer) {
        Ok(0) | Err(_) => None,
        Ok(n) => {
            into.extend_from_slice(&buffer[..n]);
            Some(())
        }
    }
}

fn body_of(answer: &[u8]) -> &[u8] {
    find(answer, b"\r\n\r\n").map_or(&[], |end| &answer[end + 4..])
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn header(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}
