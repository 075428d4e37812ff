//! A way to the server that can be cut, stopped and listened to.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
};

use bson::{Document, RawDocument};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// What becomes of the answer to a command of this name.
pub(super) type Bend = Box<dyn Fn(&str, Document) -> Document + Send + Sync>;

/// Forwards connections of a port of this machine to a server.
pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<State>,
    accept: JoinHandle<()>,
}

struct State {
    /// Bytes of answers after which all connections are cut; 0 for never.
    cut_after: AtomicU64,
    answered: AtomicU64,
    /// Whether answers are held back.
    silent: AtomicBool,
    /// Whether nobody is let in.
    closed: AtomicBool,
    cuts: watch::Sender<u64>,
    commands: Mutex<Vec<Document>>,
    answers: Mutex<Vec<Document>>,
    bend: Option<Bend>,
}

impl Proxy {
    pub(super) async fn to(server: &str) -> Self {
        Self::bending(server, |_| None).await
    }

    /// With a hand in the answers; it is told the port.
    pub(super) async fn bending(server: &str, bend: impl FnOnce(u16) -> Option<Bend>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            cut_after: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            cuts: watch::channel(0).0,
            commands: Mutex::default(),
            answers: Mutex::default(),
            bend: bend(port),
        });
        let (shared, server) = (Arc::clone(&state), server.to_owned());
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if shared.closed.load(SeqCst) {
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(forward(client, upstream, Arc::clone(&shared)));
            }
        });
        Self { port, state, accept }
    }

    /// Cuts all connections once, after so many bytes of answers from now on.
    pub(super) fn cut_after(&self, bytes: u64) {
        self.state.answered.store(0, SeqCst);
        self.state.cut_after.store(bytes, SeqCst);
    }

    /// Cuts all connections now; lets nobody in from now on where `closed`.
    pub(super) fn cut(&self, closed: bool) {
        self.state.closed.store(closed, SeqCst);
        self.state.cuts.send_modify(|n| *n += 1);
    }

    /// Holds all answers back, or lets them pass again.
    pub(super) fn silent(&self, silent: bool) {
        self.state.silent.store(silent, SeqCst);
    }

    pub(super) fn cuts(&self) -> u64 {
        *self.state.cuts.borrow()
    }

    /// The commands of this name that passed.
    pub(super) fn commands(&self, name: &str) -> Vec<Document> {
        let commands = self.state.commands.lock().unwrap();
        commands.iter().filter(|d| d.keys().next().is_some_and(|k| k == name)).cloned().collect()
    }

    /// The answers with this field that passed.
    pub(super) fn answers(&self, field: &str) -> Vec<Document> {
        self.state.answers.lock().unwrap().iter().filter(|d| d.contains_key(field)).cloned().collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.cut(true);
    }
}

async fn forward(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let mut cut = state.cuts.subscribe();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let last = Mutex::new(String::new());
    let commands = async {
        while let Some(message) = message(&mut from_client).await {
            if let Some(document) = body(&message) {
                *last.lock().unwrap() = document.keys().next().cloned().unwrap_or_default();
                state.commands.lock().unwrap().push(document);
            }
            if to_server.write_all(&message).await.is_err() {
                break;
            }
        }
    };
    let answers = async {
        while let Some(mut message) = message(&mut from_server).await {
            if let Some(bend) = &state.bend {
                let command = last.lock().unwrap().clone();
                message = bent(message, |answer| bend(&command, answer));
            }
            while state.silent.load(SeqCst) {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let answered = state.answered.fetch_add(message.len() as u64, SeqCst) + message.len() as u64;
            let limit = state.cut_after.load(SeqCst);
            if limit > 0 && answered > limit && state.cut_after.swap(0, SeqCst) > 0 {
                // In the middle of an answer.
                let _ = to_client.write_all(&message[..message.len() / 2]).await;
                state.cuts.send_modify(|n| *n += 1);
                break;
            }
            if let Some(document) = body(&message) {
                state.answers.lock().unwrap().push(document);
            }
            if to_client.write_all(&message).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = cut.changed() => {}
        () = commands => {}
        () = answers => {}
    }
}

/// A message of the wire protocol, which begins with its length.
async fn message(from: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut head = [0; 4];
    from.read_exact(&mut head).await.ok()?;
    let mut message = vec![0; usize::try_from(i32::from_le_bytes(head)).ok()?];
    message[..4].copy_from_slice(&head);
    from.read_exact(&mut message[4..]).await.ok()?;
    Some(message)
}

/// An answer with another document: that of an OP_MSG (2013), or of the OP_REPLY (1) to a first greeting.
fn bent(message: Vec<u8>, bend: impl FnOnce(Document) -> Document) -> Vec<u8> {
    let code = message.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(i32::from_le_bytes);
    let at = match code {
        Some(2013) if message.len() < 1 << 16 && message.get(20) == Some(&0) => 21,
        Some(1) => 36,
        _ => return message,
    };
    let document = message.get(at..).and_then(|bytes| Document::from_reader(bytes).ok());
    let Some(document) = document else { return message };
    let mut changed = message[..at].to_vec();
    changed.extend(bend(document).to_vec().unwrap());
    let length = i32::try_from(changed.len()).unwrap();
    changed[..4].copy_from_slice(&length.to_le_bytes());
    // There is no checksum over it any more.
    if at == 21 {
        changed[16] &= !1;
    }
    changed
}

/// The document of an OP_MSG (2013): after the header of 16 bytes, flags of 4 and a byte for the kind of section.
fn body(message: &[u8]) -> Option<Document> {
    let code = i32::from_le_bytes(message.get(12..16)?.try_into().ok()?);
    // Large answers are documents of a batch, which no test looks into.
    if code != 2013 || message.len() > 1 << 16 || *message.get(20)? != 0 {
        return None;
    }
    let length = usize::try_from(i32::from_le_bytes(message.get(21..25)?.try_into().ok()?)).ok()?;
    RawDocument::from_bytes(message.get(21..21 + length)?).ok()?.try_into().ok()
}
