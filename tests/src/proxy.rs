//! A way to a server that can be cut, stopped and bent.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

/// Changes the bytes of an answer; their number stays.
type Bend = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// Forwards connections of a port of this machine to a server.
pub struct Proxy {
    /// The port.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    server: String,
    /// Bytes of answers after which all connections are cut once; 0 for never.
    cut_after: AtomicU64,
    answered: AtomicU64,
    cuts: AtomicU64,
    /// Whether answers are held back.
    silent: AtomicBool,
    /// Whether nobody is let in.
    closed: AtomicBool,
    bend: Option<Bend>,
    /// What was asked.
    asked: Mutex<Vec<u8>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// To `host:port`.
    ///
    /// # Panics
    /// No port is free.
    pub fn to(server: &str) -> Self {
        Self::start(server, None)
    }

    /// To `host:port`, with a hand in its answers.
    ///
    /// # Panics
    /// No port is free.
    pub fn bending(server: &str, bend: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self::start(server, Some(Box::new(bend)))
    }

    fn start(server: &str, bend: Option<Bend>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("a proxy: {error}"));
        let port = listener.local_addr().map_or(0, |address| address.port());
        let state = Arc::new(State {
            server: server.to_owned(),
            cut_after: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            silent: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            bend,
            asked: Mutex::default(),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.closed.load(SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(&shared.server) else { continue };
                shared.connect(client, server);
            }
        });
        Self { port, state }
    }

    /// Cuts all connections once, after so many bytes of answers from now on.
    pub fn cut_after(&self, bytes: u64) {
        self.state.answered.store(0, SeqCst);
        self.state.cut_after.store(bytes, SeqCst);
    }

    /// Cuts all connections now; lets nobody in from now on where `closed`.
    pub fn cut(&self, closed: bool) {
        self.state.closed.store(closed, SeqCst);
        self.state.cut();
    }

    /// Holds all answers back, or lets them pass again.
    pub fn silent(&self, silent: bool) {
        self.state.silent.store(silent, SeqCst);
    }

    /// How often a text stands in what was asked.
    pub fn asked(&self, text: &str) -> usize {
        let asked = self.state.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        asked.windows(text.len()).filter(|part| *part == text.as_bytes()).count()
    }

    /// How often connections were cut.
    pub fn cuts(&self) -> u64 {
        self.state.cuts.load(SeqCst)
    }

    /// Bytes of answers that passed since the start, or since [`Self::cut_after`].
    pub fn answered(&self) -> u64 {
        self.state.answered.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut(true);
    }
}

impl State {
    fn cut(&self) {
        self.cuts.fetch_add(1, SeqCst);
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connect(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let copies = [&client, &server, &client, &server].map(TcpStream::try_clone);
        let [Ok(from_client), Ok(to_server), Ok(client), Ok(server)] = copies else { return };
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        open.extend([&client, &server].into_iter().filter_map(|stream| stream.try_clone().ok()));
        drop(open);
        let state = Arc::clone(self);
        thread::spawn(move || {
            pass(from_client, to_server, |bytes| {
                state.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend_from_slice(bytes);
                true
            });
        });
        let state = Arc::clone(self);
        thread::spawn(move || {
            pass(server, client, |bytes| {
                while state.silent.load(SeqCst) {
                    thread::sleep(Duration::from_millis(20));
                }
                if let Some(bend) = &state.bend {
                    bend(bytes);
                }
                let answered = state.answered.fetch_add(bytes.len() as u64, SeqCst) + bytes.len() as u64;
                let limit = state.cut_after.load(SeqCst);
                if limit > 0 && answered > limit && state.cut_after.swap(0, SeqCst) > 0 {
                    state.cut();
                    return false;
                }
                true
            });
        });
    }
}

/// Passes bytes on until one side ends or `look` says so.
fn pass(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&mut [u8]) -> bool) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..read];
        if !look(bytes) || to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
